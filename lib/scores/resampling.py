"""Bound what sampling with other settings would have done, from the recorded logprobs.

Only the top tokens of each position are known, and the total probability of all others. A probability at another
temperature is therefore bounded, not exact. Settings apply in the order of vLLM and the local engine: temperature, then
min-p, then top-p.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion, Scale
from lib.core.request import MAX_TEMPERATURE
from lib.core.tokens import TokenKind, Tokens
from lib.errors import InvalidRequest
from lib.scores.token_scores import Column, chosen_listed, others_mass, probability

Flags = NDArray[np.bool_]

_COLDEST = 1e-6  # lower temperatures are greedy, as in the local engine
_NOTHING = 1e-6  # a smaller remaining mass is a rounding error
_SLACK = 1e-12  # tolerance when a sum is compared with a threshold


@dataclass(frozen=True)
class Sampling:
    """Sampling settings. Raises InvalidRequest if one is out of bounds.

    Min-p is from Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling".
    """

    temperature: float = 1.0  # 0 always takes the most likely token
    top_p: float = 1.0  # sample from the smallest set of most likely tokens that reaches this; 1 keeps all tokens
    min_p: float = 0.0  # a token needs at least this share of the most likely one's probability; 0 keeps all tokens

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("temperature", self.temperature, 0, MAX_TEMPERATURE),
            ("top_p", self.top_p, 1e-6, 1),
            ("min_p", self.min_p, 0, 1),
        ):
            if not low <= value <= high:  # also refuses NaN
                raise InvalidRequest(f"{name} is {value:g}; it must be between {low:g} and {high:g}.")


@dataclass(frozen=True, eq=False)
class Resampled:
    """Bounds on the probability of sampling each token, at n positions with k alternatives.

    Positions without a score or alternatives have NaN probabilities, and counts of 0.
    """

    low: Column  # float64[n, k], of the listed tokens in the list's order; 0 if excluded, NaN past the list's end
    high: Column  # float64[n, k], the same
    chosen_low: Column  # float64[n], of the chosen token
    chosen_high: Column
    others_low: Column  # float64[n], total of the tokens that are neither chosen nor listed
    others_high: Column
    least: NDArray[np.int64]  # int64[n], known tokens that can certainly be sampled
    most: NDArray[np.int64]  # int64[n], known tokens that could possibly be sampled
    beyond: Flags  # bool[n], whether unlisted tokens could be sampled too


def reason_against(done: Completion) -> str:
    """Why a completion cannot be resampled, as a sentence; "" if it can."""
    if done.scale == Scale.RAW:
        return ""
    return (
        "These logprobs are not the model's own: sampling settings were already applied to them. The effect of other "
        "settings cannot be computed."
    )


def resample(tokens: Tokens, sampling: Sampling, vocabulary_size: int | None) -> Resampled:
    """Bound the probability of sampling each token under these settings.

    Weights are w = p^(1/T). Of the unlisted tokens only their total mass r is known, and that none is more likely than
    the least likely listed one, c. Their total weight is extreme when they share r evenly and when as many as possible
    have c. Which of the two is the maximum depends on whether T is above or below 1, as x^(1/T) is concave or convex.
    """
    rows, k = tokens.top_logprobs.shape
    usable = ~np.isnan(tokens.logprobs) & ~np.isnan(tokens.top_logprobs).all(axis=1) if k else np.zeros(rows, bool)
    shares = np.exp(np.nan_to_num(tokens.top_logprobs.astype(np.float64), nan=-np.inf)) if k else np.zeros((rows, 1))
    order = np.argsort(-shares, axis=1, kind="stable")
    best_first = np.take_along_axis(shares, order, axis=1)
    found = _nucleus(_min_p(_weights(tokens, best_first, sampling, vocabulary_size), sampling.min_p), sampling.top_p)
    back = np.argsort(order, axis=1)
    absent = np.isnan(tokens.top_logprobs) | ~usable[:, None]
    low, high = (
        np.where(absent, np.nan, np.take_along_axis(column, back, axis=1)[:, :k]) for column in (found.low, found.high)
    )
    return _resampled(tokens, usable, low, high, found)


@dataclass(frozen=True, eq=False)
class _Weights:
    """Weights p^(1/T) at n positions, relative to the most likely token's weight so that nothing underflows."""

    listed: Column  # float64[n, k], best first; 0 for tokens that cannot be sampled
    own: Column  # float64[n], of a chosen token outside the list; 0 if it is listed
    rest_low: Column  # float64[n], lower bound of the total weight of the unlisted tokens
    rest_high: Column  # float64[n], upper bound of it
    cap: Column  # float64[n], upper bound of the weight of one unlisted token


