"""Joint prefill: one pass that reads the short prompts of several requests.

A pass over a few tokens takes little longer for ten times as many, as most of it is spent on reading the weights. What
all the prompts begin with, such as the examples of an evaluation, is read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.core.arrays import common_prefix_length
from lib.engines.local.model_runner import CHUNK, ModelRunner

MOST_TOKENS = 256  # of a prompt that is read along with others


@dataclass(frozen=True, eq=False)
class PrefillStep:
    """What a generation yields to have its prompt read; the answer is (cache, float32 logits [1, V] after it)."""

    results: list[Any]  # output since its previous step
    ids: list[int]  # of the prompt, at least one
    room: int  # tokens that the cache should have room for


def fitting(steps: Sequence[PrefillStep]) -> int:
    """How many of the steps, from the first on, one pass reads: at least one, and then up to `CHUNK` tokens."""
    shared, total = len(steps[0].ids), len(steps[0].ids)
    for count, step in enumerate(steps[1:], start=1):
        together = min(shared, _in_common(steps[0].ids, step.ids))
        total += len(step.ids) - together + (shared - together) * (count - 1)
        shared = together
        if total > CHUNK:
            return count
    return len(steps)


def read_prompts(runner: ModelRunner, steps: Sequence[PrefillStep]) -> list[tuple[Any, Any]]:
    """Read the prompts of all steps, in one pass if there are several."""
    if len(steps) == 1:
        cache = runner.new_cache(steps[0].room)
        (logits,) = runner.logit_blocks(steps[0].ids, cache, last_only=True)
        return [(cache, logits.clone())]
    common = min(_in_common(steps[0].ids, each.ids) for each in steps)
    shared = min(common, *(len(each.ids) - 1 for each in steps))  # every prompt's last row of logits is its own
    texts = [each.ids[shared:] for each in steps]
    cache = runner.new_cache(shared + sum(map(len, texts)))
    logits = runner.packed_ends(steps[0].ids[:shared], texts, cache)
    found, start = [], shared
    for step, text, row in zip(steps, texts, logits, strict=True):
        own = runner.copy_parts(cache, [(0, shared), (start, start + len(text))], step.room)
        found.append((own, row[None].clone()))
        start += len(text)
    return found


def _in_common(first: Sequence[int], second: Sequence[int]) -> int:
    return common_prefix_length(np.array(first, np.int32), np.array(second, np.int32))
