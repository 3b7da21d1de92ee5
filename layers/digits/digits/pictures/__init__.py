"""From the bytes of a picture to the canonical form of the digit on it."""
