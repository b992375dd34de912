"""What two sequences of words have in common, in time that is bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

_MOST_PAIRS = 3_000_000  # of places with the same word, all of which difflib looks at for each block that it finds
_FEW = 200  # words up to which difflib takes none for popular


def matcher_of(first: Sequence[T], second: Sequence[T]) -> SequenceMatcher[T]:
    """A matcher that begins at any word where that takes little time, else at rare words only.

    Where even these are too many, as in a text of a few words that repeat for ever, it finds the common beginning.
    """
    counts, others = Counter(first), Counter(second)
    if _pairs(counts, others, len(second)) <= _MOST_PAIRS:
        return SequenceMatcher(None, first, second, autojunk=False)
    popular = len(second) // 100 + 1  # as difflib has it
    if len(second) >= _FEW and _pairs(counts, others, popular) <= _MOST_PAIRS:
        return SequenceMatcher(None, first, second, autojunk=True)
    return SequenceMatcher(lambda _: True, first, second, autojunk=False)


def _pairs(counts: Counter[T], others: Counter[T], most: int) -> int:
    return sum(count * others[word] for word, count in counts.items() if others[word] <= most)
