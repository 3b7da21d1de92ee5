"""The laptop stack: the same code that Lambda runs, with an object store of its own."""
