"""Faults, fuzz, load and attacks: what was tried, what was lost, and how long the worst took."""
