"""The command line for access tokens."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from digits.errors import DigitsError
from digits.registry import tokens
from digits.registry.bucket import Bucket


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m digits",
        description="Issue and revoke the tokens that callers of the API need.",
        epilog="The bucket is named by DIGITS_BUCKET. Errors are one line on standard error and exit status 2.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in (("token", "issue a token and print it once"), ("revoke", "revoke a token")):
        command = commands.add_parser(name, help=summary)
        command.add_argument("name", help="who or what the token is for")
    commands.add_parser("tokens", help="list the names of the valid tokens")
    options = parser.parse_args(arguments)
    try:
        _run(options, Bucket.from_environment(os.environ))
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace, bucket: Bucket) -> None:
    if options.command == "token":
        print(tokens.issue(bucket, options.name))
    elif options.command == "revoke":
        tokens.revoke(bucket, options.name)
        print(f"revoked {options.name}; warm containers notice within their refresh time")
    else:
        for name, created_at in sorted(tokens.names(bucket).items()):
            print(f"{name}  since {created_at:%Y-%m-%d %H:%M} UTC")


if __name__ == "__main__":
    sys.exit(main())
