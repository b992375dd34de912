"""Finding runs by any piece of their text, in every script, without words: an index of character trigrams.

A text is folded (NFKC, case) and cut into overlapping pieces; of each piece the index holds the distinct trigrams. A
piece may have the sought text only if it has all of its trigrams; whether it has is then looked up in the text itself.
Texts of one or two characters, which in Chinese are words, are looked for as beginnings of trigrams.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import regex

from lib.errors import InvalidRequest
from lib.segmentation.char_classes import plain

_MANY_MARKS = regex.compile(r"\p{M}{30}(?=\p{M})")  # as in the Stream-Safe Text Format of UAX #15
_GRAM = 3
LONGEST = 200  # characters of a sought text
_PIECE = 20_000  # characters; PostgreSQL takes no more than 1 MB of trigrams for one piece
_END = "\u0003"  # ends a piece, so that its last characters begin trigrams, too
_SHIFT = 0x80  # trigrams are kept shifted by so much: no character then means anything to a tokenizer or in a query


def folded(text: str) -> str:
    """The text as it is searched: compatibility forms and cases made one; what a database refuses made U+FFFD."""
    return plain(_normal(_normal(text).casefold()))


def _normal(text: str) -> str:
    """NFKC, of longer runs of combining marks than any script has in pieces: it takes the square of their length."""
    ends = [0, *(found.end() for found in _MANY_MARKS.finditer(text)), len(text)]
    return "".join(unicodedata.normalize("NFKC", text[start:end]) for start, end in pairwise(ends))


def cut(text: str) -> Iterator[str]:
    """A folded text in pieces, each of which repeats the end of the one before: no sought text falls between two."""
    for start in range(0, max(len(text) - LONGEST, 1), _PIECE):
        yield text[start : start + _PIECE + LONGEST]


def grams_of(piece: str) -> list[str]:
    """The distinct trigrams of a piece as the index keeps them, in order."""
    padded = _shifted(piece + _END * (_GRAM - 1))
    return sorted({padded[place : place + _GRAM] for place in range(len(piece))})


@dataclass(frozen=True)
class Sought:
    """A text that is looked for, folded, and the trigrams that a piece with it has; or just how such a one begins."""

    text: str
    grams: tuple[str, ...]
    beginnings: bool


def sought(text: str) -> Sought:
    """What to look for. Raises InvalidRequest when it is too long."""
    wanted = folded(text)
    if len(wanted) > LONGEST:
        raise InvalidRequest(
            f"The text to look for has {len(wanted)} characters; at most {LONGEST} can be looked for.", "Shorten it."
        )
    shifted = _shifted(wanted)
    if len(wanted) < _GRAM:
        return Sought(wanted, (shifted,) if wanted else (), True)
    grams = {shifted[place : place + _GRAM] for place in range(len(wanted) - _GRAM + 1)}
    return Sought(wanted, tuple(sorted(grams)), False)


def _shifted(text: str) -> str:
    return "".join(map(_shift, text))


@lru_cache(maxsize=1 << 16)
def _shift(char: str) -> str:
    number = ord(char) + _SHIFT
    if ord(char) < 0xD800 <= number:
        number += 0x800  # across the surrogates, which no database takes
    return chr(number) if number <= 0x10FFFF else "\ufffd"  # shared with another one, which the text then tells apart
