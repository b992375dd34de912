"""Models whose scores depend on the text's final length, and the context up to which they do not."""

from __future__ import annotations

from typing import Any


def steady_context(config: Any) -> tuple[int | None, str]:
    """How many tokens to read at most (None = no limit), and why these are fewer than the model's context ("" if not).

    LongRoPE switches the frequencies of all tokens once the longest text of a batch exceeds the original training
    context; tokens read earlier, or beside a longer text, would no longer match. Dynamic NTK scaling does so only
    beyond the context, where nothing is read.

    config: the text part of a transformers configuration.
    """
    limit = getattr(config, "max_position_embeddings", None)
    context = int(limit) if limit else None
    for rope in _rope_parameters(config):
        if rope.get("rope_type") != "longrope" or rope.get("short_factor") == rope.get("long_factor"):
            continue
        original = rope.get("original_max_position_embeddings")
        if original and (context is None or original < context):
            return int(original), "Beyond that, its position scaling (LongRoPE) changes the scores of earlier tokens."
    return context, ""


def _rope_parameters(config: Any) -> list[dict[str, Any]]:
    """The position settings: one for all layers, or one per kind of layer."""
    found = getattr(config, "rope_parameters", None)
    if not isinstance(found, dict):
        return []
    inner = [each for each in found.values() if isinstance(each, dict)]
    return inner or [found]
