"""What every running service has to do, wherever it runs: told by a URL and a token alone."""
