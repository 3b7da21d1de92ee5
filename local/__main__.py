"""The command line of the laptop stack; the Makefile's targets call it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from digits.errors import ConfigurationError, DigitsError, OperationError
from local import api_test
from training.artifacts import OUTPUT

MACHINES = ("x86_64", "arm64")


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

    doctor = commands.add_parser("doctor", help="examine what was built, and the account")
    doctor.add_argument("--stack", default="", help="examine the account and this stack in it, too")

    deployment = commands.add_parser("deploy", help="build, examine, deploy and test a stack")
    deployment.add_argument("--stage", default="default", help="a section of samconfig.toml (default: %(default)s)")
    deployment.add_argument("--stack", default="", help="its name (default: that of the stage)")
    deployment.add_argument("--retraining", choices=("", "on", "off"), default="", help="off needs no Docker engine")
    deployment.add_argument("--architecture", choices=("", *MACHINES), default="", help="of the functions")
    deployment.epilog = "PARAMETERS in the environment sets parameters of the template: 'Name=value …'."
    doctor.add_argument("--architecture", choices=MACHINES, default="x86_64", help="that it was built for")

    destroy = commands.add_parser("destroy", help="delete a stack, but not its bucket")
    destroy.add_argument("stack")

    accept = commands.add_parser("accept", help="run the acceptance tests against a deployed stack")
    accept.add_argument("stack")


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
    elif options.command == "doctor":
        _examine(options)
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
    elif options.command == "deploy":
        parameters = tuple(shlex.split(os.environ.get("PARAMETERS", "")))
        deploy.run(deploy.resolve(options.stage, options.stack, parameters, options.retraining, options.architecture))
    elif options.command == "destroy":
        deploy.destroy(options.stack)
    else:
        deploy.accept(options.stack)


def _examine(options: argparse.Namespace) -> None:
    from local.build import BUILD
    from local.doctor.checklist import examine
    from local.doctor.subject import Subject

    root = Path(__file__).parents[1]
    if count := len(examine(Subject(BUILD, root, options.architecture), options.stack)):
        raise OperationError(f"{count} finding{'' if count == 1 else 's'}")


if __name__ == "__main__":
    sys.exit(main())
