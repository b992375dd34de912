"""Fixes for transformers' GGUF reader: settings it ignores that change scores, and tensors it leaves out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lib.errors import ModelUnavailable
from lib.import_lock import IMPORTING

_ORIGINAL = "Use the model's original directory with safetensors weights."
_POSITIONS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
# Model types that may rotate only a part of each attention head; the others rotate all of it.
_PARTLY_ROTATED = ("phi3", "stablelm", "nemotron")
# Model types that transformers reads in full, or whose settings have another structure.
_READ_IN_FULL = ("lfm2", "qwen3_5_text", "qwen3_5_moe_text")
# Model types whose GGUF files the tests compare with the directories they are made from.
_COMPARED = (
    "llama", "mistral", "qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "gemma2", "gemma3_text", "phi3", "starcoder2",
    "stablelm", "nemotron", "gpt2", "falcon",
)  # fmt: skip
# GGUF field: attribute of the configuration, set if the configuration has it.
_SETTINGS = {
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
    "attention.sliding_window": "sliding_window",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
    "expert_weights_norm": "norm_topk_prob",
    "context_length": "n_positions",  # of GPT-2, for which the reader sets another attribute
    "feed_forward_length": "ffn_hidden_size",  # of Falcon
}
_EPSILONS = ("rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps")
# Fields that only repeat what the tensors say, or that are handled below.
_HANDLED = (
    "vocab_size", "tensor_data_layout", "pooling_type", "attention.causal", "attention.key_length",
    "attention.value_length", "rope.dimension_count", "rope.freq_base", "use_parallel_residual", "expert_count",
    "expert_used_count", "feed_forward_length", "context_length", "rope.scale_linear", "embedding_length_out",
)  # fmt: skip
_HARMLESS = {"leading_dense_block_count": 0, "expert_weights_scale": 1.0, "expert_shared_count": 0, "logit_scale": 1.0}


def settle(config: Any, metadata: Mapping[str, Any]) -> list[str]:
    """Add to a transformers configuration what its reader left out of a GGUF file; return warnings.

    metadata: of `lib.tokenizers.gguf_metadata.check`. Raises ModelUnavailable for what a configuration can't express.
    """
    fields = dict(metadata["fields"])
    if (getattr(config, "pad_token_id", None) or 0) >= config.vocab_size:
        config.pad_token_id = None  # a default from another model
    if config.model_type in _READ_IN_FULL:
        if _scaling(fields) or any(name in _POSITIONS for name in metadata["tensors"]):
            raise _inexpressible("uses position scaling")
        return []
    for name, key in _SETTINGS.items():
        if name in fields and hasattr(config, key):
            setattr(config, key, fields.pop(name))
    for name in ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon"):
        if name in fields and (own := [each for each in _EPSILONS if hasattr(config, each)]):
            setattr(config, own[0], fields.pop(name))
    if fields.get("attention.head_count_kv") == fields.get("attention.head_count"):
        fields.pop("attention.head_count_kv", None)  # the same as leaving it out
    _settle_heads(config, fields)
    _settle_attention_scale(config, fields)
    _settle_rope(config, fields, metadata["factors"])
    warnings = []
    if config.model_type not in _COMPARED:
        warnings.append(f"Candor isn't tested with GGUF files of {config.model_type} models; scores may be off.")
    if unread := sorted(name for name in fields if not _is_read(config.model_type, name, fields[name])):
        named = ", ".join(name[:60] for name in unread[:5])
        warnings.append(f"The file sets {named}, which Candor doesn't read; scores may be off.")
    return warnings


def unplaced(model: Any, architecture: str, tensors: Sequence[str], report: Mapping[str, Any]) -> list[str]:
    """Names of the tensors of a GGUF file that have no place in the model.

    report: transformers' loading information.
    """
    with IMPORTING:
        from transformers.modeling_gguf_pytorch_utils import (
            TENSOR_PROCESSORS,
            TensorProcessor,
            get_gguf_hf_weights_map,
        )

    if model.config.model_type in _READ_IN_FULL:
        return sorted(report["unexpected_keys"])
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=model.config.to_dict())
    placed = get_gguf_hf_weights_map(model, processor)
    return [
        name
        for name in tensors
        if name not in placed
        and name.removesuffix(".weight") not in placed  # the experts of a layer are one parameter
        and name not in _POSITIONS
        and not (name == "output.weight" and "lm_head.weight" in model.state_dict())
    ]


def _is_read(kind: str, name: str, value: Any) -> bool:
    with IMPORTING:
        from transformers.integrations import GGUF_CONFIG_MAPPING

    mapped = GGUF_CONFIG_MAPPING.get(kind.removesuffix("_text"), {})
    return bool(mapped.get(name)) or name in _HANDLED or _HARMLESS.get(name) == value or name.startswith("rope.scaling")


def _settle_heads(config: Any, fields: Mapping[str, Any]) -> None:
    keys, values = fields.get("attention.key_length"), fields.get("attention.value_length")
    if keys is None or config.model_type.startswith("gemma4"):
        return
    if values not in (None, keys):
        raise _inexpressible("has keys and values of different sizes")
    if hasattr(config, "head_dim"):
        config.head_dim = keys
    elif keys != config.hidden_size // config.num_attention_heads:
        raise _inexpressible(f"has attention heads of {keys} dimensions")


def _settle_attention_scale(config: Any, fields: Mapping[str, Any]) -> None:
    """Gemma scales attention by its head size, except for its 27B models."""
    if not hasattr(config, "query_pre_attn_scalar"):
        return
    largest = {"gemma2": 46, "gemma3_text": 62}.get(config.model_type) == config.num_hidden_layers
    config.query_pre_attn_scalar = (
        config.hidden_size // config.num_attention_heads if largest else fields.get("attention.key_length", 256)
    )


def _settle_rope(config: Any, fields: Mapping[str, Any], factors: Mapping[str, Sequence[float]]) -> None:
    """Set how positions become angles: the base, the rotated part of each head, and the scaling."""
    layered = getattr(config, "rope_parameters", None)
    if not isinstance(layered, dict) or config.model_type.startswith(("gemma4", "minimax")):
        if _scaling(fields) or factors:
            raise _inexpressible("uses position scaling")
        return
    rope = layered.get("full_attention", layered)
    _settle_rotation(config, rope, fields)
    scaling = _scaling(fields)
    original = int(fields.get("rope.scaling.original_context_length") or config.max_position_embeddings)
    attention = float(fields.get("rope.scaling.attn_factor", 1.0))
    if {"rope_factors_long.weight", "rope_factors_short.weight"} & set(factors):
        long, short = (factors.get(f"rope_factors_{kind}.weight") for kind in ("long", "short"))
        if long is None or short is None or scaling not in (None, "longrope"):
            raise _inexpressible("combines two kinds of position scaling")
        rope.update(_longrope(long, short, original, attention_factor=attention))
    elif scaling == "longrope":
        raise _inexpressible("uses LongRoPE without its factor tensors")
    elif scaling == "yarn":
        _settle_yarn(rope, fields, original, attention, factors.get("rope_freqs.weight"))
    elif attention != 1.0:
        raise _inexpressible("scales attention along with positions")
    else:
        _settle_linear(config, rope, fields, factors.get("rope_freqs.weight"))


def _settle_rotation(config: Any, rope: dict[str, Any], fields: Mapping[str, Any]) -> None:
    if "rope.freq_base" in fields:
        rope["rope_theta"] = float(fields["rope.freq_base"])
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    rotated = fields.get("rope.dimension_count", head)
    if config.model_type in _PARTLY_ROTATED:
        rope["partial_rotary_factor"] = rotated / head
        if hasattr(config, "partial_rotary_factor"):
            config.partial_rotary_factor = rotated / head
    elif rotated != head:
        raise _inexpressible(f"applies positions to {rotated} of the {head} dimensions of each head")


def _settle_linear(
    config: Any, rope: dict[str, Any], fields: Mapping[str, Any], divisors: Sequence[float] | None
) -> None:
    """Linear scaling, or one divisor for each frequency, which is LongRoPE with the same factors for every length."""
    scaled = _scaling(fields) is not None
    factor = float(fields.get("rope.scaling.factor") or fields.get("rope.scale_linear") or 1.0)
    if divisors is not None:
        both = [each * (factor if scaled else 1.0) for each in divisors]
        rope.update(_longrope(both, both, config.max_position_embeddings, attention_factor=1.0), factor=1.0)
    elif scaled:
        if config.model_type == "phi3":
            raise _inexpressible("uses linear position scaling")
        rope.update(rope_type="linear", factor=factor)


def _longrope(
    long: Sequence[float], short: Sequence[float], original: int, *, attention_factor: float
) -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "long_factor": [*long],
        "short_factor": [*short],
        "original_max_position_embeddings": original,
        "attention_factor": attention_factor,
    }


def _settle_yarn(
    rope: dict[str, Any],
    fields: Mapping[str, Any],
    original: int,
    attention: float,
    divisors: Sequence[float] | None,
) -> None:
    named = {name.removeprefix("rope.scaling."): value for name, value in fields.items()}
    if divisors is not None or named.get("yarn_log_multiplier") or named.get("yarn_ext_factor", 1.0) not in (1.0, -1.0):
        raise _inexpressible("uses YaRN position scaling with custom settings")
    factor = float(named.get("factor") or 1.0)
    rope.update(
        rope_type="yarn",
        factor=factor,
        original_max_position_embeddings=original,
        beta_fast=float(named.get("yarn_beta_fast", 32.0)),
        beta_slow=float(named.get("yarn_beta_slow", 1.0)),
        attention_factor=(0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0)
        * attention
        * float(named.get("yarn_attn_factor", 1.0)),
    )


def _scaling(fields: Mapping[str, Any]) -> str | None:
    """The kind of position scaling; None if the file has none, or one without effect."""
    kind = fields.get("rope.scaling.type", "linear" if fields.get("rope.scale_linear", 1.0) != 1.0 else "none")
    factor = fields.get("rope.scaling.factor", fields.get("rope.scale_linear", 1.0))
    if kind in ("none", "") or (kind == "linear" and factor in (0.0, 1.0)):
        return None
    if kind not in ("linear", "yarn", "longrope"):
        raise _inexpressible(f"uses the position scaling {str(kind)[:40]!r}")
    return str(kind)


def _inexpressible(what: str) -> ModelUnavailable:
    return ModelUnavailable(f"The model {what}, which Candor can't read from GGUF files.", _ORIGINAL)
