"""What changed between two texts: aligned by their words, and not by where these stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import regex

from lib.segmentation.matching import matcher_of

_WORDS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|\w+|\s+|.", regex.DOTALL)


class Change(StrEnum):
    """What became of a piece of text."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True)
class Piece:
    """A piece of the text before, of the text after, or of both."""

    change: Change
    text: str


def changes(before: str, after: str) -> tuple[Piece, ...]:
    """The pieces, in order; what was removed stands before what was put in its place.

    The pieces that are the same or removed make up the text before, those that are the same or added the text after.
    """
    words, others = _WORDS.findall(before), _WORDS.findall(after)
    found: list[Piece] = []
    for kind, start, end, begin, stop in matcher_of(words, others).get_opcodes():
        if kind == "equal":
            found.append(Piece(Change.SAME, "".join(words[start:end])))
            continue
        if end > start:
            found.append(Piece(Change.REMOVED, "".join(words[start:end])))
        if stop > begin:
            found.append(Piece(Change.ADDED, "".join(others[begin:stop])))
    return tuple(found)
