"""What sampling with other settings would have done, worked out from the logprobs that are kept.

Only the likeliest tokens of a position are known, and together how much all others have. A probability at another
temperature therefore lies in a bracket, which is what these functions give. The order is that of vLLM and of the local
engine: temperature, then min-p, then top-p, each on what the one before it leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.request import MAX_TEMPERATURE
from lib.core.tokens import TokenKind, Tokens
from lib.errors import InvalidRequest
from lib.scores.token_scores import Column, chosen_listed, others_mass, probability

Flags = NDArray[np.bool_]

_COLDEST = 1e-6  # as the local engine has it; colder is greedy
_NOTHING = 1e-6  # a rest of that size is rounding
_SLACK = 1e-12  # of a sum that is compared with a threshold


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. temperature: 0 takes the likeliest. top_p, min_p: 1 and 0 cut nothing off.

    top_p: the smallest set of likeliest tokens that reaches it stays. min_p: tokens with at least that share of the
    likeliest one's probability stay (Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling"). Raises InvalidRequest.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("temperature", self.temperature, 0, MAX_TEMPERATURE),
            ("top_p", self.top_p, 1e-6, 1),
            ("min_p", self.min_p, 0, 1),
        ):
            if not low <= value <= high:  # NaN lies nowhere
                raise InvalidRequest(f"{name} is {value:g}; it must lie between {low:g} and {high:g}.")


@dataclass(frozen=True, eq=False)
class Drawn:
    """How likely tokens would have been drawn, for n positions with lists of k: brackets [low, high].

    low, high: float64[n, k], of the listed tokens, in the list's order; 0 for what is cut off, NaN where there is none.
    chosen_low, chosen_high: float64[n], of the token that stands there. others_low, others_high: float64[n], of all
    that are neither. least, most: int64[n], how many could be drawn, of those that are known. beyond: bool[n], whether
    unknown ones could, too. NaN and 0 at positions without a score or a list.
    """

    low: Column
    high: Column
    chosen_low: Column
    chosen_high: Column
    others_low: Column
    others_high: Column
    least: NDArray[np.int64]
    most: NDArray[np.int64]
    beyond: Flags


def reason_against(done: Completion) -> str:
    """Why nothing can be said of a completion, in words; "" where something can."""
    if done.scale == "raw":
        return ""
    return (
        "These logprobs are not the model's own, but what was left of them after its sampling settings, so that what "
        "others would have done cannot be worked out."
    )


def drawn(tokens: Tokens, sampling: Sampling, vocabulary_size: int | None) -> Drawn:
    """How likely every token would have been drawn under these settings.

    With weights w = p^(1/T): the weight of the unseen, of which only the mass r is known and that none is likelier
    than the least likely listed one c, is largest and smallest where they share r evenly and where as many as possible
    have c; which is which depends on the side of 1 that T is on, as x^(1/T) is convex below and concave above.
    """
    rows, k = tokens.top_logprobs.shape
    usable = ~np.isnan(tokens.logprobs) & ~np.isnan(tokens.top_logprobs).all(axis=1) if k else np.zeros(rows, bool)
    shares = np.exp(np.nan_to_num(tokens.top_logprobs.astype(np.float64), nan=-np.inf))
    order = np.argsort(-shares, axis=1, kind="stable")
    best_first = np.take_along_axis(shares, order, axis=1)
    if k == 0:
        best_first, order = np.zeros((rows, 1)), np.zeros((rows, 1), np.intp)
    listed = chosen_listed(tokens)
    own = np.where(listed, 0.0, np.nan_to_num(probability(tokens)))  # of a chosen token outside the list
    rest = np.nan_to_num(others_mass(tokens))
    rest = np.where(rest > _NOTHING, rest, 0.0)
    peak = np.where(best_first[:, 0] > 0, best_first[:, 0], 1.0)
    known = (best_first > 0).sum(axis=1)
    cap = np.take_along_axis(best_first, np.maximum(known - 1, 0)[:, None], axis=1)[:, 0]
    unseen = np.inf if vocabulary_size is None else np.maximum(vocabulary_size - known - (own > 0), 1)
    # Everything in parts of the likeliest one's weight, so that nothing underflows.
    power = 1.0 / max(sampling.temperature, _COLDEST)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        weights = (best_first / peak[:, None]) ** power
        own_weight = np.where(own > 0, (own / peak) ** power, 0.0)
        rest_low, rest_high = _rest_weight(rest / peak, cap / peak, unseen, power)
        cap_weight = (cap / peak) ** power
    if sampling.temperature == 0:
        weights, own_weight = (best_first >= peak[:, None]).astype(float), np.zeros(rows)
        rest_low = rest_high = np.zeros(rows)
    if sampling.min_p > 0:
        weights = np.where(weights >= sampling.min_p, weights, 0.0)
        own_weight = np.where(own_weight >= sampling.min_p, own_weight, 0.0)
        rest_low = np.zeros(rows)  # all of them may lie below
        rest_high = np.where(cap_weight >= sampling.min_p, rest_high, 0.0)
    low, high, own_low, own_high, beyond, kept_low, kept_high = _nucleus(
        weights, own_weight, rest_low, rest_high, cap_weight, sampling.top_p
    )
    back = np.argsort(order, axis=1)
    low, high = np.take_along_axis(low, back, axis=1)[:, :k], np.take_along_axis(high, back, axis=1)[:, :k]
    absent = np.isnan(tokens.top_logprobs) | ~usable[:, None]
    low, high = np.where(absent, np.nan, low), np.where(absent, np.nan, high)
    match = (tokens.refs[:, None] == tokens.top_refs) & (tokens.refs >= 0)[:, None]
    chosen_low = np.where(listed, np.where(match, low, 0).sum(axis=1), own_low)
    chosen_high = np.where(listed, np.where(match, high, 0).sum(axis=1), own_high)
    others_low = np.clip(1 - np.nansum(high, axis=1) - np.where(listed, 0, own_high), 0, 1)
    others_high = np.clip(1 - np.nansum(low, axis=1) - np.where(listed, 0, own_low), 0, 1)
    others_low, others_high = np.where(beyond, others_low, 0), np.where(beyond, others_high, 0)
    blank = np.where(usable, 0.0, np.nan)
    return Drawn(
        low=low,
        high=high,
        chosen_low=chosen_low + blank,
        chosen_high=chosen_high + blank,
        others_low=others_low + blank,
        others_high=others_high + blank,
        least=np.where(usable, kept_low, 0),
        most=np.where(usable, kept_high, 0),
        beyond=beyond & usable,
    )


def _rest_weight(rest: Column, cap: Column, unseen: Column | float, power: float) -> tuple[Column, Column]:
    """The least and the largest sum of x^power over unseen x that add up to `rest`, none above `cap`."""
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


def _nucleus(
    weights: Column, own: Column, rest_low: Column, rest_high: Column, cap: Column, top_p: float
) -> tuple[Column, Column, Column, Column, Flags, NDArray[np.int64], NDArray[np.int64]]:
    """Brackets of what the nucleus leaves: of the listed (best first), of a chosen token outside the list, and more."""
    sums = np.cumsum(weights, axis=1)
    before, listed = sums - weights, sums[:, -1]
    total_low, total_high = listed + own + rest_low, listed + own + rest_high
    positive = weights > 0
    if top_p >= 1:
        sure = maybe = positive
        beyond_low = beyond_high = np.ones(len(weights), bool)
    else:
        sure = positive & (before < (top_p * total_low)[:, None] - _SLACK)
        maybe = positive & ((before < (top_p * total_high)[:, None] + _SLACK) | np.isinf(total_high)[:, None])
        beyond_low = listed < top_p * total_low - _SLACK  # what is outside the list is needed, however much it weighs
        beyond_high = (listed < top_p * total_high + _SLACK) | np.isinf(total_high)
    outside_low = np.where(beyond_low, np.maximum(listed, top_p * total_low), np.where(sure, weights, 0).sum(axis=1))
    outside_high = np.where(
        beyond_high,
        total_high if top_p >= 1 else np.minimum(total_high, np.maximum(top_p * total_high + cap, listed)),
        np.where(maybe, weights, 0).sum(axis=1),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(sure, weights / outside_high[:, None], 0.0)
        high = np.where(maybe, weights / np.maximum(outside_low[:, None], np.where(sure, 0, sums)), 0.0)
        all_in = beyond_low if top_p >= 1 else np.zeros(len(weights), bool)  # where exactly it stands is not known
        own_low = np.where(all_in & (own > 0), own / outside_high, 0.0)
        own_high = np.where(beyond_high & (own > 0), own / np.maximum(outside_low, listed + own * (top_p < 1)), 0.0)
    beyond = beyond_high & (rest_high > 0)
    counts = sure.sum(axis=1), maybe.sum(axis=1) + (beyond_high & (own > 0))
    return np.clip(low, 0, 1), np.clip(high, 0, 1), np.clip(own_low, 0, 1), np.clip(own_high, 0, 1), beyond, *counts


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """Where an answer could have gone another way: per token the chance of another one there, [low, high].

    rows: int64[m], the tokens that were drawn and are scored, as rows of the answer. low, high: float64[m]. again_low,
    again_high: log of the chance that all of them would be drawn once more, in nats.
    """

    rows: NDArray[np.int64]
    low: Column
    high: Column
    again_low: float
    again_high: float


def elsewhere(done: Completion, sampling: Sampling) -> Elsewhere:
    """How an answer could have gone another way. Forced tokens were not drawn, and do not count."""
    tokens = done.generated
    found = drawn(tokens, sampling, done.vocabulary_size)
    counted = ~np.isnan(found.chosen_low) & (tokens.kinds != TokenKind.FORCED)
    low, high = found.chosen_low[counted], found.chosen_high[counted]
    with np.errstate(divide="ignore"):
        again = float(np.log(low).sum()), float(np.log(high).sum())
    return Elsewhere(np.flatnonzero(counted), 1 - high, 1 - low, *again)
