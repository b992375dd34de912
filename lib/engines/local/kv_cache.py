"""A cache of keys and values with room to grow, so that a new token costs no copy of all that came before.

transformers' own cache is concatenated anew at every pass. Besides the time, the abandoned copies, each a little larger
than the last, leave the allocator with several times the memory that the cache itself takes.
"""

from __future__ import annotations

from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_ROOM = 256  # tokens by which a layer grows when more come than were announced


def make_cache(config: Any, tokens: int) -> Any:
    """An empty cache for a model of that configuration, with room for `tokens` tokens.

    Layers that see all tokens have the room set aside; layers with a window or a state of their own stay as they are.
    """
    cache = DynamicCache(config=config)
    cache.layers = [PreallocatedLayer(tokens) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def select_samples(cache: Any, rows: Any) -> None:
    """Keep the samples at `rows`, int64[b]; one that is named several times is there as often."""
    for layer in cache.layers:
        # Layers with a running state know this under the other name only.
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
        """Add the keys and values of new tokens, each [b, heads, new, d]; returns those of all tokens."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.get_seq_length()
        end = start + key_states.shape[-2]
        if self._buffers is None or end > self._buffers[0].shape[-2]:
            self._room = max(self._room, end if self._buffers is None else end + _ROOM)
            self._buffers = (self._moved(self.keys, key_states, start), self._moved(self.values, value_states, start))
        keys, values = self._buffers
        keys[:, :, start:end] = key_states
        values[:, :, start:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def _moved(self, old: Any, like: Any, filled: int) -> Any:
        """A buffer for tensors `like` that begins with the `filled` tokens of `old`."""
        batch, heads, _, width = like.shape
        buffer = like.new_empty((batch, heads, self._room, width))
        if filled:
            buffer[:, :, :filled] = old
        return buffer

    def batch_select_indices(self, indices: Any) -> None:
        """Only the samples at `indices`; one that is named twice becomes two."""
        super().batch_select_indices(indices)
        self._buffers = None
