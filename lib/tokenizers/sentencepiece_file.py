"""Tokenizers in SentencePiece's format, such as tokenizer.model of Llama 2 and Mistral."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from lib.core.pieces import make_pieces
from lib.tokenizers.bounds import check_growth, check_ids
from lib.tokenizers.built import Built, Template, added_tokens, json_object, unreadable
from lib.tokenizers.vocabulary import Vocabulary


def from_sentencepiece(data: bytes, files: Mapping[str, bytes], template: Template | None) -> Built:
    """Build from a model file and the tokens that `files` add to it. Raises ModelUnavailable."""
    model = _sentencepiece_model(data)
    size = model.get_piece_size()
    entries = {number: _sentencepiece_entry(model, number) for number in range(size)}
    marks = {model.id_to_piece(number): number for number in range(size) if model.is_control(number)}
    marks |= added_tokens(files)
    check_ids(list(marks.values()), size + len(marks), "added_tokens.json")
    entries |= {number: (name.encode("utf-8", "replace"), True) for name, number in marks.items()}
    pieces = make_pieces([(number, *entries.get(number, (b"", False))) for number in range(max(entries) + 1)])
    bos, eos = (number if number >= 0 else None for number in (model.bos_id(), model.eos_id()))
    adds_bos = json_object(files.get("tokenizer_config.json")).get("add_bos_token") is not False
    prefix = (bos,) if bos is not None and adds_bos else ()
    coder = _MarkedSentencePiece(model, marks)
    vocabulary = Vocabulary(pieces, drops_space=True)
    return Built(vocabulary, coder.encode, prefix, bos, eos, template, spans=coder.spans)


def _sentencepiece_model(data: bytes) -> Any:
    """The model, checked before it is built. Raises ModelUnavailable."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from sentencepiece import SentencePieceProcessor
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    try:
        normalizer = ModelProto.FromString(data).normalizer_spec
    except DecodeError as error:
        raise unreadable("tokenizer.model") from error
    check_growth({"precompiled_charsmap": base64.b64encode(normalizer.precompiled_charsmap)}, "")
    try:
        model = SentencePieceProcessor(model_proto=data)
        size = model.get_piece_size()
    except Exception as error:  # its C++ errors arrive as RuntimeError or others
        raise unreadable("tokenizer.model") from error
    if size == 0:
        raise unreadable("tokenizer.model")
    return model


def _sentencepiece_entry(model: Any, number: int) -> tuple[bytes, bool]:
    """(bytes, is special) of a piece."""
    piece = model.id_to_piece(number)
    if model.is_byte(number):
        blob = bytes([int(piece[3:5], 16)])
    else:
        blob = piece.replace("▁", " ").encode("utf-8", "surrogatepass")
    return blob, model.is_control(number) or model.is_unknown(number)


class _MarkedSentencePiece:
    """Encodes text with marks in it, which SentencePiece itself would split: "<s>" into three ordinary pieces."""

    def __init__(self, model: Any, marks: Mapping[str, int]) -> None:
        """marks: IDs by name."""
        self._model, self._marks = model, marks
        longest_first = sorted(filter(None, marks), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def encode(self, text: str) -> list[int]:
        """IDs of a text."""
        return [number for number, _, _ in self._tokens(text)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """(start, end) in characters of each ID of `encode`."""
        return [(start, end) for _, start, end in self._tokens(text)]

    def _tokens(self, text: str) -> list[tuple[int, int, int]]:
        tokens: list[tuple[int, int, int]] = []
        here = 0
        for match in [*self._pattern.finditer(text), None]:
            start, end = match.span() if match else (len(text), len(text))
            if text[here:start]:
                part = self._model.encode(text[here:start], out_type="offset_mapping")
                offsets = zip(part["ids"], part["offsets"], strict=True)
                tokens += [(int(number), here + first, here + last) for number, (first, last) in offsets]
            if match:
                tokens.append((self._marks[match[0]], start, end))
            here = end
        return tokens
