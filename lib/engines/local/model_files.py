"""What a model directory contains, checked before transformers opens it: complete, safe, and of a plausible size.

Only safetensors are read, and code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.errors import ModelUnavailable
from lib.import_lock import IMPORTING
from lib.models.adapter_files import ADAPTER_FILES
from lib.models.safetensors_file import tensors_in

log = logging.getLogger(__name__)

OTHER_MODEL = "Choose a causal language model that transformers supports, such as Llama, Mistral or Qwen."

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_ELSEWHERE = ("kernel_config", "transformers_weights")  # keys that name code or files outside the directory
# What config.json calls the sizes that decide how many weights are allocated.
_WIDTHS = ("hidden_size", "n_embd", "d_model")
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_VOCABULARIES = ("vocab_size",)
_COUNTS = ("intermediate_size", "n_inner", "num_experts", "num_local_experts", "n_routed_experts")
_MAX_RATIO = 16  # numbers per stored element; packed weights hold several in one
_MAX_BUFFERS = 100_000_000  # numbers a model may compute when it is built, such as masks


def check_directory(directory: Path) -> None:
    """Refuse a directory that is incomplete, unsafe or of an unsupported type. Raises ModelUnavailable."""
    has_config = (directory / "config.json").exists()
    if has_config and any((directory / name).is_file() for name in ADAPTER_FILES):
        raise _adapter(directory)
    if not has_config and (files := sorted(directory.glob("*.gguf"))):
        raise ModelUnavailable(
            f"{directory} contains GGUF files, but no config.json.",
            f"Enter the path of the file itself, such as {files[0].name}.",
        )
    if not has_config:
        raise ModelUnavailable(
            f"{directory} contains no model: config.json is missing.",
            "Choose the directory with config.json, the tokenizer and *.safetensors. From a hub repository of GGUF "
            "files, download one file and enter its path.",
        )
    _check_code(directory)
    if not weight_files(directory):
        raise _no_weights(directory)


def _adapter(directory: Path) -> ModelUnavailable:
    return ModelUnavailable(
        f"{directory} contains a LoRA adapter beside the weights, which is not applied.",
        "Merge it into the weights with peft's `merge_and_unload`. Custom Model Import needs merged weights, too. "
        "To score the base model, move the adapter elsewhere.",
    )


def _no_weights(directory: Path) -> ModelUnavailable:
    if others := sorted(directory.glob("*.safetensors")):
        return ModelUnavailable(
            f"{directory} contains {others[0].name}, but no model.safetensors.",
            "Rename it to model.safetensors. Weights in several files need their model.safetensors.index.json.",
        )
    if any(any(directory.glob(pattern)) for pattern in _PICKLES):
        return ModelUnavailable(
            f"{directory} contains its weights as pickle files, which can run code when opened.",
            "Convert them to safetensors first (transformers' save_pretrained does).",
        )
    return ModelUnavailable(f"{directory} contains no weights.", "Add the model's *.safetensors files.")


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files that transformers will read: one, or those named by the index. Raises ModelUnavailable."""
    single, index = directory / "model.safetensors", directory / "model.safetensors.index.json"
    if single.is_file() or not index.is_file():
        return [single] if single.is_file() else []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{index.name} cannot be read.", "Download the file again.") from error
    for name in names:
        # Anything else would be a path outside the directory, or be opened as a pickle.
        if not isinstance(name, str) or Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelUnavailable(
                f"{index.name} names {str(name)[:80]!r}, which is not a safetensors file beside it.",
                "Download the index again.",
            )
        if not (directory / name).is_file():
            raise ModelUnavailable(f"{name}, which {index.name} names, is missing.", "Download the file.")
    return [directory / name for name in names]


def _check_code(directory: Path) -> None:
    """Refuse a model that needs its own Python code, or code and weights from elsewhere."""
    with IMPORTING:
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        kind, own_code = config.get("model_type"), "auto_map" in config
        elsewhere = any(
            key in _ELSEWHERE or ("implementation" in key and "/" in str(value)) for key, value in _settings(config)
        )
    except (OSError, ValueError, AttributeError) as error:
        raise ModelUnavailable(f"The config.json in {directory} cannot be read.", "Download the file again.") from error
    if elsewhere:
        raise ModelUnavailable(
            f"The config.json in {directory} names code or weights elsewhere, which Candor never uses.", OTHER_MODEL
        )
    if kind not in CONFIG_MAPPING and own_code:
        raise ModelUnavailable(
            f"The model in {directory} needs its own program code, which Candor never runs.", OTHER_MODEL
        )
    if kind not in CONFIG_MAPPING:
        raise ModelUnavailable(f"transformers doesn't support models of type {kind!r}, as in {directory}.", OTHER_MODEL)


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a configuration with its value, nested configurations included."""
    for key, value in config.items():
        yield str(key), value
        if isinstance(value, dict):
            yield from _settings(value)


def check_sizes(directory: Path, elements: int) -> None:
    """Refuse a config.json that describes far more weights than there are: transformers would allocate them.

    elements: stored elements of all weights.
    """
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    inner = config.get("text_config")
    sizes = {**config, **inner} if isinstance(inner, dict) else config
    width, layers, vocabulary = (
        next((sizes[key] for key in keys if type(sizes.get(key)) is int), 1)
        for keys in (_WIDTHS, _LAYERS, _VOCABULARIES)
    )
    largest = max((value for key, value in sizes.items() if key in _COUNTS and type(value) is int), default=0)
    if max(width * vocabulary, width * layers, largest) > _MAX_RATIO * elements:
        raise _too_large(directory)


def check_shell(directory: Path, elements: int) -> None:
    """The same for any configuration, by building the model on torch's meta device, without memory."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            shell = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception:  # loading the model will report the same problem in words
        log.debug("the shell of a model cannot be built", exc_info=True)
        return
    weights = sum(each.numel() for each in shell.parameters())
    buffers = sum(each.numel() for each in shell.buffers())
    if max(weights, buffers - _MAX_BUFFERS) > _MAX_RATIO * elements:
        raise _too_large(directory)


def _too_large(directory: Path) -> ModelUnavailable:
    return ModelUnavailable(
        f"The config.json in {directory} describes a model far larger than its weights.", "Download the files again."
    )


def count_elements(path: Path) -> int:
    """Number of elements stored in a safetensors file, from its header. Raises ModelUnavailable if it is damaged."""
    return sum(each.elements for each in tensors_in(path).values())


def fingerprint(directory: Path) -> str:
    """SHA-256 over config.json and, of each weight file, its header, its size and a sample from the middle."""
    digest = hashlib.sha256((directory / "config.json").read_bytes())
    for path in weight_files(directory):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            digest.update(file.read(min(length, 10_000_000)))
            middle = path.stat().st_size // 2
            file.seek(middle)
            digest.update(file.read(1_000_000))
        digest.update(str(path.stat().st_size).encode())
    return digest.hexdigest()
