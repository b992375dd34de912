"""Scores of a whole answer for telling right from wrong, by name: the higher, the more confident the model was.

Those of `lib.scores.confidence`, which need the chosen tokens alone, and those that need more. docs/doubts.md says how
good each is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.tokens import Tokens
from lib.doubts import methods
from lib.doubts.words import Gate, Terms, terms, words
from lib.scores import confidence
from lib.scores.token_scores import (
    SPAN_TOKENS,
    answer_mask,
    boosted_probability,
    entropy_bounds,
    least_confident_span,
    margin,
)

Column = NDArray[np.float64]


@dataclass(frozen=True)
class AnswerMethod:
    """A way to tell how confident a model was of a whole answer."""

    name: str
    label: str
    formula: str
    source: str  # where it comes from
    needs_k: int  # alternatives per position that it needs; 1: the chosen token alone
    of: Callable[[Completion], float]  # NaN if it cannot be told


def first_content_token(completion: Completion) -> int | None:
    """The row of the first token that says something: of the first term, else of the first word; None without one.

    An answer such as "The capital of France is Paris." opens with words that any answer opens with.
    """
    for found in (terms(completion), terms(completion, Gate.CONTENT), words(completion)):
        if len(found):
            return int(found.first[0])
    return None


def _at_first_content(column: Callable[[Tokens], Column]) -> Callable[[Completion], float]:
    def score(completion: Completion) -> float:
        row = first_content_token(completion)
        return math.nan if row is None else float(column(completion.generated)[row])

    return score


def _over_answer(column: Callable[[Tokens], Column], by: Callable[[Column], float]) -> Callable[[Completion], float]:
    def score(completion: Completion) -> float:
        tokens = completion.generated
        values = column(tokens)[answer_mask(tokens)]
        values = values[~np.isnan(values)]
        return by(values) if len(values) else math.nan

    return score


def _logprob(tokens: Tokens) -> Column:
    return tokens.logprobs.astype(np.float64)


def _entropy(tokens: Tokens) -> Column:
    return -entropy_bounds(tokens, None)[0]


def _flatness(tokens: Tokens) -> Column:
    """Entropy of the listed tokens, divided by its largest value and negated."""
    listed = np.nan_to_num(tokens.by_place, nan=0.0)
    shares = listed / np.maximum(listed.sum(axis=0), 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(shares > 0, shares * np.log(shares), 0.0).sum(axis=0)
    known = (~np.isnan(tokens.by_place)).sum(axis=0)
    return np.where(known > 1, -entropy / np.log(np.maximum(known, 2)), np.nan)


def _boosted(tokens: Tokens) -> Column:
    with np.errstate(divide="ignore"):
        return np.log(boosted_probability(tokens))


def _worst_tenth(values: Column) -> float:
    return float(np.sort(values)[: max(1, math.ceil(len(values) / 10))].mean())


def _window(completion: Completion) -> float:
    tokens = completion.generated
    mask = answer_mask(tokens)
    scored = int((mask & np.isfinite(tokens.logprobs)).sum())
    span = least_confident_span(tokens, mask, min(SPAN_TOKENS, max(scored, 1)))
    return math.nan if span is None else span.mean_logprob


def _terms(by: Callable[[Column], float]) -> Callable[[Completion], float]:
    """From the sums over the answer's terms, or over its words if it has no terms."""

    def score(completion: Completion) -> float:
        found: Terms = terms(completion)
        found = found if len(found) else words(completion)
        values = -methods.METHODS["sum"].of(completion, found)
        values = values[~np.isnan(values)]
        return by(values) if len(values) else math.nan

    return score


def _of_chosen(score: confidence.Score) -> Callable[[Completion], float]:
    def of(completion: Completion) -> float:
        logprobs = confidence.scored_tokens(completion)
        return score.of(logprobs) if len(logprobs) else math.nan

    return of


_SOURCES = {
    "sum": "Aichberger et al. 2024 (G-NLL)",
    "mean": "perplexity; Fomicheva et al. 2020",
    "min": "Manakul et al. 2023 (SelfCheckGPT)",
    "tenth": "Gupta et al. 2024",
    "mean and min": "Candor",
    "first": "the first token of all",
}

ANSWER_METHODS = {
    each.name: each
    for each in (
        *(
            AnswerMethod(name, score.label, score.formula, _SOURCES[name], 1, _of_chosen(score))
            for name, score in confidence.SCORES.items()
        ),
        AnswerMethod(
            "first content", "First content token", "log p of the first token of the first term", "Candor", 1,
            _at_first_content(_logprob),
        ),
        AnswerMethod(
            "terms sum", "Sum over terms", "Σ log p over names, numbers, dates and quoted terms", "Candor", 1,
            _terms(lambda values: float(values.sum())),
        ),
        AnswerMethod(
            "terms min", "Least likely term", "min over terms of Σ log p", "Candor", 1,
            _terms(lambda values: float(values.min())),
        ),
        AnswerMethod(
            "window", "Lowest window", f"min over {SPAN_TOKENS} tokens of the mean log p", "Fu et al. 2025 (DeepConf)",
            1, _window,
        ),
        AnswerMethod(
            "worst tenth", "Worst tenth", "mean of the lowest tenth of log p", "AgentUQ 0.1", 1,
            _over_answer(_logprob, _worst_tenth),
        ),
        AnswerMethod(
            "length", "Length", "−n", "a baseline that knows nothing of the model", 1,
            _over_answer(_logprob, lambda values: -float(len(values))),
        ),
        AnswerMethod(
            "first content margin", "Margin of the first content token", "p₁ − p₂", "Scheffer et al. 2001", 2,
            _at_first_content(margin),
        ),
        AnswerMethod(
            "margin", "Mean margin", "mean p₁ − p₂", "Scheffer et al. 2001; UQLM 0.6", 2,
            _over_answer(margin, lambda values: float(values.mean())),
        ),
        AnswerMethod(
            "boosted", "Boosted", "mean log of the total p of the dominant tokens", "Dinh and Niehues 2025", 2,
            _over_answer(_boosted, lambda values: float(values.mean())),
        ),
        AnswerMethod(
            "first content entropy", "Entropy of the first content token", "−H ÷ log k over the listed tokens",
            "φ_first, arXiv 2605.05166", 5, _at_first_content(_flatness),
        ),
        AnswerMethod(
            "entropy", "Mean entropy", "−mean H", "Fomicheva et al. 2020; EPR", 5,
            _over_answer(_entropy, lambda values: float(values.mean())),
        ),
        AnswerMethod(
            "entropy max", "Highest entropy", "−max H", "Fomicheva et al. 2020", 5,
            _over_answer(_entropy, lambda values: float(values.min())),
        ),
        AnswerMethod(
            "entropy sum", "Sum of entropy", "−Σ H", "Fomicheva et al. 2020", 5,
            _over_answer(_entropy, lambda values: float(values.sum())),
        ),
    )
}  # fmt: skip
DEFAULT = "sum"  # the best on the development part of the answers with examples
