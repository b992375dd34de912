"""Signs of a clear prompt: a confident start of the answer, familiar wording, and a low opening entropy.

None of them shows that an answer is right. All logprobs are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.scores.template import message_mask
from lib.scores.token_scores import Column, Summary, answer_mask, entropy_bounds, summarise

FIRST = 5  # default number of answer tokens for clarity
MOST = 20  # the largest such number
CONTEXT_FREE = 4  # first tokens of a prompt, which are always unlikely for lack of context

# Student's t for a two-sided 95% interval, for 1 to 30 degrees of freedom; 1.96 beyond.
_T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


def clarity_curve(completion: Completion, most: int = MOST) -> Column:
    """float64[most]: the mean logprob of the answer's first k tokens, for k = 1 to `most`.

    NaN from the end of the answer, or from its first unscored or impossible token. Excludes reasoning, forced tokens
    and the stop token. Published as a sign that a prompt is understood; when measured, it shows whether the model knows
    how to start, and hardly whether it is right.
    """
    values = completion.generated.logprobs[answer_mask(completion.generated)].astype(np.float64)[:most]
    curve = np.full(most, np.nan)
    usable = np.logical_and.accumulate(np.isfinite(values)) if len(values) else np.empty(0, bool)
    means = np.cumsum(np.where(usable, values, 0.0)) / np.arange(1, len(values) + 1)
    curve[: len(values)] = np.where(usable, means, np.nan)
    return curve


def mean_curve(curves: Sequence[Column]) -> Column:
    """float64[k]: the mean over the answers with at least k tokens; NaN without any."""
    counts = long_enough(curves)
    return np.where(counts > 0, np.nansum(np.stack(curves), axis=0) / np.maximum(counts, 1), np.nan)


def long_enough(curves: Sequence[Column]) -> NDArray[np.int64]:
    """int64[k]: the number of answers in that mean."""
    counts: NDArray[np.int64] = (~np.isnan(np.stack(curves))).sum(axis=0, dtype=np.int64)
    return counts


def opening_entropy(completion: Completion) -> tuple[float, float]:
    """(at least, at most), nats: the entropy of the answer's first token; NaN without alternatives."""
    mask = answer_mask(completion.generated)
    if not mask.any():
        return math.nan, math.nan
    first = int(np.argmax(mask))
    low, high = entropy_bounds(completion.generated[first : first + 1], completion.vocabulary_size)
    return float(low[0]), float(high[0])


def prompt_mask(completion: Completion, *, everything: bool = False) -> NDArray[np.bool_]:
    """bool[n]: the prompt tokens that show how familiar its wording is.

    Excludes control tokens, text added by the chat template, and the first four tokens of the rest, which lack context.

    everything: exclude only control tokens.
    """
    counted: NDArray[np.bool_] = completion.prompt.kinds == TokenKind.TEXT
    if everything:
        return counted
    request = completion.request
    if request is not None and request.messages:
        counted &= message_mask(completion.prompt, [message.content for message in request.messages])
    counted[np.flatnonzero(counted)[:CONTEXT_FREE]] = False
    return counted


def prompt_familiarity(completion: Completion, *, everything: bool = False) -> Summary:
    """Summarize the tokens under `prompt_mask`, including their perplexity.

    Among paraphrases of a prompt, those with lower perplexity do better (Gonen et al. 2022, "Demystifying Prompts in
    Language Models via Perplexity Estimation"). It says nothing about prompts for different tasks.
    """
    return summarise(completion.prompt, prompt_mask(completion, everything=everything))


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences with its 95% interval (Student's t)."""

    mean: float  # NaN without pairs
    low: float  # NaN for fewer than two pairs
    high: float  # NaN for fewer than two pairs
    pairs: int


def paired_difference(values: Sequence[float], others: Sequence[float]) -> Difference:
    """The mean of values minus others, pair by pair. Pairs with a NaN are excluded."""
    both = np.array(values, np.float64) - np.array(others, np.float64)
    both = both[np.isfinite(both)]
    n = len(both)
    mean = float(both.mean()) if n else math.nan
    if n < 2:
        return Difference(mean, math.nan, math.nan, n)
    t = _T95[n - 2] if n - 2 < len(_T95) else 1.96
    half = t * float(both.std(ddof=1)) / math.sqrt(n)
    return Difference(mean, mean - half, mean + half, n)
