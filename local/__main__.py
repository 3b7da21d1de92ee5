"""The command line of the laptop stack; the Makefile's targets call it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from digits.errors import ConfigurationError, DigitsError
from local import api_test
from training.artifacts import OUTPUT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 1 where the API test or the demo fails, 2 for what cannot be done."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except DigitsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if options.command in ("demo", "smoke", "api-test") else 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="Run everything on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in (
        ("demo", "train, publish, serve, ask; then stay up"),
        ("smoke", "the same, but end after the first answers"),
        ("serve", "serve the last trained model"),
    ):
        command = commands.add_parser(name, help=summary)
        command.add_argument("--store-port", type=int, default=0, help="of the object store (default: any)")
        command.add_argument("--api-port", type=int, default=0, help="of the API (default: any)")
        if name == "serve":
            command.add_argument("--https", action="store_true", help="with a certificate made for the occasion")

    test = commands.add_parser("api-test", help="post sample requests and judge the answers")
    test.add_argument("--url", required=True)
    test.add_argument("--token", required=True)
    test.add_argument(
        "--image", type=Path, help="a file, or a folder of files (default: a sample digit and a sample number)"
    )
    test.add_argument("--insecure", action="store_true", help="trust any certificate")
    test.add_argument("--ca", type=Path, help="certificate of the authority to trust")

    invoke = commands.add_parser("invoke", help="invoke a built function in Lambda's container")
    invoke.add_argument("--event", type=Path, required=True)
    invoke.add_argument("--artifacts", type=Path, default=OUTPUT, help="where trainings left their models")

    start_api = commands.add_parser("start-api", help="serve the built function in Lambda's container")
    start_api.add_argument("--api-port", type=int, default=8000)
    start_api.add_argument("--artifacts", type=Path, default=OUTPUT, help="where trainings left their models")

    batch = commands.add_parser("batch", help="read a folder, an archive or a file of pictures into a table")
    batch.add_argument("input", help="a path; with --stack also a prefix or a manifest's key in the bucket")
    batch.add_argument("--out", type=Path, default=OUTPUT / "batch", help="where the table goes (default: %(default)s)")
    batch.add_argument("--numbers", action="store_true", help="read numbers, not single digits")
    batch.add_argument("--length", help="how many digits a number has: 5, or 4-6")
    batch.add_argument("--url", help="of a service that reads (default: the last trained model reads)")
    batch.add_argument("--token", default="", help="for that service")
    batch.add_argument("--insecure", action="store_true", help="trust any certificate")
    batch.add_argument("--ca", type=Path, help="certificate of the authority to trust")
    batch.add_argument("--stack", help="have a deployed stack read")
    batch.add_argument("--artifacts", type=Path, default=OUTPUT, help="where trainings left their models")

    commands.add_parser("openapi", help="print the API's OpenAPI document")

    tensor = commands.add_parser("tensor", help="print an image as a request of the Open Inference Protocol")
    tensor.add_argument("image", type=Path)

    _add_deployment(commands)
    return parser


def _add_deployment(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    output = commands.add_parser("stack-output", help="print an output of a deployed stack")
    output.add_argument("stack")
    output.add_argument("name")

    finish = commands.add_parser("finish-deploy", help="give a deployed stack its first model and token")
    finish.add_argument("stack")


def _run(options: argparse.Namespace) -> None:
    # Imported where it is needed: serving should not wait for the API test's client, nor that for a store.
    if options.command in ("demo", "smoke", "serve"):
        from local import stack

        if options.command == "serve":
            stack.serve(options.store_port, options.api_port, options.https)
        else:
            stack.demo(options.store_port, options.api_port, stay=options.command == "demo")
    elif options.command == "api-test":
        api_test.run(options.url, options.token, options.image, api_test.trust(options.insecure, options.ca))
    elif options.command in ("invoke", "start-api"):
        from local import lambda_invoke

        if options.command == "invoke":
            lambda_invoke.invoke(options.event, options.artifacts)
        else:
            lambda_invoke.start_api(options.api_port, options.artifacts)
    elif options.command == "batch":
        _run_batch(options)
    elif options.command == "openapi":
        from functions.predict_api.app import app_from_environment

        print(json.dumps(app_from_environment({}).openapi(), indent=1, ensure_ascii=False))
    elif options.command == "tensor":
        print(json.dumps(api_test.tensor_request(options.image)))
    else:
        _run_deployment(options)


def _run_batch(options: argparse.Namespace) -> None:
    from functions.batch.answering import DIGITS, NUMBERS, Reading

    if not options.input.strip():
        raise ConfigurationError("name a folder, an archive or a file: make batch INPUT=…")
    reading = Reading(NUMBERS if options.numbers or options.length else DIGITS, options.length)
    if options.stack:
        from local import stack_batch

        stack_batch.run(options.stack, options.input, options.out, reading)
    else:
        from local import batch

        verify = api_test.trust(options.insecure, options.ca)
        service = {"url": options.url, "token": options.token, "verify": verify}
        batch.run(Path(options.input), options.out, reading, output=options.artifacts, **service)


def _run_deployment(options: argparse.Namespace) -> None:
    from local import deploy

    if options.command == "stack-output":
        print(deploy.stack_output(options.stack, options.name))
    else:
        deploy.finish(options.stack)


if __name__ == "__main__":
    sys.exit(main())
