"""The options of `candor evaluate`. Light: every command of `candor` reads them."""

from __future__ import annotations

import argparse
from typing import Any

from lib.evaluation.dataset import Task
from lib.evaluation.grading import Rule
from lib.model_options import add_caps, add_imported_model
from lib.scores.confidence import ALL_SCORES, CHOICE, DEFAULT_SCORE
from lib.statistics.maps import Kind

CONDITION_MET = 3  # exit code
# What a condition may name.
FIGURES = (
    "accuracy",
    "answered",
    "failed",
    "gap",
    "brier",
    "log_loss",
    "smooth_ece",
    "debiased_ece",
    "auroc",
    "auroc_within_groups",
    "aurc",
    "augrc",
    # Of a second model or prompt, minus that of the first:
    "accuracy_change",
    "auroc_change",
    "gap_change",
)


def add_evaluate(commands: Any) -> argparse.ArgumentParser:
    """Add the command `evaluate`, and return its parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="ask a model the questions of a labelled file, and report whether its confidence means correctness",
        description="Reads JSON Lines, JSON, CSV or Parquet. What was answered is kept in the output folder: the same "
        "command asks only for what is missing or has changed, also after it was killed.",
        epilog="docs/evaluate.md explains the columns, the rules and the report.",
    )
    parser.add_argument("data", help="the file, - for standard input, or a ready set such as ready:facts-chat")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where answers and the report are kept")
    _add_model(parser.add_argument_group("the models"))
    _add_rows(parser.add_argument_group("the rows"))
    _add_asking(parser.add_argument_group("how they are asked and graded"))
    _add_report(parser.add_argument_group("the report"))
    _add_limits(parser.add_argument_group("limits"))
    return parser


def _add_model(group: Any) -> None:
    group.add_argument(
        "--model",
        default="embedded",
        help="embedded, ardenworks (its tuned sibling), a model directory, a LoRA adapter's directory, a GGUF file, "
        "a hub id or an ARN (default %(default)s)",
    )
    group.add_argument(
        "--other-model", action="append", default=[], metavar="MODEL",
        help="compare with another model, such as a tuned one with its base. Can be repeated",
    )  # fmt: skip
    add_imported_model(group)


def _add_rows(group: Any) -> None:
    group.add_argument("--task", choices=list(Task), help="choice, short or text; guessed from the columns")
    group.add_argument("--template", default="", help="the prompt, with {column}; guessed from the columns")
    group.add_argument(
        "--other-template", action="append", default=[], metavar="TEMPLATE",
        help="compare with another prompt for the same rows. Can be repeated",
    )  # fmt: skip
    group.add_argument("--expected", default="", metavar="COLUMN", help="the column of expected answers")
    group.add_argument(
        "--choices", action="append", default=[], metavar="COLUMN", help="a column of lists, or one per choice"
    )
    group.add_argument("--slice", action="append", default=[], metavar="COLUMN", help="report its values separately")
    group.add_argument("--group", default="", metavar="COLUMN", help="says which rows are alike, such as a template")
    group.add_argument("--id", default="", metavar="COLUMN", help="the ids of rows; by default their numbers")


def _add_asking(group: Any) -> None:
    group.add_argument("--chat", action="store_true", help="send prompts as chat messages")
    group.add_argument("--max-tokens", type=int, default=32, help="new tokens per answer (default %(default)s)")
    group.add_argument(
        "--prior", default="", metavar="PROMPT", help="of choices: subtract the logprob of each after this"
    )
    group.add_argument("--by-length", action="store_true", help="of choices: compare logprobs per character")
    group.add_argument("--rule", choices=list(Rule), help="how answers are compared (default normalized)")
    group.add_argument("--tolerance", type=float, default=0.0, help="of the rule number, relative (default 0)")
    group.add_argument("--field", default="", help="of the rule json field: its name, or names joined by dots")
    group.add_argument(
        "--grades", default="", metavar="CSV",
        help="grades set by hand: a file like rows.csv, with id and right, and side where there are several",
    )  # fmt: skip


def _add_report(group: Any) -> None:
    group.add_argument(
        "--score", choices=list(ALL_SCORES), default="",
        help=f"what counts as confidence (default {DEFAULT_SCORE}; of choices, {CHOICE})",
    )  # fmt: skip
    group.add_argument(
        "--map", choices=list(Kind), default=Kind.PLATT,
        help="from score to probability (default %(default)s; temperature for choices only, isotonic from 500 rows)",
    )  # fmt: skip
    group.add_argument(
        "--risk", type=float, metavar="N",
        help="find the score above which at most this share of answers is wrong, such as 0.05",
    )  # fmt: skip
    group.add_argument(
        "--certainty",
        type=float,
        default=0.9,
        metavar="N",
        help="of --risk (default %(default)s)",
    )


def _add_limits(group: Any) -> None:
    add_caps(group)
    group.add_argument(
        "--fail-if", action="append", default=[], metavar="CONDITION",
        help=f"exit with {CONDITION_MET} if it holds, such as accuracy<0.8 or smooth_ece>0.1. Can be repeated",
    )  # fmt: skip
