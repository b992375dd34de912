"""Metrics the token map colours by, per token and per unit of several tokens.

A unit is coloured as a whole: a cell, a word, a pattern match, a sentence or a line. docs/scores.md explains the
numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lib.core.tokens import Tokens
from lib.display.scales import BOOSTED, ENTROPY, MARGIN, PROBABILITY, RANK, SCALES, SURPRISAL, UNSCORED, Steps
from lib.scores.token_scores import Column, boosted_probability, entropy_bounds, margin, surprisal

_TENTH = 10

Rows = NDArray[np.integer]


def token_metrics(tokens: Tokens, vocabulary_size: int | None) -> dict[str, Column]:
    """One float64[n] per scale, by name; NaN if unknown.

    Boosted probability is given as surprisal, in nats, so that it adds up over tokens. Probability is left out, as it
    follows from surprisal. "high" is the upper bound of the entropy.
    """
    low, high = entropy_bounds(tokens, vocabulary_size)
    with np.errstate(divide="ignore"):
        boosted = -np.log(boosted_probability(tokens))
    return {
        SURPRISAL.name: surprisal(tokens),
        RANK.name: np.where(tokens.ranks > 0, tokens.ranks, np.nan).astype(np.float64),
        ENTROPY.name: low,
        MARGIN.name: margin(tokens),
        BOOSTED.name: boosted,
        "high": high,
    }


def unit_metrics(metrics: dict[str, Column], first: Rows) -> dict[str, Column]:
    """One float64[m] per scale over units, by name; NaN if any token of the unit has no value.

    Probabilities multiply, which gives the probability of the text given everything before it. Rank, entropy and margin
    are those of the least confident token.

    metrics: as `token_metrics` returns them.
    first: int[m], the first token of each unit; no unit is empty.
    """
    if not len(first):
        return {scale.name: np.empty(0) for scale in SCALES}
    total = np.add.reduceat(metrics[SURPRISAL.name], first)
    return {
        PROBABILITY.name: np.exp(-total),
        SURPRISAL.name: total,
        RANK.name: np.maximum.reduceat(metrics[RANK.name], first),
        ENTROPY.name: np.maximum.reduceat(metrics[ENTROPY.name], first),
        MARGIN.name: np.minimum.reduceat(metrics[MARGIN.name], first),
        BOOSTED.name: np.exp(-np.add.reduceat(metrics[BOOSTED.name], first)),
    }


def fine_steps(values: dict[str, Column], rows: Rows | None = None) -> dict[str, Steps]:
    """The fine step of every value, or only of those in `rows`, on each scale."""
    return {
        scale.name: scale.fine(values[scale.name] if rows is None else values[scale.name][rows]) for scale in SCALES
    }


def least_confident_tenth(steps: Steps, first: Rows, counted: NDArray[np.bool_]) -> Steps:
    """uint8[m]: the step of the least confident tenth of each passage's words, at least one word.

    A passage of up to ten words has the step of its least confident word, one of eleven to twenty that of its second. A
    low quantile does not hide a doubtful word, as a mean would, and does not depend on length, as a sum would (Gupta et
    al. 2024, "Language Model Cascades: Token-level Uncertainty and Beyond").

    steps: uint8[w], fine steps of words. Unscored words never count.
    first: int[m], the first word of each passage; no passage is empty.
    counted: bool[w], the words that count; in a passage without any, all do.
    """
    if not len(first):
        return np.empty(0, np.uint8)
    scored = steps != UNSCORED
    passage = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(steps))))
    some = np.logical_or.reduceat(counted & scored, first)
    used = scored & (counted | ~some[passage])
    # Sort by passage, then from least to most confident: steps have the order of the values.
    order = np.sort(passage[used].astype(np.int32) << 8 | (255 - steps[used].astype(np.int32)))
    sizes = np.bincount(passage[used], minlength=len(first))
    places = np.cumsum(sizes) - sizes + np.maximum(-(-sizes // _TENTH) - 1, 0)
    found = np.full(len(first), UNSCORED, np.uint8)
    found[sizes > 0] = 255 - (order[places[sizes > 0]] & 0xFF)
    return found
