"""Plain functions, no socket."""
