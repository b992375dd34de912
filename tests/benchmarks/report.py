"""How a figure is measured and printed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the report. goal: None for a figure that is only reported. at_least: which side of it is good."""

    name: str
    measured: float
    goal: float | None = None
    at_least: bool = False

    def line(self) -> str:
        """name | measured | goal | ok or short."""
        if self.goal is None:
            return f"{self.name} | {self.measured:.3g} | reported |"
        met = self.measured >= self.goal if self.at_least else self.measured <= self.goal
        sign = "≥" if self.at_least else "≤"
        return f"{self.name} | {self.measured:.3g} | {sign} {self.goal:g} | {'ok' if met else 'short'}"


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternated(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of two works run in turns, after one round that does not count.

    In turns, so that whatever else the machine does falls on both.
    """
    first(), second()
    pairs = [(seconds(first), seconds(second)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
