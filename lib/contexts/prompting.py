"""The prompt of a question with a passage: a template, filled in one pass, with the places of what was put in.

A passage is data: markers, braces or instructions in it are text like any other, because nothing is filled in twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lib.errors import InvalidRequest

LONGEST = 20_000  # characters of a template
JOIN = "\n\n"  # between several passages
_MARKER = re.compile(r"\{(passage|question)\}")
_BLANK = re.compile(r"\n[ \t]*\n\s*")


class Order(StrEnum):
    """What comes first in a prompt."""

    PASSAGE_FIRST = "passage first"  # prompt logprobs then tell how likely the question is after the passage
    QUESTION_FIRST = "question first"


TEMPLATES: dict[Order, str] = {
    Order.PASSAGE_FIRST: "{passage}\n\nQuestion: {question}\nAnswer:",
    Order.QUESTION_FIRST: "Question: {question}\n\nUse this text to answer:\n{passage}\n\nAnswer:",
}


@dataclass(frozen=True)
class Filled:
    """A prompt, and where the passage and the question are in it, in characters."""

    text: str
    passage: tuple[int, int]
    question: tuple[int, int]


def check_template(template: str) -> None:
    """Raise InvalidRequest unless a template has each marker exactly once."""
    if len(template) > LONGEST:
        raise InvalidRequest(f"The template has more than {LONGEST:,} characters.", "Shorten it.")
    found = _MARKER.findall(template)
    for name in ("passage", "question"):
        if found.count(name) != 1:
            times = "is missing from" if name not in found else "occurs more than once in"
            raise InvalidRequest(f"{{{name}}} {times} the template.", "Use {passage} and {question} once each.")


def order_of(template: str) -> Order:
    """What comes first in a valid template."""
    first = _MARKER.search(template)
    return Order.PASSAGE_FIRST if first is not None and first[1] == "passage" else Order.QUESTION_FIRST


def filled(template: str, passage: str, question: str) -> Filled:
    """The prompt. Raises InvalidRequest if the template is invalid."""
    check_template(template)
    values, places = {"passage": passage, "question": question}, {}
    parts, size, last = [], 0, 0
    for marker in _MARKER.finditer(template):
        before, value = template[last : marker.start()], values[marker[1]]
        places[marker[1]] = (size + len(before), size + len(before) + len(value))
        parts += [before, value]
        size, last = places[marker[1]][1], marker.end()
    return Filled("".join((*parts, template[last:])), places["passage"], places["question"])


def closed_book(template: str, question: str) -> str:
    """The prompt without any passage: the template without the paragraph of {passage}.

    If the question is in the same paragraph, only the marker is removed. Raises InvalidRequest.
    """
    check_template(template)
    paragraphs = _BLANK.split(template)
    others = [each for each in paragraphs if "{passage}" not in each]
    text = JOIN.join(others) if any("{question}" in each for each in others) else template.replace("{passage}", "")
    before, after = text.split("{question}")
    return f"{before}{question}{after}".lstrip()


def joined_passages(passages: Sequence[str]) -> str:
    """Several passages as one, for {passage}."""
    return JOIN.join(passages)
