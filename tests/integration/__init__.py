"""Events and commands against the embedded store."""
