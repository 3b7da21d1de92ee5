"""The built artifact under the real runtime, and whole commands."""
