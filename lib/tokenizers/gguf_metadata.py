"""Metadata of a GGUF file, checked before anything is built from it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lib.errors import ModelUnavailable
from lib.tokenizers.gguf_tokenizer import markers, tokenizer_files

_FACTORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
_NO_MODELS = ("clip", "controlvector", "imatrix")  # architectures
_PART = re.compile(r"(.+)-\d{5}-of-\d{5}(\.gguf)?", re.IGNORECASE)
_SPLIT = re.compile(r"part-?\d+of\d+|split-[a-z]+$|\.\d{3}$", re.IGNORECASE)
_MOST_PARTS = 1_000
_MOST_LAYERS = 4_096
_MOST_FACTORS = 1 << 16
_MOST_TENSORS = 100_000
_MOST_ENTRIES = 1 << 21  # of the vocabulary, as in `lib.tokenizers.bounds`
# Generous upper limits, as the time and memory to build a model depend on these.
_MOST = {
    "block_count": 4_096,
    "embedding_length": 1 << 18,
    "feed_forward_length": 1 << 22,
    "vocab_size": 1 << 22,
    "expert_count": 1 << 14,
    "attention.head_count": 1 << 14,
    "attention.head_count_kv": 1 << 14,
}
_LISTS = {
    "tokenizer.ggml.tokens": "STRING",
    "tokenizer.ggml.merges": "STRING",
    "tokenizer.ggml.scores": "FLOAT32",
    "tokenizer.ggml.token_type": "INT32",
}
_TEXTS = (
    "tokenizer.chat_template",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "general.architecture",
    "general.type",
)
_NUMBERS = ("tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
            "tokenizer.ggml.eom_token_id", "tokenizer.ggml.unknown_token_id", "split.no", "split.count")  # fmt: skip


def check(path: str) -> dict[str, Any]:
    """Read and check the metadata of a GGUF file.

    "architecture": its name.
    "fields": numbers, strings and short lists of the architecture, by name without its prefix.
    "tensors": their names.
    "elements": the number of weights.
    "factors": lists of factors that scale positions, by the name of their tensor.
    "files": bytes of the tokenizer's files, by name.
    "markers": IDs of the tokens that are recognized anywhere in a text, by name.
    "ends": IDs that end an answer.
    "warnings": about the tokenizer.

    Raises ModelUnavailable. Runs in the child process, as the file's contents decide how much memory the reader takes.
    """
    import gguf

    name = Path(path).name
    try:
        return _metadata(Path(path), gguf.GGUFReader(path))
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, OSError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        remedy = "Download the file again."
        if _SPLIT.search(name):
            remedy = "It looks like one part of a split file: join all parts, in order, into one file."
        raise ModelUnavailable(f"{name} is damaged, truncated or not a model: {reason}.", remedy) from error


def _metadata(path: Path, reader: Any) -> dict[str, Any]:
    fields = {key: field for key, field in reader.fields.items() if field.types}
    _check_part(path, fields)
    _check_lists(fields)
    _check_sizes(fields)
    tensors = reader.tensors
    if len(tensors) > _MOST_TENSORS:
        raise ValueError("too many tensors")
    architecture = _text(fields, "general.architecture")
    if architecture is None:
        raise ValueError("general.architecture is missing")
    _check_kind(path.name, architecture, fields, len(tensors))
    try:
        tokenizer = _tokenizer(fields)
        files, warnings = tokenizer_files(tokenizer)
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{path.name}: {error.cause}", error.remedy) from error
    return {
        "architecture": architecture,
        "fields": _settings(fields, architecture),
        "tensors": [str(tensor.name) for tensor in tensors],
        "elements": sum(int(tensor.n_elements) for tensor in tensors),
        "factors": {str(each.name): _factors(each) for each in tensors if each.name in _FACTORS},
        "files": files,
        "markers": markers(tokenizer),
        "ends": _ends(fields),
        "warnings": warnings,
    }


def _check_part(path: Path, fields: dict[str, Any]) -> None:
    """Raise ModelUnavailable for one of several files that make up a model."""
    number, count = (_number(fields, f"split.{key}") for key in ("no", "count"))
    if count is None or count < 2:
        return
    part = (number or 0) + 1
    found = _PART.fullmatch(path.name)
    others = [
        path.with_name(f"{found[1]}-{each:05}-of-{count:05}{found[2]}") if found else path.with_name("")
        for each in range(1, min(count, _MOST_PARTS) + 1)
        if each != part
    ]
    join = "Join them into one file with llama.cpp's `llama-gguf-split --merge`, and choose that file."
    if not all(each.is_file() for each in others):
        join = f"Put the other parts beside it. {join}"
    raise ModelUnavailable(f"{path.name} is part {part:,} of {count:,} of a model.", join)


def _check_kind(name: str, architecture: str, fields: dict[str, Any], tensors: int) -> None:
    """Raise ModelUnavailable for a GGUF file that is not a language model."""
    kind = _text(fields, "general.type") or "model"
    if kind == "adapter" or any(key.startswith("adapter.") for key in fields):
        raise ModelUnavailable(
            f"{name} is an adapter, not a model.",
            "Merge it into its base model with llama.cpp's `llama-export-lora`, and choose the result.",
        )
    if kind != "model" or architecture in _NO_MODELS:
        what = architecture if kind == "model" else kind
        raise ModelUnavailable(
            f"{name} contains {what[:80]!r} data, not a language model.", "Choose the GGUF file of the model itself."
        )
    if not tensors:
        raise ModelUnavailable(
            f"{name} contains a vocabulary but no weights.", "Choose the GGUF file with the model's weights."
        )
    if (field := fields.get(f"{architecture}.attention.causal")) is not None and not field.contents():
        raise ModelUnavailable(
            f"{name} is not a causal language model: it looks at later tokens to score earlier ones.",
            "Choose a model that generates text, such as Llama, Mistral or Qwen.",
        )


def _tokenizer(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of the tokenizer, by the part of their names after the last dot."""
    return {
        key.rsplit(".", 1)[1]: field.contents()
        for key, field in fields.items()
        if key == "tokenizer.chat_template" or (key.startswith("tokenizer.ggml.") and key.count(".") == 2)
    }


