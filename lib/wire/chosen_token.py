"""Which entry of a position is the token that stands there.

Never simply the most likely entry: that would name every surprising token after its runner-up. A response with ids
does not say which entry was chosen, so it is inferred from what else is known, the most certain evidence first. Where
nothing decides, it stays unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lib.core.pieces import Ints
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.positions import UNDECIDED, Positions

_MOST_PATHS = 4096  # ways through a text that are followed at once
_MOST_WORK = 1_000_000  # tries for a whole answer; one of ordinary text takes two or three for each token


def by_ids(found: Positions, ids: Sequence[int]) -> Ints | None:
    """The entries that these ids are, or None unless there is one for every scored position (int32[n])."""
    if len(ids) != len(found):
        return None
    matches = found.ids == np.array(ids, np.int64)[found.rows]
    chosen = np.full(len(found), UNDECIDED, np.int32)
    places = np.flatnonzero(matches)
    chosen[found.rows[places]] = places
    return chosen if (chosen[found.counts > 0] >= 0).all() else None


def by_rank(found: Positions, k: int) -> Ints:
    """A position holds the k likeliest tokens and its own: what ranks below k is its own (int32[n])."""
    return _single(found, found.ranks > max(k, 1))


def by_single_entry(found: Positions) -> Ints:
    """Where there is one entry, that is it (int32[n])."""
    return _single(found, np.ones(len(found.ids), bool))


def _single(found: Positions, candidates: NDArray[np.bool_]) -> Ints:
    """The candidate of each position that has exactly one."""
    rows = found.rows[candidates]
    chosen = np.full(len(found), UNDECIDED, np.int32)
    chosen[rows] = np.flatnonzero(candidates)
    chosen[np.bincount(rows, minlength=len(found)) != 1] = UNDECIDED
    return chosen


def by_order(found: Positions, known: Ints) -> Ints:
    """The first entry of each position, if the order can be trusted (int32[n], all -1 if not).

    The service puts a position's own token first and then the likeliest, best first; but nothing promises it, and
    whatever passes JSON on may sort its keys. So some position must stand in an order that no sorting of keys gives,
    and no position may contradict: neither by those `known` already nor by likelier tokens after less likely ones.
    """
    undecided = np.full(len(found), UNDECIDED, np.int32)
    several = found.counts > 1
    if not several.any():
        return undecided
    decided = (known >= 0) & several
    if (known[decided] != found.offsets[:-1][decided]).any():
        return undecided
    within = found.rows[1:] == found.rows[:-1]
    inner = within & np.append(False, within[:-1])  # pairs that do not begin with a position's first entry
    if (found.logprobs[1:] > found.logprobs[:-1])[inner].any():
        return undecided
    names = [str(number) for number in found.ids.tolist()]
    texts = np.array([one > other for one, other in pairwise(names)], bool)
    # Both must be broken in one and the same response: sorted as numbers it breaks the order of texts, and vice versa.
    if not (within & (found.ids[:-1] > found.ids[1:])).any() or not (within & texts).any():
        return undecided
    return np.where(several, found.offsets[:-1], UNDECIDED).astype(np.int32)


def by_text(found: Positions, text: str, tokenizer: Tokenizer, *, stopped: bool) -> Ints:
    """Where only one of a position's entries lets the positions spell the text, that is it (int32[n]).

    stopped: whether tokens may follow the text, or reach beyond it, as the tokens of a stop string do.
    """
    chosen = np.full(len(found), UNDECIDED, np.int32)
    if not (found.counts > 1).any() or "\N{REPLACEMENT CHARACTER}" in text:
        return chosen
    data = text.encode("utf-8", "surrogatepass")
    steps = [_steps(found, position, tokenizer) for position in range(len(found))]
    reached: list[set[int]] = [{0}]
    work = 0
    for step in steps:
        work += len(reached[-1]) * len(step)
        if work > _MOST_WORK:
            return chosen
        places = {
            after
            for place in reached[-1]
            for _, blob, special in step
            for after in _after(data, place, blob, special, stopped)
        }
        if not places or len(places) > _MOST_PATHS:
            return chosen
        reached.append(places)
    useful = {len(data)} & reached[-1]
    for position in range(len(found) - 1, -1, -1):
        before: set[int] = set()
        ways: set[int] = set()
        for place in reached[position]:
            for entry, blob, special in steps[position]:
                if any(after in useful for after in _after(data, place, blob, special, stopped)):
                    before.add(place)
                    ways.add(entry)
        if len(ways) == 1:
            chosen[position] = ways.pop()
        useful = before
    return chosen if useful else np.full(len(found), UNDECIDED, np.int32)


def _steps(found: Positions, position: int, tokenizer: Tokenizer) -> list[tuple[int, bytes, bool]]:
    pieces, size = tokenizer.vocabulary.pieces, len(tokenizer.vocabulary)
    return [
        (entry, pieces.bytes_of(number), bool(pieces.special[number]))
        for entry in found.row(position)
        if 0 <= (number := int(found.ids[entry])) < size
    ]


def _after(data: bytes, place: int, blob: bytes, special: bool, stopped: bool) -> list[int]:
    """Where the text may have been spelled to after this token."""
    places = [place] if special else []
    if data.startswith(blob, place) and not special:
        places.append(place + len(blob))
    elif place == 0 and blob.startswith(b" ") and data.startswith(blob[1:]) and not special:
        places.append(len(blob) - 1)  # SentencePiece writes no space at the front of a text
    if stopped and not special and len(blob) >= len(data) - place and blob.startswith(data[place:]):
        places.append(len(data))
    return places


def decided(found: Positions, ways: Sequence[tuple[str, Ints]]) -> tuple[Positions, tuple[str, ...]]:
    """The positions with whatever the ways decide, earlier ways first; and the names of those that decided any."""
    chosen = found.chosen.copy()
    used = []
    for name, own in ways:
        new = (chosen < 0) & (own >= 0)
        if new.any():
            chosen[new] = own[new]
            used.append(name)
    if ((chosen < 0) & (found.counts > 0)).any():
        used.append("unknown")
    return replace(found, chosen=chosen), tuple(used)
