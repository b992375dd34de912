"""Which passages to keep: by threshold, by number, or by a budget of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from lib.contexts.passages import Passage
from lib.contexts.scorings import Scores


class Rule(StrEnum):
    """How many passages are kept. The values are stored."""

    TOP = "top"  # the best ones
    THRESHOLD = "threshold"  # those with at least this score
    BUDGET = "budget"  # the best ones that together have at most this many tokens


@dataclass(frozen=True)
class Keep:
    """A rule with its value: a number of passages, a score, or a number of tokens."""

    rule: Rule = Rule.TOP
    value: float = 3.0


def ranked(scores: Scores) -> tuple[int, ...]:
    """The places of the passages, best first. Those without a score come last; ties keep their order."""
    return tuple(np.argsort(np.where(np.isnan(scores), np.inf, -scores), kind="stable").tolist())


def kept(scores: Scores, keep: Keep, tokens: Sequence[int] = ()) -> tuple[int, ...]:
    """The places of the passages to keep, best first. A passage without a score is never kept.

    tokens: of each passage, for a budget. A passage that is over the budget is skipped, and a smaller one that still
    fits is kept.
    """
    places = [each for each in ranked(scores) if not np.isnan(scores[each])]
    if keep.rule is Rule.TOP:
        return tuple(places[: max(0, int(keep.value))])
    if keep.rule is Rule.THRESHOLD:
        return tuple(each for each in places if scores[each] >= keep.value)
    found, left = [], keep.value
    for place in places:
        if tokens[place] <= left:
            found.append(place)
            left -= tokens[place]
    return tuple(found)


def cut_to(passages: Sequence[Passage], most: int, count: Callable[[str], int]) -> tuple[Passage, ...]:
    """The passages, each cut to at most `most` tokens. One of which nothing is left keeps its first character.

    count: the number of tokens of a text. A cut is at a space where there is one nearby.
    """
    return tuple(replace(each, text=shortened(each.text, most, count) or each.text[:1]) for each in passages)


def shortened(text: str, most: int, count: Callable[[str], int]) -> str:
    """A beginning of a text with at most `most` tokens, about as long as can be.

    The place is first guessed from the number of tokens, so that long texts are counted once, not at each step.
    """
    tokens = count(text)
    if tokens <= most:
        return text
    low, high = 0, len(text)  # a beginning of `low` characters fits, one of `high` does not
    guess = len(text) * max(most, 0) // tokens
    for place in (guess - guess // _MARGIN, guess + guess // _MARGIN):
        if low < place < high:
            low, high = (place, high) if count(text[:place]) <= most else (low, place)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(text[:middle]) <= most else (low, middle)
    space = text.rfind(" ", max(0, low - _WORD), low)
    for end in (space, low):  # a token may need its end, so that less text has more tokens
        if end > 0 and count(found := text[:end].rstrip()) <= most:
            return found
    return ""


_WORD = 30  # characters; a cut looks back this far for a space
_MARGIN = 20  # part of a guessed length, in which the place is looked for first