@dataclass(frozen=True, eq=False)
class _Nucleus:
    """Bounds on the probabilities that are left after top-p, at n positions."""

    low: Column  # float64[n, k], of the listed tokens, best first
    high: Column
    own_low: Column  # float64[n], of a chosen token outside the list
    own_high: Column
    beyond: Flags  # bool[n], whether an unlisted token may be in the nucleus
    least: NDArray[np.int64]  # int64[n], known tokens that are certainly in it
    most: NDArray[np.int64]  # int64[n], known tokens that may be in it


def _weights(tokens: Tokens, best_first: Column, sampling: Sampling, vocabulary_size: int | None) -> _Weights:
    """Weights at a temperature. best_first: float64[n, k], probabilities of the listed tokens."""
    own = np.where(chosen_listed(tokens), 0.0, np.nan_to_num(probability(tokens)))
    peak = np.where(best_first[:, 0] > 0, best_first[:, 0], 1.0)
    if sampling.temperature == 0:
        nothing, cap = np.zeros(len(tokens)), np.zeros(len(tokens))
        return _Weights((best_first >= peak[:, None]).astype(float), nothing, nothing, nothing, cap)
    rest = np.nan_to_num(others_mass(tokens))
    rest = np.where(rest > _NOTHING, rest, 0.0)
    known = (best_first > 0).sum(axis=1)
    cap = np.take_along_axis(best_first, np.maximum(known - 1, 0)[:, None], axis=1)[:, 0]
    unseen = np.inf if vocabulary_size is None else np.maximum(vocabulary_size - known - (own > 0), 1)
    power = 1.0 / max(sampling.temperature, _COLDEST)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        return _Weights(
            (best_first / peak[:, None]) ** power,
            np.where(own > 0, (own / peak) ** power, 0.0),
            *_rest_weight(rest / peak, cap / peak, unseen, power),
            (cap / peak) ** power,
        )


def _min_p(weights: _Weights, least: float) -> _Weights:
    """The weights after min-p. least: share of the most likely token's weight that a token needs."""
    if least <= 0:
        return weights
    return _Weights(
        np.where(weights.listed >= least, weights.listed, 0.0),
        np.where(weights.own >= least, weights.own, 0.0),
        np.zeros(len(weights.own)),  # all unlisted tokens may be below
        np.where(weights.cap >= least, weights.rest_high, 0.0),
        weights.cap,
    )


def _rest_weight(rest: Column, cap: Column, unseen: Column | float, power: float) -> tuple[Column, Column]:
    """Bounds on the sum of x^power over `unseen` values x that add up to `rest`, none above `cap`."""
    even = np.where(rest > 0, unseen * (rest / unseen) ** power if np.all(np.isfinite(unseen)) else np.nan, 0.0)
    if np.isscalar(unseen) and not np.isfinite(unseen):
        even = np.where(rest > 0, 0.0 if power > 1 else np.inf, 0.0)
    bound = np.where(cap > 0, cap, 1.0)
    full = np.floor(rest / bound)
    packed = np.where(rest > 0, full * bound**power + (rest - full * bound) ** power, 0.0)
    if power == 1:
        return rest, rest
    low, high = (even, packed) if power > 1 else (packed, even)
    return np.minimum(low, high), np.maximum(low, high)


