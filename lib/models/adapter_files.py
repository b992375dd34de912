"""A LoRA adapter as peft writes it: adapter_config.json and adapter_model.safetensors, read and checked.

Low-rank adaptation (Hu et al. 2021) changes a layer's weights W [out, in] by scale · B·A, with A [r, in] and
B [out, r]. Only this plain kind is read. Whatever else peft can train would be lost on the way, so it is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regex

from lib.errors import ModelUnavailable
from lib.models.safetensors_file import StoredTensor, tensors_in

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
ADAPTER_FILES = (CONFIG, WEIGHTS, PICKLE)
MERGE = "Merge it into the weights with peft's `merge_and_unload`, and enter the merged model's directory."

_MOST_CONFIG = 1_000_000  # bytes of adapter_config.json
_MOST_PATTERNS, _LONGEST_PATTERN, _PATTERN_SECONDS = 5_000, 1_000, 1.0
_FLOATS = {"F64", "F32", "F16", "BF16"}
_MOST_RANK = 100_000
# Settings that change nothing in a trained adapter, or that are read or checked below.
_READ = frozenset(
    {
        "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying",
        "eva_config", "exclude_modules", "fan_in_fan_out", "inference_mode", "init_lora_weights", "layers_pattern",
        "layers_to_transform", "loftq_config", "lora_alpha", "lora_dropout", "lora_ga_config", "megatron_config",
        "megatron_core", "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern", "revision",
        "runtime_config", "target_modules", "task_type", "use_rslora",
    }
)  # fmt: skip
_NAMES = {
    "use_dora": "DoRA",
    "modules_to_save": "fully trained layers (modules_to_save)",
    "lora_bias": "trained biases",
    "trainable_token_indices": "trained embeddings (trainable_token_indices)",
    "target_parameters": "adapted expert weights (target_parameters)",
}
# Other ways to begin, such as PiSSA, change the base model's own weights, too.
_BEGINNINGS = (None, True, False, "gaussian", "eva", "orthogonal")


@dataclass(frozen=True)
class AdaptedLayer:
    """The change of one layer."""

    rank: int  # r
    inputs: int
    outputs: int
    scale: float  # factor on B·A

    def names(self, layer: str) -> tuple[str, str]:
        """The names of A and B in the file."""
        return f"base_model.model.{layer}.lora_A.weight", f"base_model.model.{layer}.lora_B.weight"


@dataclass(frozen=True)
class Adapter:
    """An adapter's description; its tensors are still on disk."""

    directory: Path
    base: str  # what it was trained on: a directory, a hub id, or "embedded"
    revision: str  # of the base on the hub; "" for none
    layers: Mapping[str, AdaptedLayer]  # by the layer's name in the model, such as "model.layers.0.mlp.up_proj"
    targets: tuple[str, ...]  # ends of the names of all adapted layers; empty if that is not a plain list
    elements: int  # stored elements of all tensors

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.directory / WEIGHTS

    def fingerprint(self) -> str:
        """SHA-256 over both files."""
        digest = hashlib.sha256((self.directory / CONFIG).read_bytes())
        with self.weights.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def is_adapter(directory: Path) -> bool:
    """Whether a directory holds an adapter and no model."""
    return not (directory / "config.json").exists() and any((directory / name).is_file() for name in ADAPTER_FILES)


def read_adapter(directory: Path) -> Adapter:
    """Read an adapter's configuration and the header of its weights. Raises ModelUnavailable."""
    config = _config(directory)
    _check_kind(directory, config)
    if not (directory / WEIGHTS).is_file():
        if (directory / PICKLE).is_file():
            raise ModelUnavailable(
                f"The adapter in {directory} is a pickle file, which can run code when opened.",
                "Convert it to safetensors first (peft's save_pretrained does).",
            )
        raise ModelUnavailable(f"The adapter in {directory} has no weights.", f"Add its {WEIGHTS}.")
    stored = tensors_in(directory / WEIGHTS)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base.strip():
        raise ModelUnavailable(
            f"{directory} contains a LoRA adapter without its base model.",
            f"Name it in {CONFIG} as base_model_name_or_path: a directory or a hub id.",
        )
    targets = config.get("target_modules")
    # With a choice of layers, or a regular expression, the file itself says which layers there are.
    chosen = any(config.get(key) is not None for key in ("layers_to_transform", "layers_pattern", "exclude_modules"))
    plain = isinstance(targets, list) and not chosen
    return Adapter(
        directory,
        base.strip(),
        str(config.get("revision") or ""),
        _layers(directory, config, stored),
        tuple(map(str, targets)) if plain and isinstance(targets, list) else (),
        sum(each.elements for each in stored.values()),
    )


