"""Whether a generated answer is right: one rule per evaluation, and what the rule compared."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lib.errors import InvalidPattern, InvalidRequest
from lib.segmentation.patterns import compiled

_PATTERN_SECONDS = 0.2  # for one answer
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(r"[-+−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+−]?\.\d+")
_LONGEST_JSON = 1_000_000  # characters


class Rule(StrEnum):
    """How an answer is compared with what was expected. With several expected answers, one is enough."""

    EXACT = "exact"  # the same characters, without white space around them
    NORMALIZED = "normalized"  # the same without case, punctuation, articles and repeated spaces
    CONTAINS = "contains"  # the normalized answer contains the words of the normalized expected answer
    NUMBER = "number"  # the first number of the answer, within a tolerance
    PATTERN = "pattern"  # the expected answer is a regular expression that matches somewhere
    JSON_FIELD = "json field"  # one field of a JSON answer, compared as NORMALIZED


@dataclass(frozen=True)
class Grader:
    """A rule and its settings."""

    rule: Rule = Rule.NORMALIZED
    tolerance: float = 0.0  # of NUMBER, relative to the expected number
    field: str = ""  # of JSON_FIELD: its name, or names joined by dots
    first_line: bool = True  # compare only the first line of the answer that is not empty

    @property
    def compares_whole(self) -> bool:
        """Whether an answer is right in one wording only, apart from case and punctuation."""
        return self.rule in (Rule.EXACT, Rule.NORMALIZED)

    def in_words(self) -> str:
        """The rule with its settings."""
        tolerance = f", tolerance {self.tolerance:g}" if self.rule is Rule.NUMBER and self.tolerance else ""
        field = f" {self.field}" if self.rule is Rule.JSON_FIELD else ""
        return f"{self.rule}{field}{tolerance}"

    def check(self, expected: Sequence[str]) -> None:
        """Raise InvalidRequest if no answer can be compared with what is expected by this rule."""
        if not expected:
            raise InvalidRequest("Nothing is expected.", "Give each row an expected answer.")
        if not 0 <= self.tolerance < math.inf:
            raise InvalidRequest(f"The tolerance is {self.tolerance:g}.", "Use 0, or a positive number such as 0.01.")
        for each in expected:
            if self.rule is Rule.NUMBER and number_in(each) is None:
                raise InvalidRequest(f"“{each[:80]}” isn't a number.", "Choose another rule, or correct the row.")
            if self.rule is Rule.PATTERN:
                compiled(each)
            if self.rule in (Rule.NORMALIZED, Rule.CONTAINS) and not normalized(each):
                raise InvalidRequest(f"Nothing is left of “{each[:80]}” once it is normalized.", "Use the rule exact.")
        if self.rule is Rule.JSON_FIELD and not self.field.strip():
            raise InvalidRequest("No JSON field is named.", "Name the one to compare, such as answer or items.0.name.")

    def grade(self, answer: str, expected: Sequence[str]) -> Grade:
        """Compare an answer. Raises InvalidPattern if a pattern takes too long on it."""
        text = _first_line(answer) if self.first_line and self.rule is not Rule.JSON_FIELD else answer.strip()
        if self.rule is Rule.JSON_FIELD:
            value = json_field(text, self.field)
            if value is None:
                return Grade(False, "")
            text = value
        compared = self._compared(text)
        return Grade(any(self._matches(compared, each) for each in expected), compared)

    def _compared(self, text: str) -> str:
        if self.rule is Rule.NUMBER:
            found = number_in(text)
            return "" if found is None else f"{found:g}"
        return text if self.rule in (Rule.EXACT, Rule.PATTERN) else normalized(text)

    def _matches(self, compared: str, expected: str) -> bool:
        match self.rule:
            case Rule.EXACT:
                return compared == expected.strip()
            case Rule.CONTAINS:
                return f" {normalized(expected)} " in f" {compared} "
            case Rule.NUMBER:
                ours, theirs = number_in(compared), number_in(expected)
                return ours is not None and theirs is not None and abs(ours - theirs) <= self.tolerance * abs(theirs)
            case Rule.PATTERN:
                return _found(compiled(expected), compared)
            case _:
                return compared == normalized(expected)


@dataclass(frozen=True)
class Grade:
    """Whether an answer is right."""

    right: bool
    compared: str  # what of the answer was compared; "" if it has nothing of the kind


def normalized(text: str) -> str:
    """Lower case, without punctuation, the articles a, an and the, and extra spaces.

    As in the evaluation of SQuAD (Rajpurkar et al. 2016), but for all scripts, and the signs of numbers and % stay.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(" " if _is_punctuation(folded, place) else each for place, each in enumerate(folded))
    return " ".join(_ARTICLES.sub(" ", kept).split())


def _is_punctuation(text: str, place: int) -> bool:
    each = text[place]
    if each == "%" or unicodedata.category(each)[0] not in "PS":
        return False
    following = text[place + 1 : place + 2]
    if each in ".,-+−" and following.isdigit():  # part of a number, unless it ends a word before it
        return each in "-+−" and text[place - 1 : place].isalnum()
    return True


def number_in(text: str) -> float | None:
    """The first number in a text; commas may group its thousands."""
    found = _NUMBER.search(text)
    if found is None:
        return None
    try:
        value = float(found[0].replace(",", "").replace("−", "-"))
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def json_field(text: str, path: str) -> str | None:
    """A field of the first JSON object or array in a text, as text; None if there is none. path: "items.0.name"."""
    start = min((place for place in (text.find("{"), text.find("[")) if place >= 0), default=-1)
    if start < 0 or len(text) > _LONGEST_JSON:
        return None
    try:
        value: Any = json.JSONDecoder().raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None
    for name in path.strip().split("."):
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and len(name) < 10 and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _found(pattern: Any, text: str) -> bool:
    try:
        return pattern.search(text, timeout=_PATTERN_SECONDS, concurrent=True) is not None
    except TimeoutError as error:
        raise InvalidPattern("A pattern takes too long on an answer.", "Simplify it in the file.") from error
