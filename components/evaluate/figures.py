"""Figures of a report as short texts."""

from __future__ import annotations

import math

from lib.statistics.bootstrap import Both, Interval
from lib.statistics.verdict import Verdict

VERDICTS = {
    Verdict.OVER: "Overconfident",
    Verdict.UNDER: "Underconfident",
    Verdict.NOT_SHOWN: "No clear bias",
}


def interval(both: Both, *, percents: bool = False) -> str:
    """The interval for questions like these, the number of rows, and the interval for other groups."""
    own = f"{limits(both.within, percents=percents)}, n = {both.within.n:,}"
    if both.over is None or math.isnan(both.over.low):
        return own
    return f"{own}; other groups {limits(both.over, percents=percents)}"


def limits(found: Interval, *, percents: bool = False) -> str:
    """Both limits of an interval."""
    if math.isnan(found.low):
        return "interval unknown"
    if percents:
        return f"{100 * found.low:.1f} to {100 * found.high:.1f}%"
    return f"{found.low:.3f} to {found.high:.3f}".replace("-", "−")


def percent(share: float) -> str:
    """A share with one decimal."""
    return f"{100 * share:.1f}%"
