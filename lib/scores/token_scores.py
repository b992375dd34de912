"""Scores: plain functions from `Tokens` to a number, a column or a span. All logprobs are in nats.

docs/scores.md lists their formulas and limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.tokens import TokenKind, Tokens

Column = NDArray[np.float64]

SPAN_TOKENS = 8  # window of `least_confident_span`, about a clause


def surprisal(tokens: Tokens) -> Column:
    """float64[n]: -logprob; NaN if unscored, inf if p = 0."""
    return -tokens.logprobs.astype(np.float64)


def probability(tokens: Tokens) -> Column:
    """float64[n]: exp(logprob); NaN if unscored."""
    return np.exp(tokens.logprobs.astype(np.float64))


def seen_mass(tokens: Tokens) -> Column:
    """float64[n]: total probability of the chosen token and the alternatives, at most 1; NaN if unscored."""
    chosen = np.where(chosen_listed(tokens), 0.0, probability(tokens))
    mass = np.nansum(tokens.by_place, axis=0) + chosen
    return np.where(np.isnan(tokens.logprobs), np.nan, np.minimum(mass, 1.0))


def others_mass(tokens: Tokens) -> Column:
    """float64[n]: total probability of all tokens that are neither chosen nor listed; NaN if unscored."""
    return 1.0 - seen_mass(tokens)


def chosen_listed(tokens: Tokens) -> NDArray[np.bool_]:
    """bool[n]: whether the chosen token is among the alternatives."""
    same: NDArray[np.bool_] = tokens.refs == tokens.top_refs.T
    return same.any(axis=0) & (tokens.refs >= 0)


def has_alternatives(tokens: Tokens, at_least: int = 2) -> NDArray[np.bool_]:
    """bool[n]: scored positions with at least this many alternatives; fewer say nothing about the distribution."""
    enough: NDArray[np.bool_] = (~np.isnan(tokens.by_place)).sum(axis=0) >= at_least
    return enough & ~np.isnan(tokens.logprobs)


def entropy_bounds(tokens: Tokens, vocabulary_size: int | None) -> tuple[Column, Column]:
    """(low, high), float64[n] each: bounds on the entropy at each position, in nats.

    The listed tokens contribute -p log p exactly. No token of the remaining mass r is more likely than the least likely
    listed one, p_k, so r contributes at least -r log p_k. It contributes at most r log((V - k) / r), when it is spread
    evenly over the V - k unlisted tokens. NaN with fewer than two alternatives; `high` is inf if V is unknown.
    """
    usable = has_alternatives(tokens)
    listed = np.ascontiguousarray(tokens.top_logprobs.T).astype(np.float64)
    finite = np.isfinite(listed)
    listed = np.where(finite, listed, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        seen = (np.where(finite, -tokens.by_place, 0.0) * listed).sum(axis=0)
        extra = ~chosen_listed(tokens) & np.isfinite(tokens.logprobs)
        seen += np.where(extra, probability(tokens) * surprisal(tokens), 0.0)
        rest = np.clip(others_mass(tokens), 0.0, 1.0)
        rest[rest < _ROUNDING] = 0.0
        floor = listed.min(axis=0, initial=0.0)
        count = finite.sum(axis=0) + extra
        low = seen + rest * -floor
        unseen = np.inf if vocabulary_size is None else np.maximum(vocabulary_size - count, 1)
        high = seen + np.where(rest > 0, rest * np.log(unseen / rest), 0.0)
    return np.where(usable, low, np.nan), np.where(usable, np.maximum(high, low), np.nan)


def margin(tokens: Tokens) -> Column:
    """float64[n]: probability of the most likely token minus that of the second; NaN with fewer than two."""
    if tokens.k < 2:
        return np.full(len(tokens), np.nan)
    best = _best_first(np.nan_to_num(tokens.by_place, nan=-1.0))
    return np.where(has_alternatives(tokens), best[0] - best[1], np.nan)


def boosted_probability(tokens: Tokens) -> Column:
    """float64[n]: p of the chosen token, or the total p of all dominant tokens if it is one of them.

    The dominant tokens are the most likely ones down to the last place where p drops by more than 30% and by more than
    0.005. Drops beyond the end of the list are unknown and ignored. NaN with fewer than two alternatives.
    Source: Dinh and Niehues 2025, "Are Generative Models Underconfident? Better Quality Estimation with Boosted Model
    Probability" (EMNLP), with the thresholds of its reference implementation.
    """
    if tokens.k < 2:
        return np.full(len(tokens), np.nan)
    listed = np.nan_to_num(tokens.by_place, nan=0.0)
    best = _best_first(listed)
    drops = best[:-1] - best[1:]
    known = (~np.isnan(tokens.by_place)).sum(axis=0)
    steep = (drops > np.maximum(_STEEP * best[:-1], _NOTABLE)) & (np.arange(1, tokens.k)[:, None] < known)
    least = np.where(steep, best[:-1], np.inf).min(axis=0)
    dominant = listed >= least
    chosen = (tokens.refs == tokens.top_refs.T) & (tokens.refs >= 0)
    together = np.where(dominant, listed, 0.0).sum(axis=0)
    boosted = np.where((chosen & dominant).any(axis=0), together, probability(tokens))
    return np.where(has_alternatives(tokens), np.minimum(boosted, 1.0), np.nan)


def _best_first(listed: Column) -> Column:
    """The probabilities of each position in descending order. Services may list them in any order."""
    if (listed[1:] <= listed[:-1]).all():
        return listed
    best: Column = -np.sort(-listed, axis=0)
    return best


def answer_mask(tokens: Tokens, *, reasoning: bool = False, stop: bool = False) -> NDArray[np.bool_]:
    """bool[n]: the tokens an answer's scores include: text and tool calls, optionally reasoning and the stop token."""
    kinds = [TokenKind.TEXT, TokenKind.TOOL] + [TokenKind.REASONING] * reasoning + [TokenKind.STOP] * stop
    counts = np.zeros(256, bool)
    counts[kinds] = True
    return counts[tokens.kinds]


