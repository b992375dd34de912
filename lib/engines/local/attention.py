"""Grouped-query attention that stays on torch's fast CPU kernel.

transformers asks torch to share key-value heads between query heads (`enable_gqa`). Torch has no fast CPU kernel for
that and falls back to one that copies all keys and values at every step. Here, the query heads of a single new token
become rows of their key-value head, and longer inputs see each key-value head through an expanded view. Neither copies
anything.
"""

from __future__ import annotations

from typing import Any

from lib.engines.local.ragged_decode import RaggedKV

NAME = "candor_cpu"


def use_fast_attention(model: Any) -> None:
    """Install this attention in a model that runs on the CPU with torch's own attention."""
    from transformers import AttentionInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask

    config = model.config
    if model.device.type != "cpu" or config._attn_implementation != "sdpa" or not model._supports_attention_backend:
        return
    AttentionInterface.register(NAME, _attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def _attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, *, dropout: float = 0.0, **options: Any
) -> tuple[Any, None]:
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    groups = getattr(module, "num_key_value_groups", 1)
    if isinstance(key, RaggedKV):
        return _ragged(query, key, value, groups, options), None
    if attention_mask is None and query.shape[2] == 1 and options.get("position_bias") is None:
        return _one_token(query, key, value, groups, options.get("scaling"))
    shared = _Ungrouped(module)
    one_mask = attention_mask is None or attention_mask.shape[:2] == (1, 1)
    if groups > 1 and query.shape[0] == 1 and one_mask and options.get("position_bias") is None:
        out, _ = sdpa_attention_forward(
            shared, *_by_group(query, key, value, groups), attention_mask, dropout=dropout, **options
        )
        return out.permute(1, 0, 2, 3).reshape(1, query.shape[2], query.shape[1], -1), None
    return sdpa_attention_forward(  # type: ignore[no-any-return]
        shared, query, repeat_kv(key, groups), repeat_kv(value, groups), attention_mask, dropout=dropout, **options
    )


def _ragged(query: Any, key: RaggedKV, value: RaggedKV, groups: int, options: dict[str, Any]) -> Any:
    """Attention of one new token per row of several requests, query [b, heads, 1, d]; returns [b, 1, heads, d].

    Needs no mask: each cache holds only tokens that its own new token may see.
    """
    import torch

    if query.shape[2] != 1 or options.get("position_bias") is not None or options.get("softcap") is not None:
        raise ValueError("requests can only be joined for one new token each, with plain attention")
    rows = query.split([part.shape[0] for part in key.parts])
    own = zip(rows, key.parts, value.parts, strict=True)
    return torch.cat([_one_token(*each, groups, options.get("scaling"))[0] for each in own])


def _by_group(query: Any, key: Any, value: Any, groups: int) -> tuple[Any, Any, Any]:
    """Reshape query [1, heads, q, d], key and value [1, heads / groups, n, d] to [heads / groups, groups, …, d]."""
    shared = key.shape[1]
    return (
        query.reshape(shared, groups, *query.shape[2:]),
        key.transpose(0, 1).expand(-1, groups, -1, -1),
        value.transpose(0, 1).expand(-1, groups, -1, -1),
    )


class _Ungrouped:
    """Stands in for an attention layer whose keys and values are already repeated for every query head."""

    num_key_value_groups = 1

    def __init__(self, module: Any) -> None:
        self.is_causal = getattr(module, "is_causal", True)


def _one_token(query: Any, key: Any, value: Any, groups: int, scaling: float | None) -> tuple[Any, None]:
    """Attention of query [b, heads, 1, d] to key and value [b, heads / groups, n, d]; returns [b, 1, heads, d]."""
    from torch.nn import functional

    batch, heads, _, width = query.shape
    rows = query.reshape(batch, heads // groups, groups, width)
    out = functional.scaled_dot_product_attention(rows, key, value, scale=scaling)
    return out.reshape(batch, 1, heads, out.shape[-1]), None
