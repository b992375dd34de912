"""The probability of a token among those of its kind: numbers against numbers, names against names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lib.core.pieces import Pieces
from lib.core.tokens import Tokens
from lib.scores.token_scores import has_alternatives, probability
from lib.segmentation.char_classes import Classes, points_of

Column = NDArray[np.float64]

_INITIALS = Classes(r"[\p{Lu}\p{Lt}]", r"\p{N}", r"[\p{L}\p{M}]")


def share_of_kind(tokens: Tokens) -> Column:
    """float64[n]: p of the chosen token ÷ p of all listed tokens of its kind, itself included; NaN without a list.

    The kind is told by a token's first letter or digit: a capital, a digit, another letter, or none. Tokens that differ
    only in case and in white space around them count as the same word.
    """
    if tokens.k < 2:
        return np.full(len(tokens), np.nan)
    kinds, words = _kinds(tokens.pieces), _words(tokens.pieces)
    own = probability(tokens)
    listed = np.nan_to_num(tokens.by_place, nan=0.0)  # [k, n]
    refs = tokens.top_refs.T
    alike = (kinds[refs] == kinds[tokens.refs]) & (refs >= 0) & (tokens.refs >= 0)
    same = alike & (words[refs] == words[tokens.refs])
    chosen = np.maximum(np.where(same, listed, 0.0).sum(axis=0), own)
    others = np.where(alike & ~same, listed, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        share = np.where(chosen > 0, chosen / (chosen + others), 0.0)
    return np.where(has_alternatives(tokens), share, np.nan)


def _kinds(pieces: Pieces) -> NDArray[np.uint8]:
    """uint8[v + 1]: the class of each piece's first letter or digit, 0 without one; a spare last row for ref −1."""
    found = np.zeros(len(pieces) + 1, np.uint8)
    for row, text in enumerate(pieces.texts):
        classes = _INITIALS.of(points_of(text))
        found[row] = next(iter(classes[classes > 0]), 0)
    return found


def _words(pieces: Pieces) -> NDArray[np.intp]:
    """int[v + 1]: a number per word, without case and white space around it; a spare last row for ref −1."""
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(text.strip().casefold(), len(numbers)) for text in pieces.texts]
    return np.array([*found, -1], np.intp)
