"""Options that commands share: where an imported model is, and what may be spent. Light, as the options of commands."""

from __future__ import annotations

from typing import Any


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
