"""Converts the tokenizer in a GGUF file's metadata to the files that `lib.tokenizers.build` reads.

A byte-level vocabulary becomes a tokenizer.json, a SentencePiece vocabulary a tokenizer.model, so that the library it
was trained with encodes it. The fields are interpreted as in llama.cpp, which defines the format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lib.errors import ModelUnavailable

_UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = 2, 3, 4, 5, 6  # token types; 1 is an ordinary token
_NO_ID = (0xFFFFFFFF, -1)  # values that mean there is no such token
_ENDS = ("bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id")
_MARKER = re.compile(r"[<\[].+[>\]]", re.DOTALL)
_ORIGINAL = "Use the model's original directory with safetensors weights."

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
_QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Patterns that split text before merging, by the name of the pre-tokenizer.
SPLITS = {
    **dict.fromkeys(
        ("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
         "dbrx", "smaug-bpe"), _LLAMA3,
    ),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez"), _QWEN2),
    **dict.fromkeys(("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"), _GPT4O),
    "qwen35": _QWEN35,
    "tekken": _TEKKEN,
}  # fmt: skip
_GPT2_LIKE = ("gpt-2", "gpt2", "phi-2")
_SINGLE_DIGITS = ("smollm", "starcoder", "refact")
_COMPOSED = ("qwen2", "qwen35", "deepseek-r1-qwen")  # text is normalized to NFC first
# A word in the vocabulary becomes that token whatever the merges say, and a text begins with BOS.
_WHOLE_WORDS = ("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "tekken")


def tokenizer_files(fields: Mapping[str, Any]) -> tuple[dict[str, bytes], list[str]]:
    """The tokenizer of a GGUF file as (files by name, warnings). Raises ModelUnavailable.

    fields: the fields "tokenizer.ggml.…" and "tokenizer.chat_template", by the part after the last dot.
    """
    tokens = fields.get("tokens") or []
    if not tokens:
        raise ModelUnavailable("The file contains no vocabulary.", _ORIGINAL)
    types = list(fields.get("token_type") or [1] * len(tokens))
    ends = {}
    for key in _ENDS:
        number = fields.get(key)
        if number is None or number in _NO_ID:
            continue
        if not 0 <= number < len(tokens):
            raise ModelUnavailable(
                f"The file's {key} is {number:,}, but its vocabulary has {len(tokens):,} tokens.", _ORIGINAL
            )
        ends[key] = number
        if types[number] == 1 and _MARKER.fullmatch(tokens[number]):
            types[number] = _CONTROL
    kind = fields.get("model")
    if kind == "gpt2":
        spec, warnings = _byte_level(tokens, types, ends, fields)
    elif kind == "gemma4":
        spec, warnings = _merged_sentencepiece(tokens, types, fields), []
    elif kind == "llama":
        return _sentencepiece(tokens, types, ends, fields), []
    else:
        raise ModelUnavailable(
            f"The file's tokenizer is of type {str(kind)[:80]!r}, which Candor can't read from GGUF files.", _ORIGINAL
        )
    config = _config(tokens, ends, fields)
    return {"tokenizer.json": json.dumps(spec).encode(), "tokenizer_config.json": config}, warnings


def markers(fields: Mapping[str, Any]) -> dict[str, int]:
    """IDs of the tokens that are recognized anywhere in a text, by name."""
    types = fields.get("token_type") or ()
    return {
        token: number
        for number, (token, kind) in enumerate(zip(fields["tokens"], types, strict=False))
        if token and kind in (_CONTROL, _USER)
    }


def _config(tokens: Sequence[str], ends: Mapping[str, int], fields: Mapping[str, Any]) -> bytes:
    config: dict[str, Any] = {f"{key[:3]}_token": tokens[ends[key]] for key in _ENDS[:2] if key in ends}
    config["add_bos_token"] = "bos_token_id" in ends and bool(fields.get("add_bos_token", True))
    if isinstance(template := fields.get("chat_template"), str):
        config["chat_template"] = template
    return json.dumps(config).encode()


def _byte_level(
    tokens: Sequence[str], types: Sequence[int], ends: Mapping[str, int], fields: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The tokenizer.json of a byte-level BPE vocabulary."""
    pre, warnings = fields.get("pre"), []
    whole = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    if pre in SPLITS:
        split = {"type": "Split", "pattern": {"Regex": SPLITS[pre]}, "behavior": "Isolated", "invert": False}
        splitting: dict[str, Any] = {"type": "Sequence", "pretokenizers": [split, whole | {"use_regex": False}]}
    elif pre in _SINGLE_DIGITS:
        splitting = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, whole]}
    else:
        splitting = whole
        if pre not in _GPT2_LIKE:
            named = "The file doesn't name its pre-tokenizer"
            if pre and pre != "default":
                named = f"Candor doesn't know the file's pre-tokenizer {pre[:80]!r}"
            warnings.append(f"{named}; text may be split wrongly, and scores may be off.")
    bos = ends.get("bos_token_id")
    adds_bos = bos is not None and fields.get("add_bos_token", pre in _WHOLE_WORDS)
    vocab, added = _entries(tokens, types)
    spec = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "NFC"} if pre in _COMPOSED else None,
        "pre_tokenizer": splitting,
        "post_processor": _beginning(tokens[bos], bos) if adds_bos and bos is not None else None,
        "decoder": whole,
        "model": {
            "type": "BPE",
            "vocab": vocab,
            "merges": [_parts(merge) for merge in fields.get("merges") or ()],
            "ignore_merges": pre in _WHOLE_WORDS,
        },
    }
    return spec, warnings


