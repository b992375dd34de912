"""The exact bytes of every ID of a tokenizer, so that IDs become text without calling the tokenizer.

Decoding IDs one at a time loses leading spaces (SentencePiece) and turns parts of characters into U+FFFD (byte-level
BPE). So the bytes of each ID are derived from the vocabulary, following the tokenizer's decoder.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np

from lib.core.pieces import Ints, Pieces, make_pieces

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Backend(Protocol):
    """The methods of `tokenizers.Tokenizer` used here."""

    def to_str(self, pretty: bool = ...) -> str: ...
    def get_vocab(self, with_added_tokens: bool = ...) -> dict[str, int]: ...
    def decode(self, ids: list[int], skip_special_tokens: bool = ...) -> str: ...


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The piece of every ID."""

    pieces: Pieces  # row i is ID i; an ID without an entry has no bytes
    exact: bool = True  # False if the decoder is unknown and the pieces are what single IDs decode to
    drops_space: bool = False  # whether an ID decoded alone loses its leading space
    # (ID, bytes the model's decoder writes) of added tokens that it garbles: a byte-level decoder takes the characters
    # of an added token for bytes if it can.
    garbled: tuple[tuple[int, bytes], ...] = ()

    def __len__(self) -> int:
        return len(self.pieces)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all pieces: equal if and only if two vocabularies agree on every ID."""
        digest = hashlib.sha256(self.pieces.offsets.tobytes())
        digest.update(self.pieces.data.tobytes())
        digest.update(self.pieces.special.tobytes())
        return digest.hexdigest()

    def padded(self, size: int) -> Vocabulary:
        """The same vocabulary with at least `size` IDs; added ones have no bytes."""
        if (more := size - len(self)) <= 0:
            return self
        pieces = self.pieces
        wider = Pieces(
            np.arange(size, dtype=np.int32),
            np.concatenate([pieces.offsets, np.repeat(pieces.offsets[-1:], more)]),
            pieces.data,
            np.concatenate([pieces.special, np.zeros(more, np.bool_)]),
        )
        return Vocabulary(wider, self.exact, self.drops_space, self.garbled)

    def decode(self, ids: Ints) -> str:
        """Text of the IDs without special tokens; invalid UTF-8 becomes U+FFFD."""
        kept = np.asarray(ids, np.int32)
        kept = kept[~self.pieces.special[kept]]
        return self.pieces.select(kept).data.tobytes().decode("utf-8", "replace")


def read_vocabulary(backend: Backend, size: int = 0) -> Vocabulary:
    """The vocabulary of a fast tokenizer, padded to `size` IDs, as a model's head may be larger."""
    spec = json.loads(backend.to_str())
    names = {number: name for name, number in backend.get_vocab(with_added_tokens=True).items()}
    added = {entry["id"]: entry for entry in spec.get("added_tokens", ())}
    style = _style(spec.get("decoder"))
    entries: list[tuple[int, bytes, bool]] = []
    for number in range(max(names, default=-1) + 1):
        name, entry = names.get(number), added.get(number)
        if name is None:
            blob = b""
        elif entry is not None and (entry["special"] or style != "sentencepiece"):
            blob = entry["content"].encode("utf-8", "surrogatepass")
        elif style == "bytes":
            blob = from_byte_alphabet(name)
        elif style == "sentencepiece":  # including added tokens for runs of spaces, which Gemma spells ▁▁
            blob = from_sentencepiece(name)
        else:
            blob = backend.decode([number], skip_special_tokens=False).encode("utf-8", "surrogatepass")
        entries.append((number, blob, bool(entry and entry["special"])))
    garbled = tuple(
        (number, written)
        for number, entry in sorted(added.items())
        if style == "bytes" and (written := from_byte_alphabet(entry["content"])) != entry["content"].encode()
    )
    read = Vocabulary(make_pieces(entries), style != "unknown", style == "sentencepiece", garbled)
    return read.padded(size)


def _style(decoder: dict[str, Any] | None) -> str:
    """How a decoder spells bytes: "bytes" (GPT-2's alphabet), "sentencepiece" (▁ and <0xNN>) or "unknown"."""
    parts = (decoder or {}).get("decoders") or [decoder or {}]
    kinds = {part.get("type") for part in parts}
    if "ByteLevel" in kinds:
        return "bytes"
    spaces = any(part.get("type") == "Replace" and part.get("content") == " " for part in parts)
    return "sentencepiece" if spaces or kinds & {"ByteFallback", "Metaspace"} else "unknown"


def from_sentencepiece(name: str) -> bytes:
    """Decode SentencePiece's spelling of bytes: ▁ for a space, <0xNN> for a byte."""
    if match := _BYTE.fullmatch(name):
        return bytes([int(match[1], 16)])
    return name.replace("▁", " ").encode("utf-8", "surrogatepass")


def from_byte_alphabet(name: str) -> bytes:
    """Decode GPT-2's spelling of bytes; a text with other characters stands for itself."""
    alphabet = byte_alphabet()
    if all(letter in alphabet for letter in name):
        return bytes(alphabet[letter] for letter in name)
    return name.encode("utf-8", "surrogatepass")  # an added token that is not marked as one


@cache
def byte_alphabet() -> dict[str, int]:
    """GPT-2's spelling of bytes: printable Latin-1 stands for itself, other bytes count up from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}
