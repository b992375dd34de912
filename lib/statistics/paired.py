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
