"""Completions as an engine yields them, over a tokenizer of a few hundred ids."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lib.core.answer_parser import AnswerParser, without_opening
from lib.core.completion import Completion
from lib.core.request import MAX_K, Message, Request
from lib.core.tokens import TokenKind, Tokens, make_tokens
from lib.models.tokenizer_files import from_built
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.formats import Format
from lib.wire.token_kinds import prompt_kinds
from tests.support import tiny

MERGES = [(b" ", b"t"), (b"h", b"e"), (b"i", b"n"), (b" ", b"a"), (b"\xe4", b"\xb8")]
WORDS = ["the ", "in ", " a", " the", "x", "世界", "é", "😀", "\n", ".", "<think>", "</think>", " <b>", "0"]
LOGPROBS = np.array(
    [-0.0, 0.0, -1e-7, -0.0005, -0.05, -0.3, -0.7, -1.5, -2.5, -4.0, -9.25, -65.0, -3e38, -np.inf], np.float32
)


@cache
def tokenizer(bos: bool = True) -> Tokenizer:
    """Bytes, a few merges, five special tokens."""
    return from_built(tiny.built(bos=bos, chat=tiny.CHAT, merges=MERGES), "tiny")


TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map("".join)


def requests(form: Format | None = None) -> st.SearchStrategy[Request]:
    """Requests that a format can carry."""
    chat = form is Format.CHAT
    return st.builds(
        Request,
        prompt=st.none() if chat else TEXTS.filter(str.strip),
        messages=TEXTS.filter(str.strip).map(lambda text: (Message("user", text),)) if chat else st.just(()),
        max_tokens=st.integers(1, 8),
        temperature=st.sampled_from([0.0, 0.5, 1.0]),
        top_p=st.sampled_from([1.0, 0.9]),
        stop=st.lists(st.sampled_from([".", "\n", "the", "世"]), max_size=2).map(tuple),
        k=st.integers(0, MAX_K),
        prompt_scores=st.booleans(),
    )


@st.composite
def completions(draw: st.DrawFn, form: Format) -> Completion:
    """What an engine might answer, its answer being any ids at all."""
    reader = tokenizer(draw(st.booleans()))
    request = draw(requests(form))
    ids = draw(st.sampled_from(reader.readings(request)))
    size = len(reader.vocabulary)
    plain = st.integers(0, size - 4).filter(lambda number: number not in tiny.SPECIALS)
    words = st.sampled_from(WORDS).map(reader.encode)
    drawn = draw(st.lists(st.one_of(words, plain.map(lambda number: [number])), max_size=request.max_tokens))
    answer = [number for part in drawn for number in part][: request.max_tokens]
    if draw(st.booleans()):
        answer.append(tiny.EOS)
    written, kinds, text, reason = _as_an_engine_writes(answer, request, reader)
    prompt = _scored(draw, ids, request.k, reader, first=1 if request.prompt_scores else len(ids))
    generated = _scored(draw, written, request.k, reader, first=0)
    return Completion(
        request=request,
        model="m",
        prompt=Tokens(**{**_columns(prompt), "kinds": prompt_kinds(prompt.pieces, prompt.refs)}),
        generated=without_opening(Tokens(**{**_columns(generated), "kinds": kinds})),
        text=text,
        stop_reason=reason,
        vocabulary_size=size,
    )


def _columns(tokens: Tokens) -> dict[str, Any]:
    names = ("refs", "logprobs", "ranks", "top_refs", "top_logprobs", "kinds", "pieces")
    return {name: getattr(tokens, name) for name in names}


def _as_an_engine_writes(
    answer: list[int], request: Request, reader: Tokenizer
) -> tuple[list[int], np.ndarray, str, str]:
    follow = AnswerParser(request.stop, reader.prompt_text(request) or "")
    pieces, kinds, text = reader.vocabulary.pieces, [], ""
    for place, number in enumerate(answer):
        if number == tiny.EOS:
            rest = follow.end()
            kinds += [kind for _, kind in rest.tokens] + [TokenKind.STOP]
            return answer[: place + 1], np.array(kinds, np.uint8), text + rest.text, "stop"
        released = follow.push(pieces.bytes_of(number), bool(pieces.special[number]))
        kinds += [kind for _, kind in released.tokens]
        text += released.text
        if released.stopped:
            return answer[: place + 1], np.array(kinds, np.uint8), text, "stop"
    rest = follow.end()
    kinds += [kind for _, kind in rest.tokens]
    return answer, np.array(kinds, np.uint8), text + rest.text, "length"


def _scored(draw: st.DrawFn, ids: list[int], k: int, reader: Tokenizer, first: int) -> Tokens:
    n, size = len(ids), len(reader.vocabulary)
    logprobs, ranks = np.full(n, np.nan, np.float32), np.full(n, -1, np.int32)
    top_refs, top_logprobs = np.full((n, k), -1, np.int32), np.full((n, k), np.nan, np.float32)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    known = np.array([i for i in range(size) if reader.vocabulary.pieces.bytes_of(i)], np.int32)
    for row in range(first, n):
        others = rng.permutation(known[known != ids[row]])[:k]
        scores = -np.sort(-rng.choice(LOGPROBS, k + 1))
        place = int(rng.integers(0, k + 1))  # k: outside the list
        listed = np.insert(others, place, ids[row])[: k + 1] if k else np.array([ids[row]])
        logprobs[row] = scores[place]
        larger = int((scores > scores[place]).sum())
        ranks[row] = larger + 1 if place < k else max(larger + 1, k + 1 + int(rng.integers(0, 50)))
        kept = listed[:k]
        # Of equal entries the token's own stands first, as it does after the wire.
        same = np.flatnonzero(scores[:k] == scores[place])
        if place < k and len(same):
            kept = np.insert(np.delete(kept, place), same[0], ids[row])
        top_refs[row], top_logprobs[row] = kept, scores[:k]
    refs = np.array(ids, np.int32)
    return make_tokens(
        reader.vocabulary.pieces, refs, logprobs=logprobs, ranks=ranks, top_refs=top_refs, top_logprobs=top_logprobs
    )


def differences(one: Completion, other: Completion) -> dict[str, Any]:
    """Which parts of two completions differ, and how: what a failing law shows instead of two walls of numbers."""
    found: dict[str, Any] = {}
    for name in ("request", "model", "text", "stop_reason", "chosen_by", "vocabulary_size"):
        if getattr(one, name) != getattr(other, name):
            found[name] = (getattr(one, name), getattr(other, name))
    for part in ("prompt", "generated"):
        a, b = getattr(one, part), getattr(other, part)
        for name in ("ids", "logprobs", "ranks", "top_ids", "top_logprobs", "kinds"):
            left, right = getattr(a, name), getattr(b, name)
            if left.shape != right.shape or left.tobytes() != right.tobytes():
                found[f"{part}.{name}"] = (left.tolist(), right.tolist())
    if not found and one != other:
        found["pieces"] = (one.pieces, other.pieces)
    return found
