"""What a GGUF file says of itself, checked before anything is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lib.errors import ModelUnavailable

_MOST_TENSORS = 100_000
_MOST_ENTRIES = 1 << 21  # of the vocabulary, as in `lib.tokenizer_build`
# The largest that any model has, generously; what is built takes time and memory by these.
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


def check(path: str) -> dict[str, Any]:
    """{"elements": weights in all, "pre": its pre-tokenizer or None, "kind": of its tokenizer or None}.

    Raises ModelUnavailable. Runs in the child process, as the reader takes memory by what the file says.
    """
    import gguf

    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field for name, field in reader.fields.items() if field.types}
        _check_lists(fields)
        _check_sizes(fields)
        tensors = reader.tensors
        if len(tensors) > _MOST_TENSORS:
            raise ValueError("too many tensors")
        return {
            "elements": sum(int(tensor.n_elements) for tensor in tensors),
            "pre": _text(fields, "tokenizer.ggml.pre"),
            "kind": _text(fields, "tokenizer.ggml.model"),
        }
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, OSError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
        raise ModelUnavailable(
            f"{Path(path).name} is damaged or cut off, or not a model's: {reason}.", "Fetch the file again."
        ) from error


def _check_lists(fields: dict[str, Any]) -> None:
    """A vocabulary is a list of its entries. A single text in its place would be taken for a path."""
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
            raise ValueError(f"{name} has another length than the vocabulary")
    for name in ("tokenizer.chat_template", "tokenizer.ggml.model", "tokenizer.ggml.pre", "general.architecture"):
        if (field := fields.get(name)) is not None and field.types[0].name != "STRING":
            raise ValueError(f"{name} is not a text")


def _check_sizes(fields: dict[str, Any]) -> None:
    for name, field in fields.items():
        most = next((most for end, most in _MOST.items() if name.endswith(f".{end}")), None)
        if most is not None and max(_numbers(field)) > most:
            raise ValueError(f"{name} is beyond every model")


def _numbers(field: Any) -> list[int]:
    found = field.contents()
    return [int(each) for each in found] if isinstance(found, list) and found else [int(found or 0)]


def _text(fields: dict[str, Any], name: str) -> str | None:
    field = fields.get(name)
    return None if field is None else str(field.contents())
