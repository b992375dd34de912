"""Long completions as a model would give them: words by Zipf's law, surprisals and lists that look like real ones."""

from __future__ import annotations

from functools import cache

import numpy as np

from lib.core.completion import Completion
from lib.core.pieces import make_pieces
from lib.core.request import Request
from lib.core.tokens import NO_TOKENS, Tokens, make_tokens

_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "qui", "ro", "su", "tri", "pla")
_WORDS = 8_000  # pieces that a text of 10,000 tokens with its alternatives uses; a real one used 3,700 at 7,400 tokens
_PARAGRAPH = 80  # tokens


@cache
def long_completion(tokens: int, k: int = 5) -> Completion:
    """An answer of that many tokens to no prompt, with k alternatives each. The same every time."""
    random = np.random.default_rng(7)
    names = [b",", b".", b"\n\n"]
    while len(names) < _WORDS:
        word = "".join(random.choice(_SYLLABLES, random.integers(1, 4)))
        names.append((" " * int(random.random() < 0.75) + word + str(len(names))[-2:]).encode())
    pieces = make_pieces([(3 * row + 7, name, False) for row, name in enumerate(names)])
    refs = np.minimum(random.zipf(1.3, (tokens, k + 1)) + 2, _WORDS - 1)
    for column in range(1, k + 1):  # the alternatives of a position are different tokens
        refs[:, column] = (refs[:, column] + np.cumsum(np.ones(k + 1), dtype=int)[column] * 997) % _WORDS
    draw = random.random(tokens)
    refs[:, 0] = np.where(draw < 0.06, 0, np.where(draw < 0.1, 1, refs[:, 0]))
    refs[_PARAGRAPH - 1 :: _PARAGRAPH, 0] = 2
    return Completion(
        request=Request("x"),
        model="synthetic",
        prompt=NO_TOKENS,
        generated=_scored(pieces, refs, random),
        text="",
        vocabulary_size=50_000,
    )


def _scored(pieces: object, refs: np.ndarray, random: np.random.Generator) -> Tokens:
    tokens, k = refs.shape[0], refs.shape[1] - 1
    shares = np.sort(random.dirichlet([0.35] * (k + 3), tokens), axis=1)[:, ::-1]
    top = np.log(np.maximum(shares[:, :k], 1e-9)).astype(np.float32)
    place = np.minimum(random.geometric(0.7, tokens) - 1, k)  # most tokens are the likeliest, some are not listed
    top_refs = refs[:, 1:].copy()
    rows = np.flatnonzero(place < k)
    top_refs[rows, place[rows]] = refs[rows, 0]
    logprobs = np.where(place < k, top[np.arange(tokens), np.minimum(place, k - 1)], top[:, -1] - 2)
    ranks = np.where(place < k, place + 1, k + random.geometric(0.02, tokens))
    return make_tokens(
        pieces,  # type: ignore[arg-type]
        refs[:, 0].astype(np.int32),
        logprobs=logprobs.astype(np.float32),
        ranks=ranks.astype(np.int32),
        top_refs=top_refs.astype(np.int32),
        top_logprobs=top,
    )
