"""Match two sequences of words in bounded time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

_MOST_PAIRS = 3_000_000  # pairs of equal words, all of which difflib visits for every block it finds
_FEW = 200  # words below which difflib treats no word as popular


def matcher_of(first: Sequence[T], second: Sequence[T]) -> SequenceMatcher[T]:
    """A matcher that starts blocks at any word if that is fast, else only at rare words.

    If even those are too many, as in a text that repeats a few words, it only finds the common beginning.
    """
    counts, others = Counter(first), Counter(second)
    if _pairs(counts, others, len(second)) <= _MOST_PAIRS:
        return SequenceMatcher(None, first, second, autojunk=False)
    popular = len(second) // 100 + 1  # the same as in difflib
    if len(second) >= _FEW and _pairs(counts, others, popular) <= _MOST_PAIRS:
        return SequenceMatcher(None, first, second, autojunk=True)
    return SequenceMatcher(lambda _: True, first, second, autojunk=False)


def _pairs(counts: Counter[T], others: Counter[T], most: int) -> int:
    return sum(count * others[word] for word, count in counts.items() if others[word] <= most)
