"""Options that commands share: the model, how many rows, and what may be spent. Light, as the options of commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

Row = TypeVar("Row")


def add_model(parser: Any) -> None:
    """Add which model is asked, and where an imported one is, to a parser."""
    group = parser.add_argument_group("the model")
    group.add_argument(
        "--model", default="embedded",
        help="embedded, ardenworks, a model directory, a GGUF file, a hub id or an ARN (default %(default)s)",
    )  # fmt: skip
    add_imported_model(group)


def add_imported_model(group: Any) -> None:
    """Add the options of an imported model to a group of a parser."""
    group.add_argument("--region", default="", help="the AWS region of an imported model")
    group.add_argument("--profile", default="", help="the AWS profile")
    group.add_argument("--endpoint", default="", metavar="URL", help="an endpoint instead of Bedrock's own")
    group.add_argument("--tokenizer", default="", metavar="PATH", help="the tokenizer of an imported model")


def add_caps(group: Any) -> None:
    """Add the caps on calls and dollars to a group of a parser."""
    group.add_argument("--max-dollars", type=float, metavar="N", help="the most to spend on Bedrock, by estimate")
    group.add_argument("--max-calls", type=int, metavar="N", help="the most calls to Bedrock; a local model has no cap")


def some(rows: Sequence[Row], most: int | None) -> list[Row]:
    """At most that many of the rows, spread evenly over them; None for all."""
    if most is None or most >= len(rows):
        return list(rows)
    return [rows[place * len(rows) // most] for place in range(most)]
