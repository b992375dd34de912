"""Prefill: read many tokens in few passes and score them on the way.

The generators yield None between chunks, so that another request can take a turn.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from lib.engines.local.model_runner import ModelRunner
from lib.engines.local.position_scores import PositionScores, join, rows_of, score_ids, unscored


def prefill(
    runner: ModelRunner, ids: Sequence[int], cache: Any, k: int, last: Any = None, *, first: int = 0
) -> Generator[None, None, tuple[PositionScores, Any]]:
    """Append `ids` to the cache; returns their scores and the float32 logits [1, V] after them.

    last: logits [1, V] before `ids`, which score ids[0]. None leaves ids[0] unscored.
    first: place of the first id to score. No logits are computed for the others.
    """
    if not ids:
        return unscored(0, k), last
    parts = [unscored(max(first, 1), k)] if last is None or first else [score_ids(last, ids[:1], k)]
    seen = min(max(first, 1), len(ids)) - 1  # the row after this id scores the next one
    for block in runner.logit_blocks(ids, cache, last_only=seen == len(ids) - 1, skip=seen):
        if block is None:
            yield
            continue
        following = ids[seen + 1 : seen + 1 + len(block)]
        if following:
            rows = len(following)
            parts.append(score_ids(block[:rows], following, k, runner.scratch(1, rows)))
        seen += len(block)
        if len(block):
            last = block[-1:].clone()  # a copy, so that the block can be freed
    return join(parts), last


def prefill_tail(
    runner: ModelRunner, ids: Sequence[int], cache: Any, k: int, rows: int
) -> Generator[None, None, PositionScores]:
    """Append `ids` to the cache; returns the scores of the last `rows` of them, fewer than all.

    Computes no logits for the others.
    """
    skip, parts, seen = len(ids) - rows - 1, [], 0
    chosen = ids[-rows:]
    for block in runner.logit_blocks(ids, cache, skip=skip):
        if block is None:
            yield
            continue
        following = chosen[seen : seen + len(block)]
        if following:
            count = len(following)
            parts.append(score_ids(block[:count], following, k, runner.scratch(1, count)))
        seen += len(block)
    return join(parts)


def prefill_packed(
    runner: ModelRunner, shared: Sequence[int], texts: Sequence[Sequence[int]], cache: Any, k: int, last: Any = None
) -> tuple[PositionScores, list[PositionScores], Any]:
    """Append `shared` to the cache and score every text as its continuation, all in one pass.

    last: logits [1, V] before `shared`. None leaves the first token unscored.
    Returns the scores of `shared`, those of each text, and the float32 logits [1, V] after `shared`.
    """
    head = [] if not shared else [unscored(1, k) if last is None else score_ids(last, shared[:1], k)]
    # The row after `shared` predicts the first token of every text. It is scored below, once per text; here it gets
    # a placeholder that no slice picks up.
    following = [*shared[1:], *shared[-1:], *(token for text in texts for token in text[1:])]
    parts, seen = [], 0
    for block in runner.packed_blocks(shared, texts, cache):
        if 0 <= len(shared) - 1 - seen < len(block):
            last = block[len(shared) - 1 - seen][None].clone()
        chosen = following[seen : seen + len(block)]
        parts.append(score_ids(block, chosen, k, runner.scratch(1, len(chosen))))
        seen += len(block)
    rows = join(parts) if parts else unscored(0, k)
    head.append(rows_of(rows, slice(0, max(len(shared) - 1, 0))))
    tails, start = [], len(shared)
    for text in texts:
        first = unscored(1, k) if last is None else score_ids(last, text[:1], k)
        tails.append(join([first, rows_of(rows, slice(start, start + len(text) - 1))]))
        start += len(text) - 1
    return join(head), tails, last
