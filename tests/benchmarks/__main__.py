"""`make bench`: every group, or the one named; exits 1 when a goal is missed."""

from __future__ import annotations

import importlib
import sys

GROUPS = (
    "engine",
    "wire",
    "serve",
    "client",
    "map",
    "branch",
    "store",
    "compare",
    "plan",
    "page",
    "weights",
    "evaluate",
    "doubts",
    "contexts",
)


def main() -> int:
    wanted = sys.argv[1:] or list(GROUPS)
    short = 0
    for name in wanted:
        if name not in GROUPS:
            print(f"There is no group {name!r}; the groups are {', '.join(GROUPS)}.", file=sys.stderr)
            return 2
        for figure in importlib.import_module(f"tests.benchmarks.{name}").figures():
            print(figure.line(), flush=True)
            short += figure.line().endswith("short")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
