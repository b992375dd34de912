"""Sequence packing: several texts in one pass, each of which sees the shared prefix and itself, but no other text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def mask_and_positions(cached: int, shared: int, lengths: Sequence[int], dtype: Any) -> tuple[Any, Any]:
    """Attention mask and position ids for `shared` new tokens followed by each of the texts.

    cached: tokens already in the cache, which every new token sees.
    lengths: tokens of each text.
    dtype: torch dtype of the mask.
    Returns, for n new tokens in all, an additive mask [1, 1, n, cached + n], 0 where a token is visible and the
    lowest number where it is not; and int64 [1, n].
    """
    import torch

    new = shared + sum(lengths)
    visible = torch.ones(new, cached + new, dtype=torch.bool).tril(cached)
    start, positions = shared, [*range(cached, cached + shared)]
    for length in lengths:
        visible[start : start + length, cached + shared : cached + start] = False
        positions += range(cached + shared, cached + shared + length)
        start += length
    mask = torch.zeros(1, 1, *visible.shape, dtype=dtype).masked_fill(~visible, torch.finfo(dtype).min)
    return mask, torch.tensor([positions])


def window(cache: Any) -> float:
    """Tokens up to which every layer of an empty cache holds all of them; 0 if a layer holds something else."""
    from transformers.cache_utils import DynamicSlidingWindowLayer

    from lib.engines.local.kv_cache import PreallocatedLayer

    limit = float("inf")
    for layer in cache.layers:
        if isinstance(layer, DynamicSlidingWindowLayer):
            limit = min(limit, layer.sliding_window)
        elif not isinstance(layer, PreallocatedLayer):
            return 0
    return limit
