"""A diff of two texts, word by word."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import regex

from lib.segmentation.matching import matcher_of

_WORDS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|\w+|\s+|.", regex.DOTALL)


class Change(StrEnum):
    """How a piece of text changed."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True)
class Piece:
    """A piece of the old text, of the new text, or of both."""

    change: Change
    text: str


def changes(before: str, after: str) -> tuple[Piece, ...]:
    """The pieces in order, removed text before the text that replaces it.

    SAME and REMOVED pieces make up the old text, SAME and ADDED pieces the new one.
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
