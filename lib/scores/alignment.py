"""Align the tokens of two models on the same text, and compare their logprobs span by span.

With one tokenizer the spans are its tokens. With two, they are the shortest runs of tokens that start and end at the
same characters in both. If the tokenizers normalize the text differently, only the text they share is compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import regex
from numpy.typing import NDArray

from lib.core.tokens import Tokens
from lib.segmentation.matching import matcher_of

_WORDS = regex.compile(rb"[A-Za-z0-9_]+|[\x80-\xff]+|\s+|.", regex.DOTALL)

Sums = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Aligned:
    """`m` aligned spans, in order."""

    texts: tuple[str, ...]  # m, each span's text as the first model has it
    around: tuple[str, ...]  # m + 1, the text before, between and after the spans, which is not compared
    first: Rows  # int64[m, 2], first row and row after the last, in the first model's tokens
    second: Rows  # int64[m, 2], the same in the second model's tokens
    logprobs: Sums  # float64[m], nats, summed over each span by the first model
    others: Sums  # float64[m], nats, the same by the second model
    left_out: tuple[int, int]  # scored tokens of each model that are in no span

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def characters(self) -> int:
        """The number of characters compared."""
        return sum(map(len, self.texts))

    @property
    def differences(self) -> Sums:
        """float64[m], nats: how much more likely the second model finds each span than the first."""
        found: Sums = self.others - self.logprobs
        return found

    def bits_per_character(self) -> tuple[float, float]:
        """Bits per compared character by each model; NaN if nothing is compared. Lower is more confident."""
        if not self.characters:
            return math.nan, math.nan
        unit = -math.log(2) * self.characters
        return float(self.logprobs.sum()) / unit, float(self.others.sum()) / unit

    def largest(self, count: int, *, gains: bool) -> list[int]:
        """Spans the second model finds most strongly more likely (gains) or less likely, largest difference first."""
        change = self.differences if gains else -self.differences
        order = np.argsort(-change, kind="stable")[:count]
        return [int(span) for span in order if change[span] > 0]


def aligned(first: Tokens, second: Tokens) -> Aligned:
    """Align two tokenizations of a text.

    Leaves out tokens without text, such as control tokens, and spans with an unscored or impossible (p = 0) token.
    """
    mine, theirs = _Read(first), _Read(second)
    texts, around, rows, others, reached = [], [], [], [], 0
    for start, other, length in _common(mine.data, theirs.data):
        for begin, end in _spans(mine, theirs, start, other, length):
            own = mine.between(start + begin, start + end)
            their = theirs.between(other + begin, other + end)
            if own is not None and their is not None:
                texts.append(mine.data[start + begin : start + end].decode("utf-8", "replace"))
                around.append(mine.data[reached : start + begin].decode("utf-8", "replace"))
                reached = start + end
                rows.append(own)
                others.append(their)
    left, right = (np.array(each, np.int64).reshape(-1, 2) for each in (rows, others))
    counted = [int((each[:, 1] - each[:, 0]).sum()) for each in (left, right)]
    return Aligned(
        tuple(texts),
        (*around, mine.data[reached:].decode("utf-8", "replace")),
        left,
        right,
        mine.sums(left),
        theirs.sums(right),
        (mine.scored - counted[0], theirs.scored - counted[1]),
    )


class _Read:
    """The bytes of some tokens, and the offset of each."""

    def __init__(self, tokens: Tokens) -> None:
        refs, pieces = tokens.refs, tokens.pieces
        known = refs >= 0
        texted = known.copy()
        texted[known] = ~pieces.special[refs[known]]
        parts = [pieces.bytes_of(int(ref)) if says else b"" for ref, says in zip(refs, texted, strict=True)]
        self.data = b"".join(parts)
        self.starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
        self.texted = texted
        self.logprobs = tokens.logprobs.astype(np.float64)
        self.usable = np.isfinite(self.logprobs)
        self.scored = int((self.usable & texted).sum())
        # Of several tokens with the same offset, only the last has bytes.
        self.at = {int(start): row for row, start in enumerate(self.starts)}

    def between(self, start: int, end: int) -> tuple[int, int] | None:
        """The rows of exactly these bytes; None unless all of them can be compared."""
        first, last = self.at[start], self.at[end]
        while last > first and self.starts[last - 1] == end:  # tokens without bytes before the next one
            last -= 1
        rows = slice(first, last)
        return (first, last) if bool((self.usable[rows] & self.texted[rows]).all()) else None

    def sums(self, rows: Rows) -> Sums:
        """float64[m]: sums of logprobs over ranges of rows."""
        return np.array([math.fsum(self.logprobs[first:last]) for first, last in rows], np.float64)


def _spans(mine: _Read, theirs: _Read, start: int, other: int, length: int) -> list[tuple[int, int]]:
    """(start, end) of the spans in a text that both share, as offsets into it."""
    ours = mine.starts[(mine.starts >= start) & (mine.starts <= start + length)] - start
    those = theirs.starts[(theirs.starts >= other) & (theirs.starts <= other + length)] - other
    both = np.intersect1d(ours, those)
    # Never split a character of several bytes.
    whole = [place for place in map(int, both) if start + place == len(mine.data) or _begins(mine.data[start + place])]
    return list(pairwise(whole))


def _begins(byte: int) -> bool:
    return byte & 0xC0 != 0x80


def _common(first: bytes, second: bytes) -> list[tuple[int, int, int]]:
    """(start in first, start in second, length) of the texts that both share, in order."""
    if first == second:
        return [(0, 0, len(first))] if first else []
    words, others = _WORDS.findall(first), _WORDS.findall(second)
    mine = np.concatenate([[0], np.cumsum([len(word) for word in words])])
    theirs = np.concatenate([[0], np.cumsum([len(word) for word in others])])
    matcher = matcher_of(words, others)
    return [
        (int(mine[block.a]), int(theirs[block.b]), int(mine[block.a + block.size] - mine[block.a]))
        for block in matcher.get_matching_blocks()
        if block.size
    ]
