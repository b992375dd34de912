"""Absolute colour scales: from a metric to a step, the same for every answer.

A scale is a fine grid of values, most confident first. Seven of them are the thresholds between its eight colours.
Python computes each cell's fine step, its place in the grid. The browser only compares that with the thresholds, so
moving one needs no new request. A scale never depends on the displayed answer, so a confident answer looks confident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lib.formatting import exact_percent

Steps = NDArray[np.uint8]

UNSCORED = 255  # the step of a cell without a value
OUTSIDE = 254  # the step of a cell outside the user's own grouping
COLOURS = 8
UNSURE = 4  # the first colour that counts as unsure


@dataclass(frozen=True)
class Scale:
    """A metric with its grid and its colours."""

    name: str
    label: str  # as shown on screen
    grid: tuple[float, ...]  # most confident first, at most 250 values
    thresholds: tuple[float, ...]  # default thresholds between the colours, as values of the grid
    explanation: str  # what the metric is, for a tooltip
    reason: str  # why the metric may be missing
    unit: str = "%"  # "%", "nats", or "" for whole numbers
    rising: bool = False  # whether larger values are less confident

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Each grid value as the legend shows it."""
        return tuple(_WORDS[self.unit](value) for value in self.grid)

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """The default thresholds as places in the grid."""
        return tuple(self.grid.index(threshold) for threshold in self.thresholds)

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers, so the range above 5 starts at 6."""
        return self.unit == ""

    def fine(self, values: NDArray[np.float64]) -> Steps:
        """uint8[n]: the number of grid values each value is beyond, 0 for the most confident; `UNSCORED` for NaN."""
        sign = 1.0 if self.rising else -1.0
        # A value on the grid belongs to the more confident side.
        steps = np.searchsorted(sign * np.array(self.grid), sign * values, side="left").astype(np.uint8)
        return np.where(np.isnan(values), UNSCORED, steps).astype(np.uint8)

    def colours(self, fine: Steps, edges: Sequence[int] | None = None) -> Steps:
        """uint8[n]: the colour of fine steps, from 0 (most confident) to 7. `UNSCORED` and `OUTSIDE` stay."""
        found = np.searchsorted(np.array(self.edges if edges is None else edges), fine, side="left").astype(np.uint8)
        return np.where(fine >= OUTSIDE, fine, found).astype(np.uint8)

    def legend(self, edges: Sequence[int] | None = None) -> tuple[str, ...]:
        """The label of each colour; "" for a colour whose range is empty because of moved thresholds."""
        places = [-1, *(self.edges if edges is None else edges), len(self.grid)]
        return tuple(self._between(near, far) for near, far in pairwise(places))

    def _between(self, near: int, far: int) -> str:
        """Label of the values between two places in the grid. near: the more confident end, excluded."""
        first, last = ("≤", ">") if self.rising else ("≥", "<")
        if near == far:
            return ""
        if near < 0:
            return f"{first} {self.words[far]}" if not self.whole or self.grid[far] > 1 else self.words[far]
        if far == len(self.grid):
            return f"{last} {self.words[near]}"
        if not self.whole:
            least, most = (near, far) if self.rising else (far, near)
            return f"{self.words[least]} – {self.words[most]}"
        least_whole = int(self.grid[near]) + 1
        return self.words[far] if least_whole == self.grid[far] else f"{least_whole:,} – {self.words[far]}"


def _in_nats(value: float) -> str:
    return f"{value:.1f}" if 0.1 <= value <= 10 else f"{value:g}"


_WORDS = {"%": exact_percent, "nats": _in_nats, "": "{:,.0f}".format}

_CHANCES = (0.9999, 0.999, 0.995, *(share / 100 for share in range(99, 0, -1)), 0.005, 0.002, 1e-3, 1e-4, 1e-5, 1e-6)
_NATS = (0.01, 0.02, 0.05, *(step / 10 for step in range(1, 101)), *range(11, 21), 25, 30, 40)
_RANKS = (*range(1, 21), 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 3000, 5000, 10_000, 50_000)
_LEADS = (0.99999, *_CHANCES)

PROBABILITY = Scale(
    "probability", "Probability", _CHANCES, (0.9, 0.7, 0.5, 0.3, 0.15, 0.05, 0.01),
    "Probability the model gave to each token.",
    "No token is scored.",
)  # fmt: skip
SURPRISAL = Scale(
    "surprisal", "Surprisal", _NATS, (0.1, 0.3, 0.7, 1.2, 2.0, 3.0, 5.0),
    "The negative logprob: 0 is certain, 0.7 a coin toss. Each further nat is about three times less likely.",
    "No token is scored.", rising=True, unit="nats",
)  # fmt: skip
RANK = Scale(
    "rank", "Rank", _RANKS, (1, 2, 3, 5, 10, 100, 1000),
    "The token's place in the whole vocabulary. 1 is the most likely token.",
    "This source does not report ranks.", rising=True, unit="",
)  # fmt: skip
ENTROPY = Scale(
    "entropy", "Entropy", _NATS, (0.1, 0.3, 0.7, 1.2, 1.8, 2.5, 3.5),
    "How open the choice was, whichever token was chosen. A lower bound, as only the top tokens are known.",
    "Entropy needs at least two alternatives per position. Raise Top logprobs (k).", rising=True, unit="nats",
)  # fmt: skip
MARGIN = Scale(
    "margin", "Margin", _LEADS, (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05),
    "How far the most likely token is ahead of the second. Small values are near ties.",
    "Margin needs at least two alternatives per position. Raise Top logprobs (k).",
)  # fmt: skip
BOOSTED = Scale(
    "boosted", "Boosted", _CHANCES, (0.9, 0.7, 0.5, 0.3, 0.15, 0.05, 0.01),
    "Like probability, but near-equal top tokens count together, so a choice between synonyms is not shown as unsure.",
    "Boosted probability needs at least two alternatives per position. Raise Top logprobs (k).",
)  # fmt: skip

SCALES = (PROBABILITY, SURPRISAL, RANK, ENTROPY, MARGIN, BOOSTED)
