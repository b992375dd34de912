"""Columns of a token map in the small integer types that the browser reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from lib.core.columnar import narrow
from lib.core.completion import Completion
from lib.core.tokens import Tokens, concatenate, make_tokens

Columns = dict[str, NDArray[Any]]

_QUANTUM = 0.001  # nats; a pinned token shows exact values
_MISSING = 0xFFFF
_LARGEST = 0xFFFE


def token_columns(tokens: Tokens) -> Columns:
    """Place, rank and list of every token, and the ref and logprob of those that their list does not contain."""
    logprobs, listed = thousandths(-tokens.logprobs), thousandths(-tokens.top_logprobs)
    place = _places(tokens, logprobs, listed)
    rows = len(tokens.pieces)
    return {
        "token.place": narrow(place, tokens.k),
        "unlisted.ref": narrow(tokens.refs[place < 0], rows),
        "unlisted.logprob": logprobs[place < 0],
        "token.rank": _smallest(np.maximum(tokens.ranks, 0)),
        "top.ref": narrow(tokens.top_refs, rows),
        "top.logprob": listed,
    }


def text_columns(name: str, texts: Sequence[str]) -> Columns:
    """Texts as one UTF-8 buffer, and the length of each in UTF-16 units."""
    return {
        f"{name}.text": np.frombuffer("".join(texts).encode(), np.uint8),
        f"{name}.chars": _smallest(_utf16_lengths(texts)),
    }


def thousandths(values: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Non-negative values in thousandths, at most 65.534; NaN becomes 65535."""
    scaled = np.clip(values.astype(np.float64) / _QUANTUM, 0, _LARGEST)
    return np.where(np.isnan(scaled), _MISSING, np.rint(np.nan_to_num(scaled))).astype(np.uint16)


def without_lists(tokens: Tokens) -> Tokens:
    """The same tokens without alternatives, and with only the pieces they use themselves."""
    plain = make_tokens(tokens.pieces, tokens.refs, logprobs=tokens.logprobs, ranks=tokens.ranks, kinds=tokens.kinds)
    return concatenate([plain])


def fingerprint(completion: Completion, count: int) -> int:
    """A checksum of the first `count` tokens of a completion. The browser computes the same one."""
    read = len(completion.prompt)
    parts = (completion.prompt[:count], completion.generated[: max(count - read, 0)])
    value = 0
    for part in parts:
        value = crc32(part.ids.astype("<i4").tobytes(), value)
    for part in parts:
        value = crc32(thousandths(-part.logprobs).astype("<u2").tobytes(), value)
    return value


def _places(tokens: Tokens, logprobs: NDArray[np.uint16], listed: NDArray[np.uint16]) -> NDArray[np.int32]:
    """int32[n]: the place of each token in its own list; -1 if it is not listed, or with another logprob."""
    if not tokens.k:
        return np.full(len(tokens), -1, np.int32)
    there = (tokens.top_refs == tokens.refs[:, None]) & (tokens.refs >= 0)[:, None] & (listed == logprobs[:, None])
    return np.where(there.any(axis=1), there.argmax(axis=1), -1).astype(np.int32)


def _utf16_lengths(texts: Sequence[str]) -> NDArray[np.int64]:
    lengths = [len(text) for text in texts]
    if max("".join(texts), default="") > "\uffff":
        lengths = [len(text) + sum(letter > "\uffff" for letter in text) for text in texts]
    return np.array(lengths, np.int64)


def _smallest(column: NDArray[Any]) -> NDArray[Any]:
    """Non-negative integers in the smallest unsigned type that fits them."""
    largest = int(column.max(initial=0))
    return column.astype(np.uint8 if largest <= 0xFF else np.uint16 if largest <= 0xFFFF else np.uint32)
