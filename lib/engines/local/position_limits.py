"""Models whose reading of a token depends on how long the text becomes: up to where it does not."""

from __future__ import annotations

from typing import Any


def steady_context(config: Any) -> tuple[int | None, str]:
    """The tokens that a model is read up to, None for no limit; and why they are fewer than its context, "" if not.

    LongRoPE takes other frequencies for all tokens once the longest text of a batch exceeds the context of the first
    training: what was read before, or beside a longer text, would no longer agree. Dynamic NTK scaling does so beyond
    the context alone, where nothing is read.

    config: of transformers, its part for text.
    """
    limit = getattr(config, "max_position_embeddings", None)
    context = int(limit) if limit else None
    for rope in _parameters(config):
        if rope.get("rope_type") != "longrope" or rope.get("short_factor") == rope.get("long_factor"):
            continue
        original = rope.get("original_max_position_embeddings")
        if original and (context is None or original < context):
            return int(original), "Beyond that, its position scaling (LongRoPE) changes the scores of earlier tokens."
    return context, ""


def _parameters(config: Any) -> list[dict[str, Any]]:
    """The position settings of a model: one for all layers, or one for each kind of layer."""
    found = getattr(config, "rope_parameters", None)
    if not isinstance(found, dict):
        return []
    inner = [each for each in found.values() if isinstance(each, dict)]
    return inner or [found]
