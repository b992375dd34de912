"""A model of each type gets the same scores from its directory and from the GGUF file made of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import LoadedModel, load
from lib.tokenizers.gguf_tokenizer import tokenizer_files
from tests.support import tiny

_SIZES: dict[str, Any] = {
    "vocab_size": 256, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "bos_token_id": None, "eos_token_id": None,
    "pad_token_id": None,
}  # fmt: skip
_PROMPT = "a text of some length, for positions to matter: abcdefghijklmnopqrstuvwxyz"
_FACTORS = {"long_factor": [1.0, 2.0, 8.0], "short_factor": [1.0, 1.1, 1.5]}

Weight = Callable[[str, np.ndarray], np.ndarray]


def _same(_name: str, weight: np.ndarray) -> np.ndarray:
    return weight


def _norms_from_one(name: str, weight: np.ndarray) -> np.ndarray:
    """Gemma's norms are stored as what they multiply by."""
    return weight + 1 if name.endswith("norm.weight") else weight


def _interleaved(name: str, weight: np.ndarray) -> np.ndarray:
    """Llama's queries and keys are stored with the two halves of each head interleaved."""
    heads = {"q_proj": 4, "k_proj": 2}.get(name.split(".")[-2])
    if heads is None:
        return weight
    return weight.reshape(heads, 2, -1, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


def _turned(name: str, weight: np.ndarray) -> np.ndarray:
    """GPT-2's products are stored the other way round."""
    return np.ascontiguousarray(weight.T) if name.endswith(("attn.weight", "proj.weight", "fc.weight")) else weight


def _flat_gates(name: str, weight: np.ndarray) -> np.ndarray:
    return weight[0] if "shared_expert_gate" in name else weight


# Types in transformers and in GGUF, settings, the GGUF fields that express them, and how weights are stored.
_KINDS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], Weight]] = {
    "llama": ("llama", "llama", {"head_dim": 8}, {"rope.dimension_count": 8}, _interleaved),
    "qwen2": ("qwen2", "qwen2", {}, {}, _same),
    "qwen3": ("qwen3", "qwen3", {"head_dim": 16}, {"attention.key_length": 16, "attention.value_length": 16}, _same),
    "gemma2": (
        "gemma2", "gemma2",
        {"head_dim": 16, "query_pre_attn_scalar": 16, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0,
         "sliding_window": 8},
        {"attention.key_length": 16, "attention.value_length": 16, "attn_logit_softcapping": 2.0,
         "final_logit_softcapping": 3.0, "attention.sliding_window": 8},
        _norms_from_one,
    ),
    "gemma3": (
        "gemma3_text", "gemma3",
        {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 8, "num_hidden_layers": 6,
         "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                             "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}},
        {"attention.key_length": 16, "attention.value_length": 16, "attention.sliding_window": 8, "block_count": 6,
         "rope.freq_base": 1e6, "rope.scaling.type": "linear", "rope.scaling.factor": 8.0},
        _norms_from_one,
    ),
    "phi3": (
        "phi3", "phi3",
        {"sliding_window": 16, "original_max_position_embeddings": 128,
         "rope_parameters": {"rope_type": "longrope", "rope_theta": 5e4, "partial_rotary_factor": 0.75,
                             "original_max_position_embeddings": 128, "attention_factor": 1.25, **_FACTORS}},
        {"attention.sliding_window": 16, "rope.freq_base": 5e4, "rope.dimension_count": 6,
         "rope.scaling.original_context_length": 128, "rope.scaling.attn_factor": 1.25},
        _same,
    ),
    "starcoder2": (
        "starcoder2", "starcoder2",
        {"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}, "sliding_window": 16,
         "tie_word_embeddings": True},
        {"rope.freq_base": 1e6, "attention.sliding_window": 16},
        _same,
    ),
    "stablelm": (
        "stablelm", "stablelm",
        {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default", "partial_rotary_factor": 0.5}},
        {"rope.freq_base": 5e5, "rope.dimension_count": 4, "use_parallel_residual": False},
        _same,
    ),
    "nemotron": (
        "nemotron", "nemotron",
        {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default", "partial_rotary_factor": 0.5}, "head_dim": 8},
        {"rope.freq_base": 5e5, "rope.dimension_count": 4},
        _norms_from_one,
    ),
    "gpt2": (
        "gpt2", "gpt2",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "tie_word_embeddings": True},
        {"feed_forward_length": 128, "attention.head_count_kv": 4},
        _turned,
    ),
    "qwen2moe": (
        "qwen2_moe", "qwen2moe",
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
         "shared_expert_intermediate_size": 24},
        {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 16,
         "expert_shared_feed_forward_length": 24},
        _flat_gates,
    ),
    "qwen3moe": (
        "qwen3_moe", "qwen3moe",
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "norm_topk_prob": True,
         "head_dim": 16},
        {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 16, "attention.key_length": 16,
         "attention.value_length": 16},
        _same,
    ),
    "falcon": (
        "falcon", "falcon",
        {"multi_query": True, "parallel_attn": True, "bias": False, "num_kv_heads": 1, "ffn_hidden_size": 48},
        {"attention.head_count_kv": 1},
        _same,
    ),
    "qwen2 with YaRN": (
        "qwen2", "qwen2",
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0,
                             "original_max_position_embeddings": 64}},
        {"rope.freq_base": 1e6, "rope.scaling.type": "yarn", "rope.scaling.factor": 4.0,
         "rope.scaling.original_context_length": 64},
        _same,
    ),
}  # fmt: skip


