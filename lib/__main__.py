"""The command line: `python -m lib --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.errors import BadReply, CandorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib", description="Candor without a browser.")
    commands = parser.add_subparsers(required=True, metavar="command")
    fetch = commands.add_parser("fetch", help="fetch and convert the embedded model, unless that has been done")
    fetch.set_defaults(run=_fetch)
    decode = commands.add_parser(
        "decode",
        help="a saved reply of Bedrock with the text of its token ids, as JSON",
        description="Prints per position: id, text and probability. Takes a bare reply, one with its request as "
        '{"request": …, "response": …}, or a file with one of either per line.',
    )
    decode.add_argument("file", help="the saved reply; - for standard input")
    decode.add_argument("--tokenizer", metavar="PATH", help="tokenizer.json, tokenizer.model, a directory or a hub id")
    decode.set_defaults(run=_decode)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except CandorError as error:
        print(f"{error.cause}\n{error.remedy}", file=sys.stderr)
        return 1
    return 0


def _fetch(_: argparse.Namespace) -> None:
    from lib.local import embedded
    from lib.local.gguf import converted

    converted(embedded.fetch())


def _decode(options: argparse.Namespace) -> None:
    from lib.tokenizer_files import load_tokenizer
    from lib.wire.saved import decoded, read_saved

    tokenizer = load_tokenizer(options.tokenizer) if options.tokenizer else None
    for saved in read_saved(_bytes_of(options.file)):
        for done in saved.completions(tokenizer):
            for warning in (*saved.warnings, *done.warnings):
                print(warning, file=sys.stderr)
            print(json.dumps(decoded(done), ensure_ascii=False))


def _bytes_of(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BadReply(f"{file} cannot be read: {error.strerror}.", "Give the path of a saved reply.") from error


if __name__ == "__main__":
    sys.exit(main())
