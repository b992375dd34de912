"""How clear a prompt is to a model: signs of a clear beginning, of familiar wording, and of an open choice.

None of them says that an answer is right. All logprobs in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.scores.token_scores import Column, Summary, answer_mask, entropy_bounds, summarise

FIRST = 5  # tokens of an answer that clarity rests on unless told otherwise
MOST = 20  # tokens that it can rest on
CONTEXT_FREE = 4  # tokens at the beginning of a prompt that nothing prepares for: always unlikely

# Student's t for a two-sided 95 % interval, by degrees of freedom from 1 to 30; 1.96 beyond.
_T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


def clarity_curve(completion: Completion, most: int = MOST) -> Column:
    """float64[most]: the mean logprob of the first k tokens of the answer, for k = 1 to `most`.

    NaN from the first k on that the answer does not have, or whose token is unscored or impossible. Reasoning, forced
    tokens and the stop token are no tokens of an answer. Published as a sign of a prompt that is understood; measured,
    it shows whether a model knows how to begin, and hardly whether it is right.
    """
    values = completion.generated.logprobs[answer_mask(completion.generated)].astype(np.float64)[:most]
    curve = np.full(most, np.nan)
    usable = np.logical_and.accumulate(np.isfinite(values)) if len(values) else np.empty(0, bool)
    means = np.cumsum(np.where(usable, values, 0.0)) / np.arange(1, len(values) + 1)
    curve[: len(values)] = np.where(usable, means, np.nan)
    return curve


def mean_curve(curves: Sequence[Column]) -> Column:
    """float64[k]: the mean over several answers, at each k of those that have so many tokens; NaN where none has."""
    counts = long_enough(curves)
    return np.where(counts > 0, np.nansum(np.stack(curves), axis=0) / np.maximum(counts, 1), np.nan)


def long_enough(curves: Sequence[Column]) -> NDArray[np.int64]:
    """int64[k]: how many of several answers that mean is over."""
    counts: NDArray[np.int64] = (~np.isnan(np.stack(curves))).sum(axis=0, dtype=np.int64)
    return counts


def opening_entropy(completion: Completion) -> tuple[float, float]:
    """(at least, at most) nats: the entropy where the answer begins; NaN where no list of alternatives is known."""
    mask = answer_mask(completion.generated)
    if not mask.any():
        return math.nan, math.nan
    first = int(np.argmax(mask))
    low, high = entropy_bounds(completion.generated[first : first + 1], completion.vocabulary_size)
    return float(low[0]), float(high[0])


def prompt_mask(completion: Completion, *, everything: bool = False) -> NDArray[np.bool_]:
    """bool[n]: the prompt's tokens that say how familiar its wording is.

    Left out are control tokens, what a chat template adds around the messages, and the first four tokens of what is
    left, which have no context. everything: only control tokens are left out.
    """
    counted: NDArray[np.bool_] = completion.prompt.kinds == TokenKind.TEXT
    if everything:
        return counted
    request = completion.request
    if request is not None and request.messages:
        counted &= _inside(completion, [message.content for message in request.messages])
    counted[np.flatnonzero(counted)[:CONTEXT_FREE]] = False
    return counted


def prompt_familiarity(completion: Completion, *, everything: bool = False) -> Summary:
    """The summary, with the perplexity, of the tokens under `prompt_mask`.

    Among paraphrases of one prompt the ones of lower perplexity do better (Gonen et al. 2022, "Demystifying Prompts in
    Language Models via Perplexity Estimation"); between prompts for different tasks it says nothing.
    """
    return summarise(completion.prompt, prompt_mask(completion, everything=everything))


def _inside(completion: Completion, contents: Sequence[str]) -> NDArray[np.bool_]:
    """bool[n]: tokens that lie within the text of a message. A template may trim a message, and so does this."""
    tokens = completion.prompt
    parts = [tokens.pieces.bytes_of(int(ref)) if ref >= 0 else b"" for ref in tokens.refs]
    ends = np.cumsum([len(part) for part in parts])
    starts = ends - [len(part) for part in parts]
    data, reached = b"".join(parts), 0
    inside = np.zeros(len(tokens), bool)
    for content in contents:
        wanted = content.strip().encode()
        place = data.find(wanted, reached)
        if wanted and place >= 0:
            reached = place + len(wanted)
            inside |= (starts >= place) & (ends <= reached) & (ends > starts)
    return inside


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences with its 95 % interval (Student's t); low and high NaN for fewer than two pairs."""

    mean: float
    low: float
    high: float
    pairs: int


def paired_difference(values: Sequence[float], others: Sequence[float]) -> Difference:
    """Of values minus others, pair by pair; pairs of which one is NaN do not count."""
    both = np.array(values, np.float64) - np.array(others, np.float64)
    both = both[np.isfinite(both)]
    n = len(both)
    mean = float(both.mean()) if n else math.nan
    if n < 2:
        return Difference(mean, math.nan, math.nan, n)
    t = _T95[n - 2] if n - 2 < len(_T95) else 1.96
    half = t * float(both.std(ddof=1)) / math.sqrt(n)
    return Difference(mean, mean - half, mean + half, n)
