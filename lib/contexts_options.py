"""The options of `candor evaluate-contexts`. Light: every command of `candor` reads them."""

from __future__ import annotations

import argparse
from typing import Any

from lib.model_options import add_caps, add_model

MODES = ("raw", "chat")
PASSAGE_FIRST, QUESTION_FIRST = "passage-first", "question-first"


def add_evaluate_contexts(commands: Any) -> argparse.ArgumentParser:
    """Add the command `evaluate-contexts`, and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate-contexts",
        help="measure which scoring of retrieved passages finds the right one, with a model and questions of yours",
        description="Scores the passages of questions whose right passage is known, and reports how often each scoring "
        "keeps the right one against the tokens saved. Answers are saved in the output folder and not asked for twice.",
        epilog="docs/contexts.md explains the scorings and the figures.",
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where answers, scores and the report are saved")
    parser.add_argument(
        "--replace", action="store_true", help="write over the report of another measurement in that folder"
    )
    _add_questions(parser.add_argument_group("the questions"))
    _add_asking(parser.add_argument_group("how they are asked"))
    add_model(parser)
    add_caps(parser.add_argument_group("limits"))
    return parser


def _add_questions(group: Any) -> None:
    group.add_argument(
        "--data", default="", metavar="FILE",
        help="rows with question, passages and right, the id of the right passage; by default, the ready set",
    )  # fmt: skip
    group.add_argument(
        "--part", default="",
        help="the rows with this value in the column part (default development if there are any, else all)",
    )  # fmt: skip
    group.add_argument("--final", action="store_true", help="score the held-out part, which you should score only once")
    group.add_argument("--most", type=int, metavar="N", help="ask only N of the questions, evenly spaced")


def _add_asking(group: Any) -> None:
    group.add_argument(
        "--mode", choices=MODES, default="raw", help="send prompts raw or as chat messages (default %(default)s)"
    )
    template = group.add_mutually_exclusive_group()
    template.add_argument(
        "--order", choices=(PASSAGE_FIRST, QUESTION_FIRST), default=PASSAGE_FIRST,
        help="the template: what comes first in the prompt (default %(default)s)",
    )  # fmt: skip
    template.add_argument(
        "--template", default="", metavar="FILE", help="your own template: text with {passage} and {question}"
    )
    group.add_argument(
        "--no-gain", action="store_true",
        help="leave out the answer gain, which takes one answer per question and one more call per passage",
    )  # fmt: skip
    group.add_argument(
        "--answers", action="store_true",
        help="also answer in full from the best passages, from all and from none, where the column expected has an "
        "answer",
    )  # fmt: skip
