"""The decoded tokens of a prompt or an answer, and steps that decoding both shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lib.core.pieces import make_pieces
from lib.core.request import MAX_K, Request
from lib.core.tokens import NO_TOKENS, Tokens, make_tokens
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.formats import Format, carried_k
from lib.wire.positions import Positions, inferred_k
from lib.wire.token_kinds import Fit


class WrongTokenizer(Exception):
    """The tokenizer does not reproduce what the model generated."""


@dataclass(frozen=True, eq=False)
class DecodedTokens:
    """The tokens of a prompt or an answer, and how they were found."""

    tokens: Tokens
    ways: tuple[str, ...] = ()  # the ways that identified the chosen tokens
    warnings: tuple[str, ...] = ()
    checked: bool = False  # whether the tokens were compared with the text of the response
    wrong: bool = False  # whether the tokenizer failed that comparison
    fit: Fit = Fit.SPELLS  # how the answer's tokens fit its text
    garbled: bool = False  # whether they fit only as the model's decoder writes them (`Vocabulary.garbled`)


def requested_k(wire_format: Format, request: Request | None, found: Positions) -> tuple[int, bool]:
    """(number of alternatives requested, whether that is only inferred)."""
    if wire_format.is_bedrock:
        return 1, False
    if request is not None:
        return carried_k(wire_format, request.k), False
    return min(inferred_k(found), MAX_K), True


def knows_all(tokenizer: Tokenizer, tokens: Tokens) -> bool:
    """Whether the tokenizer's vocabulary has every token."""
    ids = tokens.ids
    return tokenizer.knows(ids[ids >= 0])


def unscored_text(text: str) -> Tokens:
    """A text whose tokens are unknown, as one unscored piece."""
    if not text:
        return NO_TOKENS
    return make_tokens(make_pieces([(-1, text.encode("utf-8", "surrogatepass"), False)]), np.zeros(1, np.int32))


def undecided_count(found: Positions) -> int:
    """The number of positions with entries, none of which is known to be the chosen token."""
    return int(((found.chosen < 0) & (found.counts > 0)).sum())
