"""Scores: plain functions from `Tokens` to a number, a column or a span. All logprobs in nats.

docs/scores.md gives each with its formula and what it does not show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.tokens import TokenKind, Tokens

Column = NDArray[np.float64]

STRETCH = 8  # tokens in the window of `least_sure_stretch`: about a clause


def surprisal(tokens: Tokens) -> Column:
    """float64[n]: -logprob; NaN where unscored, inf where p = 0."""
    return -tokens.logprobs.astype(np.float64)


def probability(tokens: Tokens) -> Column:
    """float64[n]: exp(logprob); NaN where unscored."""
    return np.exp(tokens.logprobs.astype(np.float64))


def seen_mass(tokens: Tokens) -> Column:
    """float64[n]: probability of the chosen token and the alternatives together, at most 1; NaN where unscored."""
    chosen = np.where(chosen_listed(tokens), 0.0, probability(tokens))
    mass = np.nansum(tokens.by_place, axis=0) + chosen
    return np.where(np.isnan(tokens.logprobs), np.nan, np.minimum(mass, 1.0))


def others_mass(tokens: Tokens) -> Column:
    """float64[n]: probability of everything that is neither the chosen token nor listed; NaN where unscored."""
    return 1.0 - seen_mass(tokens)


def chosen_listed(tokens: Tokens) -> NDArray[np.bool_]:
    """bool[n]: whether the chosen token is among the alternatives."""
    same: NDArray[np.bool_] = tokens.refs == tokens.top_refs.T
    return same.any(axis=0) & (tokens.refs >= 0)


def has_alternatives(tokens: Tokens, at_least: int = 2) -> NDArray[np.bool_]:
    """bool[n]: scored positions whose list holds that many alternatives; fewer say nothing of the distribution."""
    enough: NDArray[np.bool_] = (~np.isnan(tokens.by_place)).sum(axis=0) >= at_least
    return enough & ~np.isnan(tokens.logprobs)


def entropy_bounds(tokens: Tokens, vocabulary_size: int | None) -> tuple[Column, Column]:
    """(low, high), float64[n] each: entropy of the distribution at each position, in nats, bracketed by what is seen.

    The seen tokens contribute -p log p exactly. Of the rest r, no token is likelier than the least likely listed one,
    p_k, so it contributes at least -r log p_k; spread evenly over the V - k unseen tokens it contributes
    r log((V - k) / r), the most it can. NaN where fewer than two alternatives are known; high is inf without V.
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
    """float64[n]: probability of the likeliest token minus that of the second; NaN where fewer than two are known."""
    if tokens.k < 2:
        return np.full(len(tokens), np.nan)
    best = _best_first(np.nan_to_num(tokens.by_place, nan=-1.0))
    return np.where(has_alternatives(tokens), best[0] - best[1], np.nan)


def boosted_probability(tokens: Tokens) -> Column:
    """float64[n]: p of the chosen token, or of all dominant tokens together where it is one of them.

    The dominant tokens are the likeliest ones down to the last place where p falls by more than 30 % and by more than
    0.005. NaN where fewer than two are known. Falls beyond the end of the list cannot be seen and do not count.
    Source: Dinh and Niehues 2025, "Are Generative Models Underconfident? Better Quality Estimation with Boosted Model
    Probability" (EMNLP), with the thresholds of its reference implementation.
    """
    if tokens.k < 2:
        return np.full(len(tokens), np.nan)
    listed = np.nan_to_num(tokens.by_place, nan=0.0)
    best = _best_first(listed)
    falls = best[:-1] - best[1:]
    known = (~np.isnan(tokens.by_place)).sum(axis=0)
    steep = (falls > np.maximum(_STEEP * best[:-1], _NOTABLE)) & (np.arange(1, tokens.k)[:, None] < known)
    least = np.where(steep, best[:-1], np.inf).min(axis=0)
    dominant = listed >= least
    chosen = (tokens.refs == tokens.top_refs.T) & (tokens.refs >= 0)
    together = np.where(dominant, listed, 0.0).sum(axis=0)
    boosted = np.where((chosen & dominant).any(axis=0), together, probability(tokens))
    return np.where(has_alternatives(tokens), np.minimum(boosted, 1.0), np.nan)


def _best_first(listed: Column) -> Column:
    """Every position's probabilities (by place) from the largest on. Services may list them in any order."""
    if (listed[1:] <= listed[:-1]).all():
        return listed
    best: Column = -np.sort(-listed, axis=0)
    return best


def answer_mask(tokens: Tokens, *, reasoning: bool = False, stop: bool = False) -> NDArray[np.bool_]:
    """bool[n]: the tokens an answer's scores rest on: text and tool calls; reasoning and the stop token on request."""
    kinds = [TokenKind.TEXT, TokenKind.TOOL] + [TokenKind.REASONING] * reasoning + [TokenKind.STOP] * stop
    return np.isin(tokens.kinds, kinds)


@dataclass(frozen=True)
class Stretch:
    """Tokens first to last - 1 of a `Tokens`, and their mean logprob in nats."""

    first: int
    last: int
    mean_logprob: float


@dataclass(frozen=True)
class Summary:
    """Scores of some tokens, and how many they rest on.

    scored: tokens with a logprob. impossible: those of them with p = 0, which no mean includes. mean_logprob: nats,
    NaN when nothing is scored. perplexity: exp(-mean logprob). stretch: the least sure run, None where too short.
    """

    scored: int
    impossible: int
    mean_logprob: float
    perplexity: float
    stretch: Stretch | None


def summarise(tokens: Tokens, mask: NDArray[np.bool_] | None = None) -> Summary:
    """The summary of the tokens under `mask` (all of them by default)."""
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
        stretch=least_sure_stretch(tokens, chosen),
    )


def least_sure_stretch(tokens: Tokens, mask: NDArray[np.bool_], window: int = STRETCH) -> Stretch | None:
    """The window of consecutive scored tokens under `mask` with the lowest mean logprob.

    A local mean catches what a mean over the whole answer drowns (Fu et al. 2025, "Deep Think with Confidence", use
    the same on long outputs). None where no run of `window` such tokens exists. Tokens of p = 0 break a run.
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
    return Stretch(first, first + window, float(sums[first]) / window)


def summarise_answer(completion: Completion, *, reasoning: bool = False) -> Summary:
    """The summary of a completion's answer; reasoning is left out unless asked for."""
    return summarise(completion.generated, answer_mask(completion.generated, reasoning=reasoning))


def summarise_prompt(completion: Completion) -> Summary:
    """The summary of the prompt as the model read it, special tokens left out."""
    return summarise(completion.prompt, completion.prompt.kinds == TokenKind.TEXT)


_ROUNDING = 1e-6  # the sum of float32 probabilities misses 1 by about this much
_LARGEST = 700.0  # exp overflows a float64 beyond
_STEEP = 0.3  # a fall in p by that share ends a set of near-equals …
_NOTABLE = 0.005  # … if it is also larger than this
