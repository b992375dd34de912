"""Substring search in any script: text folding, and the character trigrams that the index contains.

Text is folded (NFKC and case) and split into overlapping pieces; the index maps each distinct trigram to its pieces. A
piece can match only if it has every trigram of the query; the text itself decides. Queries of one or two characters
match the start of trigrams.

The databases' own trigram indexes do not do this. SQLite's FTS5 `trigram` tokenizer finds nothing for queries of fewer
than three characters, which are whole words in Chinese, Japanese and Korean, and it folds case but not NFKC.
PostgreSQL's `pg_trgm` ignores what it does not count as letters or digits, scans the whole index for short queries, and
is an extension that a hosted database may not offer. One index of our own behaves the same on both.
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
LONGEST = 200  # characters of a query
_PIECE = 20_000  # characters; PostgreSQL allows at most 1 MB of trigrams for one piece
_END = "\u0003"  # pads the end of a piece, so that a trigram starts at each of its characters
_SHIFT = 0x80  # added to each code point of a trigram: no character is then special to a tokenizer or in a query


def folded(text: str) -> str:
    """Fold compatibility forms and case, and replace what a database refuses with U+FFFD."""
    return plain(_normal(_normal(text).casefold()))


def _normal(text: str) -> str:
    """NFKC, with very long runs of combining marks split: its time grows with the square of their length."""
    ends = [0, *(found.end() for found in _MANY_MARKS.finditer(text)), len(text)]
    return "".join(unicodedata.normalize("NFKC", text[start:end]) for start, end in pairwise(ends))


def overlapping_pieces(text: str) -> Iterator[str]:
    """Split a folded text into pieces that overlap by LONGEST characters, so that no match is split."""
    for start in range(0, max(len(text) - LONGEST, 1), _PIECE):
        yield text[start : start + _PIECE + LONGEST]


def grams_of(piece: str) -> list[str]:
    """The distinct trigrams of a piece as the index stores them, sorted."""
    padded = _shifted(piece + _END * (_GRAM - 1))
    return sorted({padded[place : place + _GRAM] for place in range(len(piece))})


@dataclass(frozen=True)
class Sought:
    """A query."""

    text: str  # folded
    grams: tuple[str, ...]  # trigrams that a matching piece has, as the index stores them
    prefix: bool  # whether `grams` is only the start of a trigram, for a query of one or two characters


def sought(text: str) -> Sought:
    """Prepare a query. Raises InvalidRequest if it is too long."""
    wanted = folded(text)
    if len(wanted) > LONGEST:
        raise InvalidRequest(f"The search text has {len(wanted)} characters; the limit is {LONGEST}.", "Shorten it.")
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
        number += 0x800  # skip the surrogates, which no database accepts
    return chr(number) if number <= 0x10FFFF else "\ufffd"  # ambiguous, but the text itself decides