def _nucleus(weights: _Weights, top_p: float) -> _Nucleus:
    """Bound the probabilities that top-p leaves."""
    listed_weights, own = weights.listed, weights.own
    sums = np.cumsum(listed_weights, axis=1)
    before, listed = sums - listed_weights, sums[:, -1]
    total_low, total_high = listed + own + weights.rest_low, listed + own + weights.rest_high
    positive = listed_weights > 0
    if top_p >= 1:
        sure = maybe = positive
        beyond_low = beyond_high = np.ones(len(own), bool)
    else:
        sure = positive & (before < (top_p * total_low)[:, None] - _SLACK)
        maybe = positive & ((before < (top_p * total_high)[:, None] + _SLACK) | np.isinf(total_high)[:, None])
        beyond_low = listed < top_p * total_low - _SLACK  # unlisted tokens are needed, however much they weigh
        beyond_high = (listed < top_p * total_high + _SLACK) | np.isinf(total_high)
    outside_low = np.where(
        beyond_low, np.maximum(listed, top_p * total_low), np.where(sure, listed_weights, 0).sum(axis=1)
    )
    outside_high = np.where(
        beyond_high,
        total_high if top_p >= 1 else np.minimum(total_high, np.maximum(top_p * total_high + weights.cap, listed)),
        np.where(maybe, listed_weights, 0).sum(axis=1),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(sure, listed_weights / outside_high[:, None], 0.0)
        high = np.where(maybe, listed_weights / np.maximum(outside_low[:, None], np.where(sure, 0, sums)), 0.0)
        all_in = beyond_low if top_p >= 1 else np.zeros(len(own), bool)  # its exact place is unknown
        own_low = np.where(all_in & (own > 0), own / outside_high, 0.0)
        own_high = np.where(beyond_high & (own > 0), own / np.maximum(outside_low, listed + own * (top_p < 1)), 0.0)
    return _Nucleus(
        low=np.clip(low, 0, 1),
        high=np.clip(high, 0, 1),
        own_low=np.clip(own_low, 0, 1),
        own_high=np.clip(own_high, 0, 1),
        beyond=beyond_high & (weights.rest_high > 0),
        least=sure.sum(axis=1),
        most=maybe.sum(axis=1) + (beyond_high & (own > 0)),
    )


def _resampled(tokens: Tokens, usable: Flags, low: Column, high: Column, found: _Nucleus) -> Resampled:
    """Add the chosen token and all others to the bounds of the listed tokens, which are in the list's order here."""
    listed = chosen_listed(tokens)
    match = (tokens.refs[:, None] == tokens.top_refs) & (tokens.refs >= 0)[:, None]
    others_low = np.clip(1 - np.nansum(high, axis=1) - np.where(listed, 0, found.own_high), 0, 1)
    others_high = np.clip(1 - np.nansum(low, axis=1) - np.where(listed, 0, found.own_low), 0, 1)
    blank = np.where(usable, 0.0, np.nan)
    return Resampled(
        low=low,
        high=high,
        chosen_low=np.where(listed, np.where(match, low, 0).sum(axis=1), found.own_low) + blank,
        chosen_high=np.where(listed, np.where(match, high, 0).sum(axis=1), found.own_high) + blank,
        others_low=np.where(found.beyond, others_low, 0) + blank,
        others_high=np.where(found.beyond, others_high, 0) + blank,
        least=np.where(usable, found.least, 0),
        most=np.where(usable, found.most, 0),
        beyond=found.beyond & usable,
    )


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """Where an answer could have differed: bounds on the probability of another token."""

    rows: NDArray[np.int64]  # int64[m], the sampled and scored tokens, as rows of the answer
    low: Column  # float64[m], lower bound of the probability of any other token
    high: Column  # float64[m], upper bound of it
    again_low: float  # nats, lower bound of the log probability of sampling the same answer again
    again_high: float  # nats, upper bound of it


def elsewhere(done: Completion, sampling: Sampling) -> Elsewhere:
    """Bound where an answer could have differed. Forced tokens were not sampled and are excluded."""
    tokens = done.generated
    found = resample(tokens, sampling, done.vocabulary_size)
    counted = ~np.isnan(found.chosen_low) & (tokens.kinds != TokenKind.FORCED)
    low, high = found.chosen_low[counted], found.chosen_high[counted]
    with np.errstate(divide="ignore"):
        again = float(np.log(low).sum()), float(np.log(high).sum())
    return Elsewhere(np.flatnonzero(counted), 1 - high, 1 - low, *again)
