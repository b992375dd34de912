"""Two models, or two prompts, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from lib.statistics.bootstrap import Statistic, Weights

Outcomes = NDArray[np.bool_]


@dataclass(frozen=True)
class Flips:
    """Rows that only one of two is right on."""

    gained: NDArray[np.intp]  # rows that only the second is right on
    lost: NDArray[np.intp]  # rows that only the first is right on
    p_value: float  # of McNemar's exact test: how often chance alone makes them as unequal as this; 1.0 without any


def flips(first: Outcomes, second: Outcomes) -> Flips:
    """The rows on which the two differ, and McNemar's exact test (two-sided binomial at one half)."""
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    gained, lost = np.flatnonzero(second & ~first), np.flatnonzero(first & ~second)
    several = len(gained) + len(lost)
    p_value = float(binomtest(len(gained), several, 0.5).pvalue) if several else 1.0
    return Flips(gained, lost, p_value)


def difference(first: Statistic, second: Statistic) -> Statistic:
    """The second statistic minus the first, on the same draws."""

    def statistic(weights: Weights) -> NDArray[np.float64]:
        return second(weights) - first(weights)

    return statistic


def ratio(first: Statistic, second: Statistic) -> Statistic:
    """The second statistic divided by the first, on the same draws; NaN where the first is 0."""

    def statistic(weights: Weights) -> NDArray[np.float64]:
        below = first(weights)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(below == 0, np.nan, second(weights) / below)

    return statistic


def chance_of_no_difference(drawn: NDArray[np.float64]) -> float:
    """The two-sided p value that a difference is zero, from its bootstrap draws: the percentile interval's other side.

    It is the smallest α whose 1 − α interval leaves out zero (Efron & Tibshirani 1993, 15.4), with one draw added to
    either side, so that it is never 0. NaN without draws.
    """
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return float("nan")
    below, above = int((known <= 0).sum()), int((known >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(known) + 1))
