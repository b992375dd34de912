"""What the tests build their data with: short builders for examples, hypothesis strategies for laws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np
from hypothesis import strategies as st

from lib.core.completion import Completion, Origin, Scale, Timing
from lib.core.pieces import Pieces, make_pieces
from lib.core.request import MAX_K, MAX_SAMPLES, MAX_SEED, Message, Request
from lib.core.tokens import TokenKind, Tokens, make_tokens

NAN = float("nan")
INF = float("inf")

Entry = tuple[int, bytes, bool]


def table_of(*pieces: bytes | str, special: Sequence[int] = ()) -> Pieces:
    """A table whose row i has id i; `special` lists the rows of special tokens."""
    blobs = [piece.encode() if isinstance(piece, str) else piece for piece in pieces]
    return make_pieces([(row, blob, row in special) for row, blob in enumerate(blobs)])


def column(values: Any, dtype: Any = np.float32) -> np.ndarray:
    return np.array(values, dtype)


def tokens_of(*pieces: bytes | str, special: Sequence[int] = (), **columns: Any) -> Tokens:
    """One token per piece, in order, with ids that follow from the pieces; columns as plain lists."""
    table = table_of(*pieces, special=special)
    ids = [crc32(table.bytes_of(row), row in special) & 0x7FFFFFFF for row in range(len(table))]
    return tokens_on(replace(table, ids=np.array(ids, np.int32)), range(len(table)), **columns)


def tokens_on(pieces: Pieces, refs: Sequence[int], **columns: Any) -> Tokens:
    """Tokens on a given table; columns as plain lists."""
    dtypes = {"ranks": np.int32, "top_refs": np.int32, "kinds": np.uint8}
    given = {name: column(values, dtypes.get(name, np.float32)) for name, values in columns.items()}
    return make_tokens(pieces, column(refs, np.int32), **given)


def completion_of(prompt: Tokens, generated: Tokens, **fields: Any) -> Completion:
    return Completion(
        **{"request": Request(prompt="x"), "model": "m", "text": "", **fields}, prompt=prompt, generated=generated
    )


def distribution(logits: Sequence[float], chosen: int, k: int) -> Tokens:
    """One token drawn from softmax(logits) over a vocabulary of one-letter pieces, with its top k."""
    exact = np.array(logits, np.float64)
    logprobs = exact - np.log(np.exp(exact - exact.max()).sum()) - exact.max()
    order = np.argsort(-logprobs, kind="stable")[:k]
    pieces = make_pieces([(row, chr(0x100 + row).encode(), False) for row in range(len(exact))])
    return tokens_on(
        pieces,
        [chosen],
        logprobs=[logprobs[chosen]],
        ranks=[1 + int((exact > exact[chosen]).sum())],
        top_refs=[order],
        top_logprobs=[logprobs[order]],
    )


_LOGPROBS = [NAN, -INF, 0.0, -0.0, 1e-7, -1e-45, -1e-7, -0.005, -0.3, -0.7, -1.2, -2.5, -9.25, -65.6, -120.0, -3e38]
_RANKS = [-1, 1, 2, 3, 20, 21, 49_152, 2**31 - 1]
TEXTS = st.text(max_size=12)

_SNIPPETS = [
    "e\u0301",  # e and a combining accent
    "👨\u200d👩\u200d👧",  # a family: three emoji and two joiners
    "🏳\ufe0f\u200d🌈",
    "👍🏽",
    "🇩🇪🇫🇷🇮",  # two flags and half of one
    "\u1112\u1161\u11ab",  # Hangul in parts
    "\uac00\u11a8",
    "क्षि",  # a Devanagari conjunct
    "नमस्ते",
    "กำ้",
    "ที่นี่",
    "\r\n",
    "\n\r\n",
    "\u0600\u0661",  # an Arabic number sign, which binds what follows
    "\u200d",
    "\u0301",
    "\ufeff",
    "漢字",
    " a",
    "  ",
    "<s>",
]
_BROKEN = [b"\xff", b"\xe2\x82", b"\x82", b"\xf0\x9f\x91", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"]

# Bytes of a text with everything that makes cutting it difficult, invalid bytes included.
HARD_BYTES = st.lists(
    st.one_of(
        st.sampled_from([snippet.encode() for snippet in _SNIPPETS]),
        st.sampled_from([letter.encode() for snippet in _SNIPPETS for letter in snippet]),
        st.sampled_from(_BROKEN),
        st.text(max_size=3).map(str.encode),
        st.binary(max_size=2),
    ),
    max_size=12,
).map(b"".join)


@st.composite
def cut(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> list[bytes]:
    """Bytes cut into pieces at arbitrary places; some pieces are empty."""
    whole = draw(data)
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=len(whole) + 2)))
    edges = [0, *places, len(whole)]
    return [whole[start:end] for start, end in pairwise(edges)]


@st.composite
def entries(draw: st.DrawFn, least: int = 0) -> list[Entry]:
    """Rows of a piece table: known ids, each once, and literals."""
    ids = draw(st.lists(st.one_of(st.just(-1), st.integers(0, 2**31 - 1)), min_size=least, max_size=7))
    blobs = st.one_of(st.binary(max_size=4), st.sampled_from([b"a", b" fox", "é".encode(), "😀".encode(), b"<s>"]))
    rows = [(number, draw(blobs), draw(st.booleans())) for number in ids]
    known = {number: row for row in rows if (number := row[0]) >= 0}
    literals = dict.fromkeys(row for row in rows if row[0] < 0)
    return [*known.values(), *literals]


@st.composite
def tokens(draw: st.DrawFn, pieces: Pieces) -> Tokens:
    """Any tokens on that table."""
    n, k = draw(st.integers(0, 6)), draw(st.integers(0, 3))

    def picked(choices: Sequence[Any], dtype: Any, *shape: int) -> np.ndarray:
        size = math.prod(shape)
        picks = draw(st.binary(min_size=size, max_size=size))  # one draw for a whole column, which is far faster
        return np.array([choices[pick % len(choices)] for pick in picks], dtype).reshape(shape)

    refs = range(-1, len(pieces))
    return Tokens(
        picked(refs, np.int32, n),
        picked(_LOGPROBS, np.float32, n),
        picked(_RANKS, np.int32, n),
        picked(refs, np.int32, n, k),
        picked(_LOGPROBS, np.float32, n, k),
        picked(list(TokenKind), np.uint8, n),
        pieces,
    )


@st.composite
def requests(draw: st.DrawFn) -> Request:
    text = st.sampled_from(["x", "é😀", '"\\\n', " a b ", "\u2028x", "\x7f"])
    turns = st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), text), min_size=1, max_size=3)
    asked = draw(
        st.one_of(st.fixed_dictionaries({"prompt": text}), st.fixed_dictionaries({"messages": turns.map(tuple)}))
    )
    return Request(
        **asked,
        max_tokens=draw(st.integers(0, 1_000_000)),
        temperature=draw(st.floats(0, 5)),
        top_p=draw(st.floats(1e-6, 1)),
        stop=tuple(draw(st.lists(text, max_size=2))),
        seed=draw(st.one_of(st.none(), st.integers(0, MAX_SEED))),
        k=draw(st.integers(0, MAX_K)),
        prompt_scores=draw(st.booleans()),
        scores_from=draw(st.integers(0, MAX_SEED)),
        n=draw(st.integers(1, MAX_SAMPLES)),
        prefix_ids=tuple(draw(st.lists(st.integers(0, 2**31 - 1), max_size=3))),
    )


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    """Any completion: literals, special pieces, unknown tokens, no tokens, no alternatives, infinities."""
    pieces = make_pieces(draw(entries()))
    seconds = st.one_of(st.none(), st.floats(0, 1e6))
    names = st.sampled_from(["", "m", "é😀", "\ud83d", '"\\'])
    return Completion(
        request=draw(requests()),
        model=draw(names),
        prompt=draw(tokens(pieces)),
        generated=draw(tokens(pieces)),
        text=draw(TEXTS),
        stop_reason=draw(st.one_of(st.none(), st.sampled_from(["stop", "length", "cancelled", "incomplete"]))),
        scale=draw(st.sampled_from(list(Scale))),
        origin=draw(st.sampled_from(list(Origin))),
        chosen_by=draw(names),
        overlap=draw(st.integers(0, 9)),
        vocabulary_size=draw(st.one_of(st.none(), st.integers(1, 300_000))),
        timing=Timing(draw(seconds), draw(seconds), draw(seconds)),
        warnings=tuple(draw(st.lists(names, max_size=2))),
        provenance=tuple(draw(st.lists(st.tuples(names, names), max_size=2))),
    )
