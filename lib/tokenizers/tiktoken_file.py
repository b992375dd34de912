"""Tokenizers in tiktoken's format, as Llama 3 publishes its tokenizer.model."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from lib.core.pieces import make_pieces
from lib.tokenizers.bounds import check_ids
from lib.tokenizers.built import Built, Template, token_text, unreadable
from lib.tokenizers.vocabulary import Vocabulary

TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")

_BASE_TOKENS = 128_000  # of Llama 3

# Llama 3's pre-tokenizer pattern and special tokens, as published with its tokenizer.model.
_LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)

_LLAMA3_NAMED = {
    0: "begin_of_text", 1: "end_of_text", 2: "reserved_special_token_0", 3: "reserved_special_token_1",
    4: "finetune_right_pad_id", 5: "step_id", 6: "start_header_id", 7: "end_header_id", 8: "eom_id", 9: "eot_id",
    10: "python_tag", 11: "image",
}  # fmt: skip


def from_tiktoken(data: bytes, config: Mapping[str, Any], template: Template | None) -> Built:
    """A tiktoken file: lines of base64 and rank; see https://github.com/openai/tiktoken."""
    import tiktoken

    try:
        lines = [line.split() for line in data.splitlines() if line.strip()]
        ranks = {base64.b64decode(blob, validate=True): int(rank) for blob, rank in lines}
        if len(ranks) != len(lines) or sorted(ranks.values()) != list(range(len(ranks))):
            raise ValueError("ranks must count from 0")
        specials = _special_ids(config, len(ranks))
        if min(specials.values(), default=len(ranks)) < len(ranks):
            raise ValueError("a special token takes the place of another")
        check_ids(list(specials.values()), len(ranks) + len(specials), "tokenizer_config.json")
        coder = tiktoken.Encoding("model", pat_str=_LLAMA3_PATTERN, mergeable_ranks=ranks, special_tokens=specials)
    except (ValueError, binascii.Error) as error:
        raise unreadable("tokenizer.model") from error
    blobs = {rank: (blob, False) for blob, rank in ranks.items()}
    blobs |= {number: (name.encode(), True) for name, number in specials.items()}
    vocabulary = Vocabulary(make_pieces([(i, *blobs.get(i, (b"", False))) for i in range(max(blobs, default=-1) + 1)]))
    bos = specials.get("<|begin_of_text|>")

    def encode(text: str) -> list[int]:
        return coder.encode(text, allowed_special="all")

    return Built(vocabulary, encode, () if bos is None else (bos,), bos, None, template)


def _special_ids(config: Mapping[str, Any], base: int) -> dict[str, int]:
    """IDs of the special tokens by name: from tokenizer_config.json, else as Llama 3 publishes them."""
    listed = config.get("added_tokens_decoder")
    if isinstance(listed, dict) and listed:
        return {str(token_text(entry)): int(number) for number, entry in listed.items() if token_text(entry)}
    if base != _BASE_TOKENS:
        return {}
    named = [_LLAMA3_NAMED.get(i, f"reserved_special_token_{i - 10}") for i in range(256)]
    return {f"<|{name}|>": base + i for i, name in enumerate(named)}