def _config(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG
    try:
        if path.stat().st_size > _MOST_CONFIG:
            raise ValueError("too large")
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("not an object")
    except FileNotFoundError as error:
        raise ModelUnavailable(f"{directory} contains an adapter's weights without {CONFIG}.", "Add it.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailable(f"The {CONFIG} in {directory} cannot be read.", "Download the file again.") from error
    return config


def _check_kind(directory: Path, config: Mapping[str, Any]) -> None:
    """Refuse everything but plain LoRA of a causal language model."""
    kind, task = config.get("peft_type"), config.get("task_type")
    if kind != "LORA":
        raise _unsupported(directory, f"is of the type {str(kind)[:40]!r}, and only LORA is supported")
    if task not in (None, "CAUSAL_LM"):
        raise _unsupported(directory, f"was made for {str(task)[:40]}, and only CAUSAL_LM is supported")
    if config.get("bias", "none") not in (None, "none"):
        raise _unsupported(directory, "has trained biases, which are not supported")
    if (begun := config.get("init_lora_weights")) not in _BEGINNINGS:
        raise _unsupported(directory, f"began from {str(begun)[:40]!r}, which changes the base model, too")
    if unknown := sorted(key for key, value in config.items() if value and key not in _READ):
        raise _unsupported(directory, f"uses {_NAMES.get(unknown[0], unknown[0][:60])}, which is not supported")


def _unsupported(directory: Path, why: str) -> ModelUnavailable:
    return ModelUnavailable(f"The adapter in {directory} {why}.", MERGE)


def _layers(directory: Path, config: Mapping[str, Any], stored: Mapping[str, StoredTensor]) -> dict[str, AdaptedLayer]:
    """What is adapted, by the names of layers."""
    ends = {"A": ".lora_A.weight", "B": ".lora_B.weight"}
    start = "base_model.model."
    sides: dict[str, set[str]] = {"A": set(), "B": set()}
    for name, tensor in stored.items():
        side = next((side for side, end in ends.items() if name.startswith(start) and name.endswith(end)), None)
        if side is None:
            raise _unsupported(directory, f"contains {name[:120]}, which is no change of a linear layer")
        if len(tensor.shape) != 2 or tensor.dtype not in _FLOATS:
            raise _damaged(directory, f"{name[:120]} is no matrix of floating-point numbers")
        sides[side].add(name.removeprefix(start).removesuffix(ends[side]))
    if lone := sorted(sides["A"] ^ sides["B"]):
        raise _damaged(directory, f"one of the two matrices of {lone[0][:120]} is missing")
    if not sides["A"]:
        raise _damaged(directory, "it contains no matrices")
    settings = _Settings(directory, config)
    found = {}
    for layer in sorted(sides["A"]):
        (rank, inputs), (outputs, columns) = (stored[f"{start}{layer}{end}"].shape for end in ends.values())
        stated, scale = settings.of(layer)
        if not rank == columns == stated:
            raise _damaged(directory, f"{layer[:120]} has rank {rank}, but {CONFIG} says {stated}")
        found[layer] = AdaptedLayer(rank, inputs, outputs, scale)
    return found


def _damaged(directory: Path, why: str) -> ModelUnavailable:
    return ModelUnavailable(f"The adapter in {directory} is damaged: {why}.", "Save it again with peft.")


class _Settings:
    """Rank and scale of each layer. Patterns are foreign regular expressions, so they have a time limit."""

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        self._directory = directory
        self._rank, self._alpha = config.get("r", 8), config.get("lora_alpha", 8)
        self._ranks = self._compiled(config.get("rank_pattern") or {})
        self._alphas = self._compiled(config.get("alpha_pattern") or {})
        self._root = bool(config.get("use_rslora"))
        self._deadline = time.monotonic() + _PATTERN_SECONDS

    def of(self, layer: str) -> tuple[int, float]:
        """(rank, scale) of a layer: alpha / r, or alpha / √r with rsLoRA (Kalajdzievski 2023)."""
        rank, alpha = self._value(self._ranks, layer, self._rank), self._value(self._alphas, layer, self._alpha)
        if type(rank) is not int or not 1 <= rank <= _MOST_RANK:
            raise _damaged(self._directory, f"its rank is {str(rank)[:40]}")
        if type(alpha) not in (int, float) or not math.isfinite(alpha) or abs(alpha) > _MOST_RANK:
            raise _damaged(self._directory, f"its lora_alpha is {str(alpha)[:40]}")
        return rank, alpha / (math.sqrt(rank) if self._root else rank)

    def _compiled(self, patterns: Any) -> list[tuple[Any, Any]]:
        if not isinstance(patterns, dict) or len(patterns) > _MOST_PATTERNS:
            raise _damaged(self._directory, "its patterns cannot be read")
        try:
            # As peft matches them: against the end of a name, from a dot on.
            return [(regex.compile(rf"(.*\.)?({_bounded(key)})$"), value) for key, value in patterns.items()]
        except (regex.error, ValueError, RecursionError, OverflowError, MemoryError) as error:
            raise _damaged(self._directory, "one of its patterns is no regular expression") from error

    def _value(self, patterns: list[tuple[Any, Any]], layer: str, otherwise: Any) -> Any:
        for pattern, value in patterns:
            try:
                if pattern.match(layer, timeout=max(self._deadline - time.monotonic(), 0.001)):
                    return value
            except TimeoutError as error:
                raise _damaged(self._directory, "its patterns take too long") from error
        return otherwise


def _bounded(pattern: str) -> str:
    """The pattern, unless compiling it could take much memory. Raises ValueError."""
    if len(pattern) > _LONGEST_PATTERN or "{" in pattern:
        raise ValueError("too long")
    return pattern
