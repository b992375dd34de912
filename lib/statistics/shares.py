"""A share with its exact interval."""

from __future__ import annotations

import math

from lib.statistics.bootstrap import LEVEL, Interval


def exact_share(count: int, n: int) -> Interval:
    """The share of `count` among n with its 95% interval of Clopper and Pearson 1934; NaN for none of none."""
    from scipy.stats import beta  # slow to import, and few pages need it

    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, n - count)) if count < n else 1.0
    return Interval(count / n, low, high, n)
