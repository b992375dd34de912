"""Answers of words with logprobs that a test chooses, for what reads words and terms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from lib.core.completion import Completion
from lib.core.pieces import make_pieces
from lib.core.request import Request
from lib.core.tokens import TokenKind, make_tokens
from tests.support.strategies import tokens_of as prompt_of

Alternatives = Sequence[tuple[str, float]]  # (text, logprob), the most likely first


def answer_of(
    text: str,
    logprobs: Mapping[str, float] | Sequence[float] = (),
    *,
    lists: Mapping[str, Alternatives] | None = None,
    pieces: Sequence[str] = (),
    prompt: str = "A question?",
    kinds: Sequence[TokenKind] = (),
) -> Completion:
    """An answer of one token per word, each with the white space before it.

    logprobs: by token, or one each; -0.1 for those not named. lists: the alternatives of tokens, by token. pieces: the
    tokens, if they are not the words.
    """
    parts = list(pieces) or re.findall(r"\s*\S+|\s+", text)
    assert "".join(parts) == text
    lists = lists or {}
    k = max((len(each) for each in lists.values()), default=0)
    table = sorted({*parts, *(name for each in lists.values() for name, _ in each)})
    row = {each: place for place, each in enumerate(table)}
    top_refs = np.full((len(parts), k), -1, np.int32)
    top_logprobs = np.full((len(parts), k), np.nan, np.float32)
    for place, each in enumerate(parts):
        for column, (name, logprob) in enumerate(lists.get(each, ())):
            top_refs[place, column], top_logprobs[place, column] = row[name], logprob
    values = [logprobs.get(each, -0.1) for each in parts] if isinstance(logprobs, Mapping) else list(logprobs)
    generated = make_tokens(
        make_pieces([(number, each.encode("utf-8", "surrogateescape"), False) for number, each in enumerate(table)]),
        np.array([row[each] for each in parts], np.int32),
        logprobs=np.array(values or [-0.1] * len(parts), np.float32),
        top_refs=top_refs,
        top_logprobs=top_logprobs,
        kinds=np.array(kinds or [TokenKind.TEXT] * len(parts), np.uint8),
    )
    return Completion(Request(prompt=prompt), "m", prompt_of("x"), generated, text)
