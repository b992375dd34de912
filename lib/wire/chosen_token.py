"""Infer which entry of each position is the chosen token.

A response with ids doesn't say which entry was chosen, so it is inferred from other evidence, the most certain first.
If nothing decides, it remains unknown. It is never simply the most likely entry: that would replace every surprising
token with its runner-up.
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

_MOST_PATHS = 4096  # paths through a text that are followed at once
_MOST_WORK = 1_000_000  # attempts for a whole answer; ordinary text takes two or three per token


def by_ids(found: Positions, ids: Sequence[int]) -> Ints | None:
    """The entries with these ids (int32[n]); None unless every scored position has one."""
    if len(ids) != len(found):
        return None
    matches = found.ids == np.array(ids, np.int64)[found.rows]
    chosen = np.full(len(found), UNDECIDED, np.int32)
    places = np.flatnonzero(matches)
    chosen[found.rows[places]] = places
    return chosen if (chosen[found.counts > 0] >= 0).all() else None


def by_rank(found: Positions, k: int) -> Ints:
    """The entry of each position that ranks below the top k, which can only be its own token (int32[n])."""
    return _single(found, found.ranks > max(k, 1))


def by_single_entry(found: Positions) -> Ints:
    """The entry of each position that has only one (int32[n])."""
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

    The service puts a position's own token first, then the most likely ones in order. This isn't documented, and any
    program that passes JSON on may sort its keys. So at least one position must be in an order that no sorting of keys
    produces, and none may contradict: the `known` entries must be first, and no token may follow a less likely one.
    """
    undecided = np.full(len(found), UNDECIDED, np.int32)
    several = found.counts > 1
    if not several.any():
        return undecided
    decided = (known >= 0) & several
    if (known[decided] != found.offsets[:-1][decided]).any():
        return undecided
    within = found.rows[1:] == found.rows[:-1]
    inner = within & np.append(False, within[:-1])  # pairs that don't start with a position's first entry
    if (found.logprobs[1:] > found.logprobs[:-1])[inner].any():
        return undecided
    names = [str(number) for number in found.ids.tolist()]
    texts = np.array([one > other for one, other in pairwise(names)], bool)
    # Both orders must be broken: keys sorted as numbers break the order of strings, and vice versa.
    if not (within & (found.ids[:-1] > found.ids[1:])).any() or not (within & texts).any():
        return undecided
    return np.where(several, found.offsets[:-1], UNDECIDED).astype(np.int32)


def by_text(found: Positions, text: str, tokenizer: Tokenizer, *, stopped: bool) -> Ints:
    """The entry of each position without which the positions can't spell the text (int32[n]).

    stopped: whether tokens may follow the text, or extend past its end, as the tokens of a stop string do.
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
    """The places in the text that this token may end at."""
    places = [place] if special else []
    if data.startswith(blob, place) and not special:
        places.append(place + len(blob))
    elif place == 0 and blob.startswith(b" ") and data.startswith(blob[1:]) and not special:
        places.append(len(blob) - 1)  # SentencePiece writes no space at the front of a text
    if stopped and not special and len(blob) >= len(data) - place and blob.startswith(data[place:]):
        places.append(len(data))
    return places


def decided(found: Positions, ways: Sequence[tuple[str, Ints]]) -> tuple[Positions, tuple[str, ...]]:
    """(positions with the entries that the ways decide, earlier ways first; names of the ways that decided any)."""
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
