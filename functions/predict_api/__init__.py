"""The HTTPS API: a picture of a handwritten digit in, the digit and an honest confidence out."""
