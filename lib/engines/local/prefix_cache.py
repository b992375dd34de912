"""Prefix caching: keep the KV caches of recent answers, so that a branch does not read its beginning again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.arrays import common_prefix_length
from lib.engines.local.model_runner import ModelRunner
from lib.engines.local.position_scores import PositionScores, join, rows_of

BUDGET = 256_000_000  # bytes of keys and values, over all cached prefixes of a model
_MIN_TOKENS = 16  # shorter prefixes are as quickly read again


@dataclass(frozen=True, eq=False)
class _Entry:
    """One cached prefix."""

    ids: NDArray[np.int32]  # [n], the tokens that the cache has read
    scores: PositionScores  # [n], of the same tokens
    scored: bool  # whether every token but the first has a score
    cache: Any  # KV cache of one sample
    size: int  # bytes of the cache


@dataclass(frozen=True, eq=False)
class PrefixHit:
    """A copy of a cached prefix, which its owner may extend."""

    cache: Any  # KV cache of one sample
    read: int  # number of tokens it has read
    scores: PositionScores  # [read + 1], of these tokens and of the one that follows
    entry_ids: list[int]  # all tokens of the cached text, also those after the shared prefix


class PrefixCache:
    """The KV caches of a model's most recent answers. Only the thread that runs the model may use it.

    budget: bytes that all entries may take together; the least recently used are dropped first.

    Models whose layers cannot be truncated, such as those with a recurrent state, are not cached.
    """

    def __init__(self, runner: ModelRunner, budget: int = BUDGET) -> None:
        self._runner = runner
        self._budget = budget
        self._entries: deque[_Entry] = deque()  # most recently used last

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(entry.size for entry in self._entries)

    def put(self, ids: Sequence[int], scores: PositionScores, cache: Any) -> None:
        """Store a cache of one sample, which the caller must not use any more.

        ids: at least the tokens that the cache has read.
        scores: of the same tokens.
        """
        read = int(cache.get_seq_length())
        size = self._runner.cache_bytes(read)
        if not _MIN_TOKENS < read <= len(ids) or size > self._budget or not self._runner.can_copy(cache):
            return
        rows = rows_of(scores, slice(0, read))
        new = _Entry(np.array(ids[:read], np.int32), rows, not np.isnan(rows.logprobs[1:]).any(), cache, size)
        # An entry that is a prefix of the new one has nothing to add.
        self._entries = deque(each for each in self._entries if common_prefix_length(each.ids, new.ids) < len(each.ids))
        self._entries.append(new)
        while self.size > self._budget:
            self._entries.popleft()

    def lookup(self, ids: Sequence[int], k: int, room: int, *, scored: bool) -> PrefixHit | None:
        """Copy the longest cached prefix of `ids`, leaving at least one id to read. None if there is none.

        k: alternatives that every position must have.
        room: tokens that the copy should have room for.
        scored: whether every token of it must have a score.
        """
        wanted = np.array(ids, np.int32)
        usable = [each for each in self._entries if each.scores.top_ids.shape[1] >= k and (each.scored or not scored)]
        best = max(usable, key=lambda each: common_prefix_length(each.ids, wanted), default=None)
        shared = 0 if best is None else common_prefix_length(best.ids, wanted)
        if best is None or shared <= _MIN_TOKENS:
            return None
        self._entries.remove(best)
        self._entries.append(best)
        branched = shared < min(len(best.ids), len(wanted))
        other = _listed_row(best.scores, shared, int(wanted[shared])) if branched else None
        read = shared - 1 if other is None else shared
        scores = rows_of(best.scores, slice(0, shared), k)
        if other is not None:
            scores = join([scores, rows_of(other, slice(0, 1), k)])
        return PrefixHit(self._runner.copy_prefix(best.cache, read, room), read, scores, best.ids.tolist())

    def clear(self) -> None:
        """Drop all entries."""
        self._entries.clear()


def _listed_row(scores: PositionScores, row: int, token: int) -> PositionScores | None:
    """The one row of scores for another token at that position; None if it is not among the alternatives."""
    places = np.flatnonzero(scores.top_ids[row] == token)
    if not len(places):
        return None
    listed = scores.top_logprobs[row]
    rank = 1 + int((listed > listed[places[0]]).sum())
    own = slice(row, row + 1)
    return PositionScores(listed[places[:1]], np.array([rank], np.int32), scores.top_ids[own], scores.top_logprobs[own])
