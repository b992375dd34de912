"""Shares of right answers with exact intervals where few are right, or few are wrong.

If all answers are right, every bootstrap draw has the same accuracy, and the interval would be a point.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from lib.statistics.bootstrap import FEWEST, LEVEL, Both, Interval, both_intervals, intervals
from lib.statistics.calibration import accuracy, gap, mean

Outcomes = NDArray[np.bool_]
Groups = Sequence[object]


def has_few(right: Outcomes) -> bool:
    """Whether fewer than `FEWEST` answers are right, or fewer are wrong."""
    successes = int(np.count_nonzero(right))
    return min(successes, len(right) - successes) < FEWEST


def exact_share(successes: float, n: int) -> tuple[float, float]:
    """The limits of a share of n by Clopper and Pearson (1934). successes: of n, need not be whole."""
    tail = (1 - LEVEL) / 2
    low = 0.0 if successes <= 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return low, high


def share(right: Outcomes, groups: Groups | None = None, *, seed: int = 0) -> Both:
    """The share of right answers with both intervals: exact ones where few are right, or few are wrong.

    That for other groups then counts groups instead of rows, as the rows of a group may all be alike.
    """
    n = len(right)
    found = both_intervals({"": accuracy(right)}, n, groups, seed=seed)[""]
    if n == 0 or not has_few(right):
        return found
    value = found.within.value
    within = Interval(value, *exact_share(int(np.count_nonzero(right)), n), n)
    if found.over is None:
        return Both(within, None)
    count = found.over.groups
    return Both(within, Interval(value, *exact_share(value * count, count), n, count))


def gap_of(p: NDArray[np.floating], right: Outcomes, groups: Groups | None = None, *, seed: int = 0) -> Both:
    """Mean probability minus the share of right answers, with both intervals.

    Where few are right or few are wrong, the limits are those of the mean probability minus those of the share.
    """
    if not has_few(right):
        return both_intervals({"": gap(p, right)}, len(right), groups, seed=seed)[""]
    stated = both_intervals({"": mean(np.asarray(p, np.float64))}, len(right), groups, seed=seed)[""]
    true = share(right, groups, seed=seed)
    over = None if stated.over is None or true.over is None else _minus(stated.over, true.over)
    return Both(_minus(stated.within, true.within), over)


def gap_within(p: NDArray[np.floating], right: Outcomes, groups: Groups | None = None, *, seed: int = 0) -> Interval:
    """The same for rows like these only."""
    if not has_few(right):
        return intervals({"": gap(p, right)}, len(right), groups=groups, seed=seed)[""]
    return gap_of(p, right, None, seed=seed).within


def _minus(stated: Interval, true: Interval) -> Interval:
    low, high = (stated.value, stated.value) if np.isnan(stated.low) else (stated.low, stated.high)
    return Interval(stated.value - true.value, low - true.high, high - true.low, stated.n, stated.groups)