@dataclass(frozen=True)
class Span:
    """A run of tokens with its mean logprob."""

    first: int  # row of the first token
    last: int  # row after the last token
    mean_logprob: float  # nats


@dataclass(frozen=True)
class Summary:
    """Scores of some tokens, and the number of tokens they are based on."""

    scored: int  # tokens with a logprob
    impossible: int  # scored tokens with p = 0, which are excluded from the mean
    mean_logprob: float  # nats; NaN if no token counts
    perplexity: float  # exp(-mean logprob); NaN if no token counts
    span: Span | None  # the least confident span; None if no run of tokens is long enough


def summarise(tokens: Tokens, mask: NDArray[np.bool_] | None = None) -> Summary:
    """Summarize the tokens under `mask`, by default all of them."""
    chosen = np.ones(len(tokens), bool) if mask is None else mask
    values = tokens.logprobs[chosen].astype(np.float64)
    scored = values[~np.isnan(values)]
    finite = scored[np.isfinite(scored)]
    mean = float(finite.mean()) if len(finite) else math.nan
    return Summary(
        scored=len(scored),
        impossible=len(scored) - len(finite),
        mean_logprob=mean,
        perplexity=math.exp(-mean) if mean > -_LARGEST else math.inf if len(finite) else math.nan,
        span=least_confident_span(tokens, chosen),
    )


def least_confident_span(tokens: Tokens, mask: NDArray[np.bool_], window: int = SPAN_TOKENS) -> Span | None:
    """The window of consecutive scored tokens under `mask` with the lowest mean logprob.

    A local mean shows a weak passage that the mean over a long answer hides (used on long outputs by Fu et al. 2025,
    "Deep Think with Confidence"). None if there is no run of `window` such tokens. A token with p = 0 breaks a run.
    """
    usable = mask & np.isfinite(tokens.logprobs)
    values = np.where(usable, tokens.logprobs.astype(np.float64), 0.0)
    if len(values) < window:
        return None
    sums = np.convolve(values, np.ones(window), "valid")
    full = np.convolve(usable.astype(np.int64), np.ones(window, np.int64), "valid") == window
    if not full.any():
        return None
    first = int(np.argmin(np.where(full, sums, np.inf)))
    return Span(first, first + window, float(sums[first]) / window)


def summarise_answer(completion: Completion, *, reasoning: bool = False) -> Summary:
    """Summarize a completion's answer, by default without reasoning."""
    return summarise(completion.generated, answer_mask(completion.generated, reasoning=reasoning))


def summarise_prompt(completion: Completion) -> Summary:
    """Summarize the prompt as tokenized, without special tokens."""
    return summarise(completion.prompt, completion.prompt.kinds == TokenKind.TEXT)


_ROUNDING = 1e-6  # error of a sum of float32 probabilities
_LARGEST = 700.0  # exp of more overflows a float64
_STEEP = 0.3  # a relative drop in p that ends a set of near-equal tokens …
_NOTABLE = 0.005  # … if the drop is also larger than this
