"""The checklist before a deployment: what only a deployed stack would show otherwise."""
