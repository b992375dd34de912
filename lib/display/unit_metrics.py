"""The metrics that the token map colours by, per token and per unit of several tokens.

A unit is what is coloured as one: a cell, a word, what a pattern matches, a sentence or a line. docs/scores.md says
what each number means.
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
    """Per scale a float64[n], NaN where it is not known.

    Boosted probability comes as its surprisal, in nats, so that it adds up; probability is left out, as it is the
    surprisal in other words. "high" is the upper end of the entropy's bracket.
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
    """Per scale a float64[m] over units; first: int[m], the first token of each. No unit is empty.

    Probabilities multiply: the chance of just this text, given what precedes it. Of rank, entropy and margin the least
    sure token counts. NaN where any token of the unit has none.
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
    """The fine step of every value, or of those in `rows`, on its own scale."""
    return {
        scale.name: scale.fine(values[scale.name] if rows is None else values[scale.name][rows]) for scale in SCALES
    }


def least_sure_tenth(steps: Steps, first: Rows, counted: NDArray[np.bool_]) -> Steps:
    """uint8[m]: per passage the step of which a tenth of its words are no surer, the least sure word at least.

    steps: uint8[w], fine steps of words. first: int[m], the first word of each passage; none is empty. counted:
    bool[w], the words that count; where none of a passage's does, all do. Unscored words never do. A passage of up to
    ten words is as sure as its least sure word, one of eleven to twenty as its second. A low quantile neither drowns a
    doubtful word, as a mean would, nor lets length decide, as a sum would (Gupta et al. 2024, "Language Model Cascades:
    Token-level Uncertainty and Beyond").
    """
    if not len(first):
        return np.empty(0, np.uint8)
    scored = steps != UNSCORED
    passage = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(steps))))
    some = np.logical_or.reduceat(counted & scored, first)
    used = scored & (counted | ~some[passage])
    # Sorted by passage, and within it from the least sure on; steps order words as their values do.
    order = np.sort(passage[used].astype(np.int32) << 8 | (255 - steps[used].astype(np.int32)))
    sizes = np.bincount(passage[used], minlength=len(first))
    places = np.cumsum(sizes) - sizes + np.maximum(-(-sizes // _TENTH) - 1, 0)
    found = np.full(len(first), UNSCORED, np.uint8)
    found[sizes > 0] = 255 - (order[places[sizes > 0]] & 0xFF)
    return found
