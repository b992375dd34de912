"""Texts laid end to end for one pass, each of which sees what they share and itself, and none of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def mask_and_positions(held: int, shared: int, lengths: Sequence[int], dtype: Any) -> tuple[Any, Any]:
    """What each new token sees, and where it stands, for `shared` tokens after `held` and then each of the texts.

    lengths: tokens of each text. With n new tokens in all, returns what is added to the attention's weights,
    [1, 1, n, held + n] of that type: 0 where a token is seen and the lowest number where it is not; and int64[1, n].
    """
    import torch

    new = shared + sum(lengths)
    seen = torch.ones(new, held + new, dtype=torch.bool).tril(held)
    start, positions = shared, [*range(held, held + shared)]
    for length in lengths:
        seen[start : start + length, held + shared : held + start] = False
        positions += range(held + shared, held + shared + length)
        start += length
    mask = torch.zeros(1, 1, *seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return mask, torch.tensor([positions])


def window(cache: Any) -> float:
    """Up to how many tokens every layer of an empty cache holds them all; 0 where one keeps something else."""
    from transformers.cache_utils import DynamicSlidingWindowLayer

    from lib.engines.local.kv_cache import PreallocatedLayer

    most = float("inf")
    for layer in cache.layers:
        if isinstance(layer, DynamicSlidingWindowLayer):
            most = min(most, layer.sliding_window)
        elif not isinstance(layer, PreallocatedLayer):
            return 0
    return most
