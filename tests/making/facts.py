"""What domains give: facts about entities, and relations that say how to ask for them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import inflect

_LISTS = Path(__file__).parent / "lists.txt"
# Answers that are right for entities that do not exist.
NO_SUCH = ("unknown", "does not exist", "doesn't exist", "there is no such", "not real", "fictional", "not aware")


@dataclass(frozen=True)
class Fact:
    """What is true of one entity."""

    entity: str  # "kind: name"; the unit of the split
    subjects: tuple[str, ...]  # what a sentence names: {0}, {1} …
    answers: tuple[str, ...]  # the usual one first, then aliases


@dataclass(frozen=True)
class Relation:
    """A kind of fact, and the sentences that ask for it."""

    name: str
    domain: str
    line: str  # a statement that the answer completes, with {0}, {1} …; "" for none
    question: str  # the same as a question
    facts: tuple[Fact, ...]
    invented: str = ""  # the kind of entities to invent; "" for none
    chat: bool = True  # whether a model that is asked in a chat can know what kind of answer is meant


def fact(kind: str, name: str, answers: str | Iterable[str], *subjects: str) -> Fact:
    """A fact about "kind: name", which the sentence names by `subjects`, or else by its name."""
    given = (answers,) if isinstance(answers, str) else tuple(answers)
    found = dict.fromkeys((*given, *map(_without_accents, given)))
    return Fact(f"{kind}: {name}", subjects or (name,), tuple(found))


def _without_accents(text: str) -> str:
    """A right answer is still right without its accents."""
    if not text.isascii() and unicodedata.name(text[0], "").startswith("LATIN"):
        return "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))
    return text


@cache
def words(name: str) -> tuple[str, ...]:
    """A list of lists.txt."""
    found = dict(part.split(":\n") for part in _LISTS.read_text(encoding="utf-8").split("\n\n"))
    return tuple(found[name].split())


@cache
def in_words(number: int) -> str:
    """47 → forty-seven."""
    return str(inflect.engine().number_to_words(number, andword="")).replace("  ", " ")


def as_number(number: int) -> tuple[str, ...]:
    """A number as digits, with its words as an alias."""
    return (str(number), in_words(number)) if number < 1_000 else (str(number), f"{number:,}")