def _merged_sentencepiece(tokens: Sequence[str], types: Sequence[int], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The tokenizer.json of a SentencePiece vocabulary with merges, as in Gemma 4."""
    vocab, added = _entries([_escaped(token) for token in tokens], types)
    space = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    unknown = next((token for token, kind in zip(tokens, types, strict=True) if kind == _UNKNOWN), None)
    return {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": {
            "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False,
        },
        "post_processor": None,  # the chat template writes <bos>
        "decoder": {"type": "Sequence", "decoders": [space, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "vocab": vocab,
            "merges": [_parts(merge) for merge in fields.get("merges") or ()],
            "unk_token": unknown,
            "fuse_unk": True,
            "byte_fallback": True,
        },
    }  # fmt: skip


def _entries(tokens: Sequence[str], types: Sequence[int]) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """(IDs by name, added tokens). Of two tokens with one name, the later counts, as in llama.cpp."""
    vocab = {token: number for number, token in enumerate(tokens) if token and types[number] != _UNUSED}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [
        {"id": number, "content": token, "special": types[number] != _USER, **flags}
        for token, number in sorted(vocab.items(), key=lambda each: each[1])
        if types[number] in (_UNKNOWN, _CONTROL, _USER)
    ]
    return vocab, added


def _parts(merge: str) -> list[str]:
    left, blank, right = merge.partition(" ")
    if not (left and blank and right):
        raise ModelUnavailable(f"The file's merge {merge[:80]!r} doesn't have two parts.", "Download the file again.")
    return [left, right]


def _beginning(name: str, number: int) -> dict[str, Any]:
    """The post-processor that puts BOS before a text."""
    sequence: dict[str, Any] = {"Sequence": {"id": "A", "type_id": 0}}
    token = {"SpecialToken": {"id": name, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [token, sequence],
        "pair": [token, sequence, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {name: {"id": name, "ids": [number], "tokens": [name]}},
    }


def _escaped(token: str) -> str:
    """The token with ▁ for spaces if it is a run of spaces, which some writers leave unescaped."""
    return token.replace(" ", "▁") if token and not token.strip(" ") else token


def _sentencepiece(
    tokens: Sequence[str], types: Sequence[int], ends: Mapping[str, int], fields: Mapping[str, Any]
) -> dict[str, bytes]:
    """The tokenizer.model of a SentencePiece vocabulary, and files for what that format can't hold."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    kinds = _with_one_unknown(tokens, types, fields)
    for key, number in (("bos_token_id", 1), ("eos_token_id", 2)):
        if key not in fields and number < len(tokens) and kinds[number] == _CONTROL:
            ends = {**ends, key: number}
    model, seen = ModelProto(), set()
    for number, (token, score) in enumerate(zip(tokens, _scores(tokens, kinds, fields), strict=True)):
        name, kind = _escaped(token), kinds[number]
        if not name or name in seen:  # can't be matched in a text
            name, kind = f"<unused {number}>", _UNUSED
        seen.add(name)
        model.pieces.add(piece=name, score=score, type=_CONTROL if number in ends.values() else kind)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = trainer.BPE
    trainer.vocab_size = len(tokens)
    trainer.byte_fallback = _BYTE in kinds
    trainer.unk_id = kinds.index(_UNKNOWN)
    trainer.unk_piece = model.pieces[trainer.unk_id].piece
    trainer.pad_id = trainer.bos_id = trainer.eos_id = -1
    for key, place in (("bos_token_id", "bos"), ("eos_token_id", "eos")):
        number = ends.get(key, -1)
        setattr(trainer, f"{place}_id", number)
        setattr(trainer, f"{place}_piece", model.pieces[number].piece if number >= 0 else "")
    trainer.pad_piece = ""
    normalizer.name = "identity"
    normalizer.add_dummy_prefix = bool(fields.get("add_space_prefix", True))
    normalizer.remove_extra_whitespaces = bool(fields.get("remove_extra_whitespaces", False))
    normalizer.escape_whitespaces = True
    if charsmap := fields.get("precompiled_charsmap"):
        normalizer.precompiled_charsmap = bytes(each % 256 for each in charsmap)
    return {
        "tokenizer.model": model.SerializeToString(),
        "tokenizer_config.json": _config(tokens, ends, fields),
        # SentencePiece itself doesn't recognize its unknown token in a text.
        "added_tokens.json": json.dumps({trainer.unk_piece: trainer.unk_id}).encode(),
    }


def _with_one_unknown(tokens: Sequence[str], types: Sequence[int], fields: Mapping[str, Any]) -> list[int]:
    """The types with exactly one unknown token, as SentencePiece requires."""
    kinds = list(types)
    first = kinds.index(_UNKNOWN) if _UNKNOWN in kinds else fields.get("unknown_token_id", 0)
    if not 0 <= first < len(tokens):
        raise ModelUnavailable("The file's vocabulary has no unknown token.", _ORIGINAL)
    kinds = [_CONTROL if kind == _UNKNOWN else kind for kind in kinds]
    kinds[first] = _UNKNOWN
    return kinds


def _scores(tokens: Sequence[str], kinds: Sequence[int], fields: Mapping[str, Any]) -> list[float]:
    """Merge priorities, higher first. If all are equal, the writer didn't know them: use the order of the IDs."""
    scores = [float(score) for score in fields.get("scores") or [0.0] * len(tokens)]
    ordinary = {score for score, kind in zip(scores, kinds, strict=True) if kind == 1}
    return scores if len(ordinary) > 1 else [-float(number) for number in range(len(tokens))]
