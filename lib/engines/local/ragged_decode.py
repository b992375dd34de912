"""Ragged batched decoding: one pass for the next token of several requests with caches of different lengths.

A decode step spends most of its time reading the weights, which a joint pass does once for all requests. Only the
attention looks at each request's own keys and values, so nothing is padded, copied or moved when a request starts or
ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import Cache
from transformers.cache_utils import CacheLayerMixin


class RaggedKV:
    """Keys or values of several requests: a tensor [b, heads, n, d] for each, with its own b and n."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = tuple(parts)


def joint_cache(caches: Sequence[Any], rows: Sequence[int]) -> Any:
    """A cache for one pass over the next tokens of several requests, written through to each request's cache.

    rows: number of samples of each request. Their rows of the pass follow one another.
    """
    layers = [_JointLayer(parts, rows) for parts in zip(*(cache.layers for cache in caches), strict=True)]
    return Cache(layers=layers)


class _JointLayer(CacheLayerMixin):  # type: ignore[misc]
    """One layer of several caches; reports the sizes of the longest."""

    def __init__(self, layers: Sequence[Any], rows: Sequence[int]) -> None:
        super().__init__()
        if not all(isinstance(layer, CacheLayerMixin) for layer in layers):
            raise TypeError("only layers that hold keys and values can be joined")
        self._layers, self._rows = layers, list(rows)
        self._longest = max(layers, key=lambda layer: layer.get_seq_length())

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        """Do nothing: the joined layers initialize themselves."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Those of the longest cache."""
        return self._longest.get_mask_sizes(query_length)  # type: ignore[no-any-return]

    def get_seq_length(self) -> int:
        """That of the longest cache."""
        return int(self._longest.get_seq_length())

    def get_max_length(self) -> int:
        """That of the longest cache."""
        return int(self._longest.get_max_length())

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[RaggedKV, RaggedKV]:
        """Append each request's new keys and values, [b, heads, 1, d]; returns all of each request."""
        added = zip(self._layers, key_states.split(self._rows), value_states.split(self._rows), strict=True)
        pairs = [layer.update(keys, values, *args, **kwargs) for layer, keys, values in added]
        return RaggedKV([keys for keys, _ in pairs]), RaggedKV([values for _, values in pairs])