def _ends(fields: dict[str, Any]) -> list[int]:
    found = {_number(fields, f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")}
    entries = len(fields["tokenizer.ggml.tokens"].data)
    return sorted(each for each in found if each is not None and 0 <= each < entries)


def _settings(fields: dict[str, Any], architecture: str) -> dict[str, Any]:
    """Numbers, strings and short lists of the architecture, by name without its prefix."""
    found = {}
    for key, field in fields.items():
        short = field.types[0].name != "ARRAY" or len(field.data) <= _MOST_LAYERS
        if key.startswith(f"{architecture}.") and short:
            value = field.contents()
            found[key.removeprefix(f"{architecture}.")] = value.tolist() if hasattr(value, "tolist") else value
    return found


def _factors(tensor: Any) -> list[float]:
    if tensor.tensor_type.name != "F32" or tensor.n_elements > _MOST_FACTORS:
        raise ValueError(f"{tensor.name} is not a list of factors")
    return [float(each) for each in tensor.data.reshape(-1)]


def _check_lists(fields: dict[str, Any]) -> None:
    """Raise ValueError for a vocabulary that isn't a list: a single string would be taken for a path."""
    lengths = {}
    for name, kind in _LISTS.items():
        if (field := fields.get(name)) is None:
            continue
        if field.types[0].name != "ARRAY" or (len(field.types) > 1 and field.types[1].name != kind):
            raise ValueError(f"{name} is not a list")
        lengths[name] = len(field.data)
    entries = lengths.get("tokenizer.ggml.tokens", 0)
    if entries > _MOST_ENTRIES or lengths.get("tokenizer.ggml.merges", 0) > _MOST_ENTRIES:
        raise ValueError("the vocabulary is too large")
    for name in ("tokenizer.ggml.scores", "tokenizer.ggml.token_type"):
        if lengths.get(name, entries) != entries:
            raise ValueError(f"{name} and the vocabulary have different lengths")
    for name in _TEXTS:
        if (field := fields.get(name)) is not None and field.types[0].name != "STRING":
            raise ValueError(f"{name} is not a string")
    for name in _NUMBERS:
        if (field := fields.get(name)) is not None and "INT" not in field.types[0].name:
            raise ValueError(f"{name} is not a whole number")


def _check_sizes(fields: dict[str, Any]) -> None:
    for name, field in fields.items():
        most = next((most for end, most in _MOST.items() if name.endswith(f".{end}")), None)
        if most is not None and max(_numbers(field)) > most:
            raise ValueError(f"{name} is larger than in any real model")


def _numbers(field: Any) -> list[int]:
    found = field.contents()
    return [int(each) for each in found] if isinstance(found, list) and found else [int(found or 0)]


def _text(fields: dict[str, Any], name: str) -> str | None:
    field = fields.get(name)
    return None if field is None else str(field.contents())


def _number(fields: dict[str, Any], name: str) -> int | None:
    field = fields.get(name)
    return None if field is None else int(field.contents())
