"""The command line: `python -m lib --help`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from lib.errors import CandorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib", description="Candor without a browser.")
    commands = parser.add_subparsers(required=True, metavar="command")
    fetch = commands.add_parser("fetch", help="fetch and convert the embedded model, unless that has been done")
    fetch.set_defaults(run=_fetch)
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


if __name__ == "__main__":
    sys.exit(main())
