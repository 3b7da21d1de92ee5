"""The offline job: digits in, an immutable, self-describing model out."""
