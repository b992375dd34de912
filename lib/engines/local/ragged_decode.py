"""One pass that writes the next token of several requests, each with a cache of its own.

Most of a step goes into reading the weights, which is done once for all of them. Only the attention looks at each
request's own keys and values, so that nothing is padded, copied or moved when a request comes or goes.
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
    """A cache for one pass over the next tokens of several requests, written through to the caches of each.

    rows: how many samples each of them has. Their rows of the pass lie one after another.
    """
    layers = [_JointLayer(parts, rows) for parts in zip(*(cache.layers for cache in caches), strict=True)]
    return Cache(layers=layers)


class _JointLayer(CacheLayerMixin):  # type: ignore[misc]
    """A layer of several caches; where the model asks about sizes, it hears those of the longest."""

    def __init__(self, layers: Sequence[Any], rows: Sequence[int]) -> None:
        super().__init__()
        if not all(isinstance(layer, CacheLayerMixin) for layer in layers):
            raise TypeError("only layers that keep keys and values can be joined")
        self._layers, self._rows = layers, list(rows)
        self._longest = max(layers, key=lambda layer: layer.get_seq_length())

    def lazy_initialization(self, key_states: Any, value_states: Any) -> None:
        """Nothing: the layers it stands for look after themselves."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Of the longest."""
        return self._longest.get_mask_sizes(query_length)  # type: ignore[no-any-return]

    def get_seq_length(self) -> int:
        """Of the longest."""
        return int(self._longest.get_seq_length())

    def get_max_length(self) -> int:
        """Of the longest."""
        return int(self._longest.get_max_length())

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[RaggedKV, RaggedKV]:
        """Give every request its own new keys and values, each [b, heads, 1, d]; returns all of each."""
        added = zip(self._layers, key_states.split(self._rows), value_states.split(self._rows), strict=True)
        pairs = [layer.update(keys, values, *args, **kwargs) for layer, keys, values in added]
        return RaggedKV([keys for keys, _ in pairs]), RaggedKV([values for _, values in pairs])
