"""Which passages to keep: by threshold, by number, or by a budget of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from lib.contexts.passages import Passages
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


def cut_to(found: Passages, most: int, count: Callable[[str], int]) -> Passages:
    """The passages, each cut to at most `most` tokens, with a note of those that were.

    count: the number of tokens of a text. A cut is at a space where there is one nearby.
    """
    cut = []
    passages = []
    for each in found.passages:
        text = shortened(each.text, most, count)
        if text != each.text:
            cut.append(each.id)
        if text:
            passages.append(replace(each, text=text))
    if not cut:
        return found
    which = ", ".join(f"“{each}”" for each in cut[:3]) + (f" and {len(cut) - 3} more" if len(cut) > 3 else "")
    note = f"Cut to {most:,} tokens, to fit into the model's context: {which}."
    return Passages(tuple(passages), (*found.notes, note))


def shortened(text: str, most: int, count: Callable[[str], int]) -> str:
    """The longest beginning of a text with at most `most` tokens, found by halving."""
    if count(text) <= most:
        return text
    low, high = 0, len(text)  # a beginning of `low` characters fits, one of `high` does not
    while high - low > 1:
        middle = (low + high) // 2
        if count(text[:middle]) <= most:
            low = middle
        else:
            high = middle
    space = text.rfind(" ", low - _WORD if low > _WORD else 0, low)
    return text[: space if space > 0 else low].rstrip()


_WORD = 30  # characters; a cut looks back this far for a space
