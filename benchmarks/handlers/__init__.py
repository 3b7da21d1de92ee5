"""Handlers to measure against: the floors, and what people deploy."""
