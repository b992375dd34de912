"""The command line: `candor --help`, or `python -m lib --help`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.contexts_options import add_evaluate_contexts
from lib.doubts_options import add_evaluate_doubts
from lib.errors import BadResponse, CandorError
from lib.evaluate_options import add_evaluate
from lib.terminal import say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit code."""
    options = argument_parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except CandorError as error:
        for line in (error.cause, error.remedy):
            say(line, error=True)
        return 1


def argument_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(prog="candor", description="Candor without a browser.")
    commands = parser.add_subparsers(required=True, metavar="command")
    fetch = commands.add_parser("fetch", help="download and convert the embedded model, if that is still to be done")
    fetch.set_defaults(run=_fetch)
    decode = commands.add_parser(
        "decode",
        help="print a saved Bedrock response as JSON, with the text of its token ids",
        description="Prints the id, text and probability of each token. Takes a bare response, one with its request as "
        '{"request": …, "response": …}, or a file with one of these per line.',
    )
    decode.add_argument("file", help="the saved response, or - for standard input")
    decode.add_argument("--tokenizer", metavar="PATH", help="tokenizer.json, tokenizer.model, a directory or a hub id")
    decode.set_defaults(run=_decode)
    _add_serve(commands)
    add_evaluate(commands).set_defaults(run=_evaluate)
    add_evaluate_doubts(commands).set_defaults(run=_evaluate_doubts)
    add_evaluate_contexts(commands).set_defaults(run=_evaluate_contexts)
    return parser


def _add_serve(commands: Any) -> None:
    """Add the command `serve`."""
    serve = commands.add_parser(
        "serve",
        help="run a local Bedrock for any AWS client",
        description="Serves imported models with logprobs on this machine, as Amazon Bedrock does.",
        epilog="docs/local-bedrock.md lists the faults, the switches and their settings.",
    )
    serve.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default %(default)s: this machine only)"
    )
    serve.add_argument("--port", type=int, default=9911, help="the port, or 0 for any free one (default %(default)s)")
    serve.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name to answer to, besides those of this machine",
    )
    serve.add_argument(
        "--model", action="append", metavar="NAME=SOURCE@DATE",
        help="an imported model: its name, what runs it (embedded, ardenworks, a directory or a GGUF file) and its "
        "import date, which decides what it can do. Can be repeated; the default is one model of each generation",
    )  # fmt: skip
    serve.add_argument("--region", default="us-east-1", help="the models' region (default %(default)s)")
    serve.add_argument("--account", default="123456789012", help="the models' account (default %(default)s)")
    serve.add_argument(
        "--s3", default="", metavar="URI", help="the folder of the models' folders, as GetImportedModel reports it"
    )
    serve.add_argument(
        "--fault", action="append", default=[], metavar="KIND:KEY=VALUE,…",
        help="something that goes wrong, such as throttle:rate=2 or cold-start:seconds=20. Can be repeated",
    )  # fmt: skip
    serve.add_argument(
        "--switch", action="append", default=[], metavar="NAME=SETTING",
        help="how to behave where the real service's behaviour is unknown. Can be repeated",
    )  # fmt: skip
    serve.add_argument(
        "--concurrency", type=int, default=64, help="calls at once; more are throttled (default %(default)s)"
    )
    serve.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> None:
    from lib.serve.app import Service
    from lib.serve.behaviours import read_behaviours
    from lib.serve.faults import Faults, read_fault
    from lib.serve.models import DEFAULT_MODELS, read_models
    from lib.serve.server import bound, close_engines, new_token, open_engines, serve

    faults = Faults()
    faults.set([read_fault(each) for each in options.fault])
    behaviours = read_behaviours(options.switch)
    models = read_models(options.model or DEFAULT_MODELS, region=options.region, account=options.account, s3=options.s3)
    listener = bound(options.host, options.port, options.allow_host)  # before loading, so that an error appears at once
    engines = open_engines(models)
    try:
        service = Service(
            models,
            engines,
            token=os.environ.get("CANDOR_SERVE_TOKEN") or new_token(),
            faults=faults,
            behaviours=behaviours,
            hosts=frozenset(options.allow_host),
            concurrency=options.concurrency,
        )
        serve(service, listener)
    finally:
        listener.close()
        close_engines(engines.values())


def _evaluate(options: argparse.Namespace) -> int:
    from lib.evaluate_command import evaluate

    return evaluate(options)


def _evaluate_doubts(options: argparse.Namespace) -> int:
    from lib.doubts_command import evaluate_doubts

    return evaluate_doubts(options)


def _evaluate_contexts(options: argparse.Namespace) -> int:
    from lib.contexts_command import evaluate_contexts

    return evaluate_contexts(options)


def _fetch(_: argparse.Namespace) -> None:
    from lib.models import embedded

    embedded.model_directory()


def _decode(options: argparse.Namespace) -> None:
    from lib.models.tokenizer_files import load_tokenizer
    from lib.wire.saved_responses import completions_of, decoded, read_saved

    tokenizer = load_tokenizer(options.tokenizer) if options.tokenizer else None
    for done in completions_of(read_saved(_bytes_of(options.file)), tokenizer):
        for warning in done.warnings:
            say(str(warning), error=True)
        print(json.dumps(decoded(done), ensure_ascii=False))


def _bytes_of(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadResponse(f"{file} cannot be read: {error.strerror}.", "Give the path of a saved response.") from error
