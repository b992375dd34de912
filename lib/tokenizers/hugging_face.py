"""Tokenizers of the tokenizers library: tokenizer.json, or vocab.json and merges.txt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lib.errors import ModelUnavailable
from lib.tokenizers.bounds import check_growth, check_ids
from lib.tokenizers.built import Built, Template, added_tokens, json_object, unreadable
from lib.tokenizers.vocabulary import read_vocabulary

_MODELS = ("BPE", "WordPiece", "WordLevel", "Unigram")

# Tokenizer classes whose pre-tokenizer is known although vocab.json and merges.txt don't contain it.
_GPT2 = ("GPT2Tokenizer", "RobertaTokenizer", "BartTokenizer", "WhisperTokenizer")

_QWEN2 = ("Qwen2Tokenizer",)

_QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def from_json(data: bytes, names: Mapping[str, str], template: Template | None) -> Built:
    """Build from tokenizer.json. names: special tokens, as in `Template`. Raises ModelUnavailable."""
    check_spec(json_object(data))
    import tokenizers

    try:
        backend = tokenizers.Tokenizer.from_buffer(data)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # the parser is Rust, and its panics are not Exceptions
        raise unreadable("tokenizer.json") from error
    return from_backend(backend, names, template)


def from_backend(backend: Any, names: Mapping[str, str], template: Template | None) -> Built:
    """Wrap a `tokenizers.Tokenizer`. names: special tokens, as in `Template`."""
    backend.no_truncation()
    backend.no_padding()
    bos, eos = (backend.token_to_id(names[key]) if key in names else None for key in ("bos_token", "eos_token"))
    prefix = list(backend.encode("").ids)
    if eos is not None and prefix[-1:] == [eos] != [bos]:
        del prefix[-1]  # it would end the text, but a prompt continues

    def encode(text: str) -> list[int]:
        # The fast form skips the offsets, which take half of the time.
        return list(backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    return Built(read_vocabulary(backend), encode, tuple(prefix), bos, eos, template, backend)


def check_spec(spec: Any) -> None:
    """Check the structure of a tokenizer.json and its IDs. Raises ModelUnavailable."""
    model = spec.get("model") if isinstance(spec, dict) else None
    if not isinstance(model, dict):
        raise unreadable("tokenizer.json")
    vocab, merges, added = model.get("vocab"), model.get("merges"), spec.get("added_tokens") or []
    kind = model.get("type") or ("Unigram" if isinstance(vocab, list) else "BPE")
    if kind not in _MODELS or not isinstance(vocab, dict | list) or not isinstance(added, list):
        raise unreadable("tokenizer.json")
    if isinstance(vocab, list) != (kind == "Unigram"):
        raise unreadable("tokenizer.json")
    if not isinstance(merges, list | None) or not all(map(_is_merge, merges or ())):
        raise unreadable("tokenizer.json")
    if isinstance(vocab, list):
        if not all(isinstance(each, list) and len(each) == 2 and isinstance(each[0], str) for each in vocab):
            raise unreadable("tokenizer.json")
        ids: list[Any] = [len(vocab) - 1]
    else:
        ids = list(vocab.values())
    if not all(isinstance(each, dict) and isinstance(each.get("content"), str) for each in added):
        raise unreadable("tokenizer.json")
    check_ids([*ids, *(each.get("id") for each in added)], len(vocab) + len(added), "tokenizer.json")
    for place, parts in (("normalizer", "normalizers"), ("decoder", "decoders")):
        check_growth(spec.get(place), parts)


def _is_merge(entry: Any) -> bool:
    return isinstance(entry, str) or (
        isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)
    )


def joined(files: Mapping[str, bytes], config: Mapping[str, Any]) -> bytes:
    """The tokenizer.json equivalent of vocab.json and merges.txt, for classes whose pre-tokenizer is known."""
    kind = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    if kind not in (*_GPT2, *_QWEN2):
        raise ModelUnavailable(
            "vocab.json and merges.txt don't say how this model splits text into words.", "Add its tokenizer.json."
        )
    vocab = json_object(files["vocab.json"])
    lines = files["merges.txt"].decode("utf-8", "replace").splitlines()
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": kind in _GPT2}
    split = {"type": "Split", "pattern": {"Regex": _QWEN2_PATTERN}, "behavior": "Isolated", "invert": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    spec = {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": name, **flags}
            for name, number in sorted(added_tokens(files).items(), key=lambda each: each[1])
        ],
        "normalizer": {"type": "NFC"} if kind in _QWEN2 else None,
        "pre_tokenizer": byte_level if kind in _GPT2 else {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    }
    return json.dumps(spec).encode()
