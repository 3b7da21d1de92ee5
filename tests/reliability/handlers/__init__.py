"""Handlers that the runtime interface emulator runs instead of the product's own."""
