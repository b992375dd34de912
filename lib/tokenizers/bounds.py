"""Bounds on a tokenizer's IDs and on how much it may lengthen a text, checked before a library allocates memory."""

from __future__ import annotations

import base64
from typing import Any

from lib.errors import ModelUnavailable
from lib.tokenizers.built import unreadable

_MOST_IDS = 1 << 21  # the largest vocabularies have about a million

_MOST_GROWTH = 64  # how many times longer normalization may make a text; one Arabic letter becomes 18

_SPARE_IDS = 1 << 16  # IDs without an entry, as in a padded vocabulary


def check_ids(ids: list[Any], entries: int, name: str) -> None:
    """Raise ModelUnavailable if an ID is not an integer or far beyond the number of entries. name: of the file."""
    if not all(type(each) is int for each in ids):
        raise unreadable(name)
    if min(ids, default=0) < -1 or max(ids, default=0) >= min(2 * entries + _SPARE_IDS, _MOST_IDS):
        raise ModelUnavailable(
            f"{name} has token IDs far beyond its {entries:,} entries.", "Use the model's own tokenizer.json."
        )


def check_growth(step: Any, parts: str) -> None:
    """Raise ModelUnavailable if a chain of replacements could make a text far longer.

    parts: the key that lists the steps of a sequence.
    """
    steps, growth = [step], 1.0
    while steps:
        each = steps.pop()
        if not isinstance(each, dict):
            continue
        if isinstance(each.get(parts), list):
            steps += each[parts]
        content, pattern = each.get("content", each.get("prepend")), each.get("pattern")
        if isinstance(content, str):
            replaced = pattern.get("String") if isinstance(pattern, dict) else None
            growth *= max(1.0, len(content) / max(1, len(replaced) if isinstance(replaced, str) else 1))
        if (charsmap := each.get("precompiled_charsmap")) is not None:
            try:
                growth *= _growth_of(base64.b64decode(charsmap))
            except (TypeError, ValueError) as error:
                raise unreadable("tokenizer.json") from error
        if growth > _MOST_GROWTH:
            raise ModelUnavailable(
                "This tokenizer replaces single characters with long text, which no real model's tokenizer does.",
                "Use the model's own tokenizer.json or tokenizer.model.",
            )


def _growth_of(charsmap: bytes) -> float:
    """How many times longer a compiled SentencePiece map can make a text: its longest replacement, in characters.

    The map is the length of a trie in four bytes, the trie, and the replacements, each ended by a zero byte.
    """
    replacements = charsmap[4 + int.from_bytes(charsmap[:4], "little") :].split(b"\0")
    return max(1.0, *(len(each.decode("utf-8", "replace")) for each in replacements))
