"""Two models, or two prompts, on the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from lib.statistics.bootstrap import Statistic, Weights

Outcomes = NDArray[np.bool_]
_FEWEST = 20  # draws for a standard deviation


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


def chance_of_no_difference(value: float, drawn: NDArray[np.float64]) -> float:
    """The two-sided p value that a difference is zero, from the standard deviation of its bootstrap draws.

    2 Φ(−|value| / sd) (Efron & Tibshirani 1993, 12.5). Unlike the share of draws on the other side of zero, it is not
    bounded from below by the number of draws, so it can be adjusted for many comparisons. NaN without draws.
    """
    known = drawn[~np.isnan(drawn)]
    if len(known) < _FEWEST or np.isnan(value):
        return float("nan")
    spread = float(known.std(ddof=1))
    if spread == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * norm.sf(abs(value) / spread))
