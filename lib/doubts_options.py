"""The options of `candor evaluate-doubts`. Light: every command of `candor` reads them."""

from __future__ import annotations

import argparse
from typing import Any

from lib.errors import InvalidRequest
from lib.model_options import add_caps, add_model

HELD_OUT = "held-out"
PARTS = ("design", "development", HELD_OUT)
MOST_K = 20


def add_evaluate_doubts(commands: Any) -> argparse.ArgumentParser:
    """Add the command `evaluate-doubts`, and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate-doubts",
        help="measure how well every score of doubt finds a model's errors, in answers, values and words",
        description="Asks a model the ready sets of facts and fact sheets, grades the answers, and reports how well "
        "each method tells right from wrong. Answers are saved in the output folder and not asked for twice.",
        epilog="docs/doubts.md explains the sets and the figures.",
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where answers, items and the report are saved")
    asked = parser.add_argument_group("what is asked")
    asked.add_argument(
        "--part", choices=PARTS, default="development",
        help="the part of the sets: methods are chosen on development (default %(default)s)",
    )  # fmt: skip
    asked.add_argument("--final", action="store_true", help="score the held-out part, which you should score only once")
    asked.add_argument(
        "--k", type=int, default=MOST_K, metavar="N", help="alternatives per position to ask for (default %(default)s)"
    )
    asked.add_argument(
        "--most", type=int, metavar="N",
        help="at most N prompts of each set, spread evenly over the part, for a slow model (default: all)",
    )  # fmt: skip
    asked.add_argument(
        "--verdict", action="store_true",
        help="also ask the model if each of its answers is correct: one more call of one token per answer",
    )  # fmt: skip
    compared = parser.add_argument_group("what it is compared with")
    compared.add_argument(
        "--peer", action="append", default=[], metavar="NAME=FILE",
        help="scores by another library for the lines of items.jsonl, the higher the more confident. Can be repeated",
    )  # fmt: skip
    add_model(parser)
    add_caps(parser.add_argument_group("limits"))
    return parser


def check(options: argparse.Namespace) -> None:
    """Raise InvalidRequest for options that make no report."""
    if options.part == HELD_OUT and not options.final:
        raise InvalidRequest(
            "Score the held-out part only once, after methods and defaults are chosen.",
            "Use --part development until then; add --final to score it now.",
        )
    if options.part == HELD_OUT and options.most is not None:
        raise InvalidRequest("Score the held-out part as a whole.", "Use --most with --part development.")
    if options.most is not None and options.most < 1:
        raise InvalidRequest(f"--most is {options.most}.", "Ask for at least 1 prompt of each set.")
    if not 1 <= options.k <= MOST_K:
        raise InvalidRequest(f"--k is {options.k}.", f"Ask for 1 to {MOST_K} alternatives per position.")
