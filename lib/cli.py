"""The command line: `python -m lib --help`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lib.errors import BadResponse, CandorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib", description="Candor without a browser.")
    commands = parser.add_subparsers(required=True, metavar="command")
    fetch = commands.add_parser("fetch", help="fetch and convert the embedded model, unless that has been done")
    fetch.set_defaults(run=_fetch)
    decode = commands.add_parser(
        "decode",
        help="a saved response of Bedrock with the text of its token ids, as JSON",
        description="Prints per position: id, text and probability. Takes a bare response, one with its request as "
        '{"request": …, "response": …}, or a file with one of either per line.',
    )
    decode.add_argument("file", help="the saved response; - for standard input")
    decode.add_argument("--tokenizer", metavar="PATH", help="tokenizer.json, tokenizer.model, a directory or a hub id")
    decode.set_defaults(run=_decode)
    _add_serve(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except CandorError as error:
        print(f"{error.cause}\n{error.remedy}", file=sys.stderr)
        return 1
    return 0


def _add_serve(commands: Any) -> None:
    """The options of `serve`."""
    serve = commands.add_parser(
        "serve",
        help="a local Bedrock that any AWS client can use",
        description="Serves imported models with log probabilities on this machine, as Amazon Bedrock does.",
        epilog="Faults, switches and their settings are listed in docs/local-bedrock.md.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; only this machine by default")
    serve.add_argument("--port", type=int, default=9911, help="0 takes any that is free (default %(default)s)")
    serve.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a host name to answer to")
    serve.add_argument(
        "--model", action="append", metavar="NAME=SOURCE@DATE",
        help="an imported model: its name, what runs it (embedded, or a model directory) and its import date, which "
        "decides what it can do. May be repeated; without any there is one of each generation",
    )  # fmt: skip
    serve.add_argument("--region", default="us-east-1", help="the models' region (default %(default)s)")
    serve.add_argument("--account", default="123456789012", help="the models' account (default %(default)s)")
    serve.add_argument("--s3", default="", metavar="URI", help="where the models' files lie, each in its own folder")
    serve.add_argument(
        "--fault", action="append", default=[], metavar="KIND:KEY=VALUE,…",
        help="something that goes wrong, such as throttle:rate=2 or cold-start:seconds=20",
    )  # fmt: skip
    serve.add_argument(
        "--switch", action="append", default=[], metavar="NAME=SETTING",
        help="how it behaves where the real service's behaviour is not known",
    )  # fmt: skip
    serve.add_argument("--concurrency", type=int, default=64, help="calls at once (default %(default)s)")
    serve.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> None:
    from lib.serve.app import Service
    from lib.serve.behaviours import read_switches
    from lib.serve.faults import Faults, read_fault
    from lib.serve.models import DEFAULT_MODELS, read_models
    from lib.serve.server import bound, close_engines, new_token, open_engines, serve

    faults = Faults()
    faults.set([read_fault(each) for each in options.fault])
    switches = read_switches(options.switch)
    models = read_models(options.model or DEFAULT_MODELS, region=options.region, account=options.account, s3=options.s3)
    listener = bound(options.host, options.port, options.allow_host)  # refused now rather than after loading
    engines = open_engines(models)
    try:
        service = Service(
            models,
            engines,
            token=os.environ.get("CANDOR_SERVE_TOKEN") or new_token(),
            faults=faults,
            switches=switches,
            hosts=frozenset(options.allow_host),
            concurrency=options.concurrency,
        )
        serve(service, listener)
    finally:
        listener.close()
        close_engines(engines.values())


def _fetch(_: argparse.Namespace) -> None:
    from lib.models import embedded

    embedded.model_directory()


def _decode(options: argparse.Namespace) -> None:
    from lib.models.tokenizer_files import load_tokenizer
    from lib.wire.saved_responses import completions_of, decoded, read_saved

    tokenizer = load_tokenizer(options.tokenizer) if options.tokenizer else None
    for done in completions_of(read_saved(_bytes_of(options.file)), tokenizer):
        for warning in done.warnings:
            print(warning, file=sys.stderr)
        print(json.dumps(decoded(done), ensure_ascii=False))


def _bytes_of(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadResponse(f"{file} cannot be read: {error.strerror}.", "Give the path of a saved response.") from error
