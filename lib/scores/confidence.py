"""Scores of a whole answer, by name: the higher, the more confident the model was. Raw scores, not probabilities.

All are over the tokens of `token_scores.answer_mask`, in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.scores.token_scores import answer_mask

_LOWEST_SHARE = 0.1


@dataclass(frozen=True)
class Score:
    """A way to score an answer from the logprobs of its tokens."""

    name: str
    label: str
    formula: str
    of: Callable[[NDArray[np.float64]], float]  # from the logprobs of scored tokens, at least one


def _mean_and_floor(logprobs: NDArray[np.float64]) -> float:
    return float(0.7 * logprobs.mean() + 0.3 * max(logprobs.min(), -10.0))


SCORES = {
    each.name: each
    for each in (
        Score("sum", "Sum of logprobs", "Σ log p", lambda logprobs: float(logprobs.sum())),
        Score("mean", "Mean logprob", "Σ log p / n", lambda logprobs: float(logprobs.mean())),
        Score("min", "Lowest logprob", "min log p", lambda logprobs: float(logprobs.min())),
        Score(
            "tenth", "10% quantile", "the 10% quantile of log p",
            lambda logprobs: float(np.quantile(logprobs, _LOWEST_SHARE, method="inverted_cdf")),
        ),
        Score("mean and min", "Mean and lowest", "0.7 mean + 0.3 max(min log p, −10)", _mean_and_floor),
        Score("first", "First token", "log p of the first token", lambda logprobs: float(logprobs[0])),
    )
}  # fmt: skip
DEFAULT_SCORE = "sum"
# The score of multiple choice, which is of all choices rather than of one answer's tokens.
CHOICE = "choice"
CHOICE_SCORE = Score(CHOICE, "Log-odds of the choice", "log p / (1 − p), with p among the choices", lambda _: math.nan)
ALL_SCORES = {**SCORES, CHOICE: CHOICE_SCORE}


def scored_tokens(completion: Completion, *, stop: bool = False) -> NDArray[np.float64]:
    """float[n]: the logprobs of an answer's scored tokens; −inf for those the model holds impossible.

    stop: whether the stop token counts.
    """
    logprobs = completion.generated.logprobs[answer_mask(completion.generated, stop=stop)].astype(np.float64)
    return logprobs[~np.isnan(logprobs)]


def total(completion: Completion, *, stop: bool = False) -> float:
    """The sum of an answer's logprobs, in nats; NaN if no token is scored."""
    logprobs = scored_tokens(completion, stop=stop)
    return float(logprobs.sum()) if len(logprobs) else math.nan


def choice_probabilities(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[c]: the probabilities of choices, adding up to 1, from their sums of logprobs.

    NaN if a sum is missing, and if all choices are impossible.
    """
    if not len(sums) or np.isnan(sums).any() or not np.isfinite(sums.max()):
        return np.full(len(sums), np.nan)
    weights = np.exp(sums - sums.max())
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