def _scores(loaded: LoadedModel) -> np.ndarray:
    engine = LocalEngine(loaded, budget=10**9)
    try:
        return engine.complete(Request(prompt=_PROMPT, max_tokens=0))[0].prompt.logprobs[1:]
    finally:
        engine.close()


@pytest.mark.parametrize("kind", _KINDS)
def test_a_model_scores_alike_from_its_gguf_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("CANDOR_CACHE", str(tmp_path / "cache"))
    there, here, settings, fields, stored = _KINDS[kind]
    directory = tiny.make_random(tmp_path / "model", there, sharp=12.0, **_SIZES | settings)
    told = tiny.gguf_bytes("gpt-2")
    path = _converted(directory, tmp_path / "tiny.gguf", here, fields, stored, told)
    files, _ = tokenizer_files({name.removeprefix("ggml."): value for name, value in told.items()})
    for name, data in files.items():  # both read the same tokens
        (directory / name).write_bytes(data)
    loaded = load(str(path))
    assert loaded.warnings == ()
    np.testing.assert_allclose(_scores(loaded), _scores(load(str(directory))), atol=2e-4)


def _converted(
    directory: Path, path: Path, kind: str, fields: dict[str, Any], stored: Weight, told: dict[str, Any]
) -> Path:
    """What llama.cpp's converter makes of a model."""
    import gguf
    from safetensors.torch import load_file

    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == kind)
    layers = fields.get("block_count", 2)
    names = gguf.get_tensor_name_map(arch, layers)
    sizes = {"context_length": 256, "embedding_length": 32, "block_count": layers, "feed_forward_length": 48,
             "attention.head_count": 4, "attention.head_count_kv": 2, "vocab_size": 256}  # fmt: skip
    eps = (
        "layer_norm_epsilon"
        if kind in ("starcoder2", "stablelm", "gpt2", "falcon", "nemotron")
        else "layer_norm_rms_epsilon"
    )
    config = json.loads((directory / "config.json").read_text())
    named = ("rms_norm_eps", "layer_norm_eps", "norm_epsilon", "norm_eps", "layer_norm_epsilon")
    sizes[f"attention.{eps}"] = next(float(config[name]) for name in named if name in config)
    writer = gguf.GGUFWriter(path, kind)
    for name, value in (sizes | fields).items():
        tiny.add_field(writer, f"{kind}.{name}", value)
    for name, value in told.items():
        tiny.add_field(writer, f"tokenizer.{name}", value)
    weights = load_file(directory / "model.safetensors")
    experts = sorted({re.sub(r"\.experts\.\d+\.", ".experts.0.", name) for name in weights if ".experts." in name})
    for first in experts:  # those of a layer are one tensor
        each = [weights.pop(first.replace(".experts.0.", f".experts.{number}.")) for number in range(4)]
        base = first.replace(".experts.0.", ".experts.").removesuffix(".weight")
        writer.add_tensor(f"{names.get_name(base)}.weight", np.stack([tensor.numpy() for tensor in each]))
    for name, tensor in weights.items():
        base, _, suffix = name.rpartition(".")
        writer.add_tensor(f"{names.get_name(base)}.{suffix}", stored(name, tensor.numpy()).astype(np.float32))
    if kind == "phi3":
        for length in ("long", "short"):
            writer.add_tensor(f"rope_factors_{length}.weight", np.array(_FACTORS[f"{length}_factor"], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
