"""A preallocated KV cache: appending a token does not copy the earlier ones.

transformers' own cache concatenates its tensors at every pass. That takes time, and the discarded copies, each a little
larger than the last, leave the allocator holding several times the memory of the cache itself.
"""

from __future__ import annotations

from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_ROOM = 256  # extra tokens of room when a layer outgrows its buffer


def make_cache(config: Any, tokens: int) -> Any:
    """An empty cache for a model of that configuration, with room for `tokens` tokens.

    Layers that see all tokens are preallocated; those with a sliding window or a recurrent state stay as they are.
    """
    cache = DynamicCache(config=config)
    cache.layers = [PreallocatedLayer(tokens) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def select_samples(cache: Any, rows: Any) -> None:
    """Reduce the cache to the samples at `rows`, int64 [b]; a row named twice becomes two samples."""
    for layer in cache.layers:
        # Layers with a recurrent state only have the second method.
        select = getattr(layer, "batch_select_indices", None) or layer.reorder_cache
        select(rows)


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values [b, heads, n, d] as views of the filled part of buffers [b, heads, room, d]."""

    keys: Any
    values: Any

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._buffers: tuple[Any, Any] | None = None

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:  # noqa: ARG002
        """Append the keys and values of new tokens, each [b, heads, new, d]; returns those of all tokens."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._buffers is None or end > self._buffers[0].shape[-2]:
            self._room = max(self._room, end if self._buffers is None else end + _ROOM)
            self._buffers = (self._grown(self.keys, key_states, start), self._grown(self.values, value_states, start))
        keys, values = self._buffers
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def _grown(self, old: Any, like: Any, filled: int) -> Any:
        """A new buffer for tensors shaped like `like`, starting with the first `filled` tokens of `old`."""
        batch, heads, _, width = like.shape
        buffer = like.new_empty((batch, heads, self._room, width))
        if filled:
            buffer[:, :, :filled] = old
        return buffer

    def batch_select_indices(self, indices: Any) -> None:
        """Reduce the layer to the samples at `indices`; an index named twice becomes two samples."""
        super().batch_select_indices(indices)
        self._buffers = None
