"""Caches that are kept after an answer, so that a branch of it goes on without reading again what it begins with."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.arrays import common_prefix_length
from lib.engines.local.model_runner import ModelRunner, PositionScores, join, rows_of

BUDGET = 256_000_000  # bytes of keys and values, of all kept caches of a model together
_WORTH = 16  # tokens; fewer are read again as quickly


@dataclass(frozen=True, eq=False)
class _Kept:
    """ids: int32[n], what the cache has read. scores: of all of them. scored: whether none but the first lacks one.

    size: bytes of the cache.
    """

    ids: NDArray[np.int32]
    scores: PositionScores
    scored: bool
    cache: Any
    size: int


@dataclass(frozen=True, eq=False)
class PrefixHit:
    """A cache of one's own that has read the first `read` ids, and the scores of these and of the next: [read + 1].

    ids: all that the cache it comes from has read.
    """

    cache: Any
    read: int
    scores: PositionScores
    ids: list[int]


class PrefixCache:
    """The caches of a model's last answers, the newest last. Used by the thread that runs the model, and by no other.

    budget: bytes they may take together; the oldest go first. Those of models whose layers cannot be cut back, as ones
    with a running state, are not kept.
    """

    def __init__(self, reader: ModelRunner, budget: int = BUDGET) -> None:
        self._reader = reader
        self._budget = budget
        self._kept: deque[_Kept] = deque()

    def put(self, ids: Sequence[int], scores: PositionScores, cache: Any) -> None:
        """Keep a cache that nobody will use any more: of one sample, with the scores of all it has read."""
        read = int(cache.get_seq_length())
        size = self._reader.cache_bytes(read)
        if not _WORTH < read <= len(ids) or size > self._budget or not self._reader.can_copy(cache):
            return
        rows = rows_of(scores, slice(0, read))
        new = _Kept(np.array(ids[:read], np.int32), rows, not np.isnan(rows.logprobs[1:]).any(), cache, size)
        # One that the new one goes on from has nothing that it has not.
        self._kept = deque(each for each in self._kept if common_prefix_length(each.ids, new.ids) < len(each.ids))
        self._kept.append(new)
        while sum(each.size for each in self._kept) > self._budget:
            self._kept.popleft()

    def find(self, ids: Sequence[int], k: int, room: int, *, scored: bool) -> PrefixHit | None:
        """What can be had of the longest beginning of `ids` that has been read with at least k alternatives.

        room: tokens that the cache shall have room for. scored: whether all of it must have scores. At least one id is
        left to be read.
        """
        wanted = np.array(ids, np.int32)
        fitting = [each for each in self._kept if each.scores.top_ids.shape[1] >= k and (each.scored or not scored)]
        best = max(fitting, key=lambda each: common_prefix_length(each.ids, wanted), default=None)
        shared = 0 if best is None else common_prefix_length(best.ids, wanted)
        if best is None or shared <= _WORTH:
            return None
        self._kept.remove(best)
        self._kept.append(best)
        other = (
            _as_listed(best.scores, shared, int(wanted[shared])) if shared < min(len(best.ids), len(wanted)) else None
        )
        read = shared - 1 if other is None else shared
        scores = rows_of(best.scores, slice(0, shared), k)
        if other is not None:
            scores = join([scores, rows_of(other, slice(0, 1), k)])
        return PrefixHit(self._reader.copied(best.cache, read, room), read, scores, best.ids.tolist())

    def clear(self) -> None:
        """Let all of them go."""
        self._kept.clear()


def _as_listed(scores: PositionScores, row: int, token: int) -> PositionScores | None:
    """The one row of scores that a token would have had at a row, where it is one of the alternatives there."""
    places = np.flatnonzero(scores.top_ids[row] == token)
    if not len(places):
        return None
    listed = scores.top_logprobs[row]
    rank = 1 + int((listed > listed[places[0]]).sum())
    own = slice(row, row + 1)
    return PositionScores(listed[places[:1]], np.array([rank], np.int32), scores.top_ids[own], scores.top_logprobs[own])
