"""Scores of an answer's terms, by name: the higher, the more doubtful. docs/doubts.md says how good each is.

All are in nats unless the formula says otherwise, from the tokens of the term that the model chose: not those put into
its mouth. A score is NaN where a token has no logprob, or too few alternatives for the method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.tokens import Tokens
from lib.doubts.same_kind import share_of_kind
from lib.doubts.words import Gate, Terms, terms
from lib.scores.token_scores import answer_mask, boosted_probability, entropy_bounds, margin, surprisal

Column = NDArray[np.float64]
Reduce = Callable[[Column, Terms], Column]

BEFORE = 8  # tokens that a sudden drop is measured against


@dataclass(frozen=True)
class Method:
    """A way to tell how doubtful a term is."""

    name: str
    label: str
    formula: str
    source: str  # where it comes from
    needs_k: int  # alternatives per position that it needs; 1: the chosen token alone
    of: Callable[[Completion, Terms], Column]  # float64[m]
    unit: str = "nats"


def scored(completion: Completion, method: Method, gate: Gate = Gate.TERMS) -> tuple[Terms, Column]:
    """The terms of an answer and float64[m], how doubtful each is."""
    found = terms(completion, gate)
    return found, method.of(completion, found)


def total(column: Column, found: Terms) -> Column:
    """float64[m]: the sum over each term's tokens."""
    return _reduced(np.add, column, found)


def highest(column: Column, found: Terms) -> Column:
    """float64[m]: the largest of each term's tokens."""
    return _reduced(np.maximum, column, found)


def mean(column: Column, found: Terms) -> Column:
    """float64[m]: the mean over each term's tokens."""
    means: Column = total(column, found) / np.maximum(found.last - found.first, 1)
    return means


def first(column: Column, found: Terms) -> Column:
    """float64[m]: that of each term's first token."""
    values: Column = column[found.first]
    return values


def _reduced(by: np.ufunc, column: Column, found: Terms) -> Column:
    if not len(found):
        return np.empty(0)
    bounds = np.column_stack([found.first, found.last]).ravel()
    # One more value, as a term may end where the answer does.
    values: Column = by.reduceat(np.append(column, 0.0), bounds)[::2]
    return values


def of_tokens(column: Callable[[Tokens], Column], reduce: Reduce) -> Callable[[Completion, Terms], Column]:
    """A method from a column of the answer's tokens, the higher the more doubtful."""

    def scores(completion: Completion, found: Terms) -> Column:
        tokens = completion.generated
        return reduce(np.where(answer_mask(tokens), column(tokens), 0.0), found)

    return scores


def _entropy(tokens: Tokens) -> Column:
    return entropy_bounds(tokens, None)[0]


def _no_margin(tokens: Tokens) -> Column:
    return 1.0 - margin(tokens)


def _boosted(tokens: Tokens) -> Column:
    with np.errstate(divide="ignore"):
        return -np.log(boosted_probability(tokens))


def _same_kind(tokens: Tokens) -> Column:
    with np.errstate(divide="ignore"):
        return -np.log(share_of_kind(tokens))


def _length(_: Completion, found: Terms) -> Column:
    return (found.last - found.first).astype(np.float64)


def drop(completion: Completion, found: Terms) -> Column:
    """float64[m]: how far the term's least likely token falls below the mean of the `BEFORE` tokens ahead of it."""
    tokens = completion.generated
    values = np.where(answer_mask(tokens), surprisal(tokens), 0.0)
    usable = np.isfinite(values)
    sums = np.append(0.0, np.cumsum(np.where(usable, values, 0.0)))
    counts = np.append(0, np.cumsum(usable))
    begin = np.maximum(found.first - BEFORE, 0)
    count = counts[found.first] - counts[begin]
    ahead = (sums[found.first] - sums[begin]) / np.maximum(count, 1)
    return np.where(count > 0, highest(values, found) - ahead, np.nan)


METHODS = {
    each.name: each
    for each in (
        Method(
            "sum", "Sum of surprisal", "−Σ log p", "of answers: Aichberger et al. 2024 (G-NLL)", 1,
            of_tokens(surprisal, total),
        ),
        Method(
            "max", "Highest surprisal", "max −log p", "Manakul et al. 2023 (SelfCheckGPT)", 1,
            of_tokens(surprisal, highest),
        ),
        Method(
            "mean", "Mean surprisal", "−Σ log p / n", "perplexity; Fomicheva et al. 2020", 1,
            of_tokens(surprisal, mean),
        ),
        Method("first", "First token", "−log p of the term's first token", "Candor", 1, of_tokens(surprisal, first)),
        Method(
            "drop", "Sudden drop", f"max −log p, less the mean of the {BEFORE} tokens before the term", "Candor",
            1, drop,
        ),
        Method(
            "length", "Length", "tokens of the term", "a baseline that knows nothing of the model", 1, _length, "tokens"
        ),
        Method(
            "margin", "Narrowest margin", "max 1 − (p₁ − p₂)", "Scheffer et al. 2001 (margin sampling)",
            2, of_tokens(_no_margin, highest), "",
        ),
        Method(
            "boosted", "Boosted surprisal", "−Σ log of the total p of the dominant tokens", "Dinh and Niehues 2025",
            2, of_tokens(_boosted, total),
        ),
        Method(
            "entropy", "Highest entropy", "max −Σ p log p", "Fomicheva et al. 2020", 5, of_tokens(_entropy, highest)
        ),
        Method(
            "entropy sum", "Sum of entropy", "Σ −Σ p log p", "Fomicheva et al. 2020", 5, of_tokens(_entropy, total)
        ),
        Method(
            "kind", "Share among its kind", "−Σ log of p ÷ (p + p of listed alternatives of the same kind)",
            "Candor, after the claim-conditioned probability of Fadeeva et al. 2024 without its language model",
            5, of_tokens(_same_kind, total),
        ),
    )
}  # fmt: skip
# What was best on the development part of the labelled sets: docs/doubts.md has the figures.
DEFAULT = "sum"
DEFAULT_GATE = Gate.CONTENT
# A term whose least likely token falls so far below what comes before is called a sudden drop.
SUDDEN = 2.0  # nats
