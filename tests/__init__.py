"""The tests: unit (no socket), integration (event in, response out, moto), e2e (the real runtime)."""
