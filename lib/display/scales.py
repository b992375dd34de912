"""Absolute colour scales: from a metric to a step, the same for every answer.

A scale is a fine grid of values, from the surest on, and seven of them are the thresholds between its eight colours.
Python says between which two grid values each cell lies, its fine step; the browser only looks up on which side of the
thresholds that is, so a reader can move them without asking again. A scale never depends on the answer in view, so a
confident answer looks confident.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.uint8]

UNSCORED = 255  # the step of what has no value
OUTSIDE = 254  # the step of what a reader's own grouping leaves out
COLOURS = 8
UNSURE = 4  # the first colour that counts as unsure


@dataclass(frozen=True)
class Scale:
    """A metric with its grid and its colours.

    grid: values from the surest on, at most 250. words: each grid value as the legend writes it. edges: the thresholds
    between the colours unless the reader moves them, as places in the grid. rising: whether larger values are less
    sure. whole: whether values are whole numbers, so that what lies beyond 5 begins with 6. reason: why the metric may
    be missing.
    """

    name: str
    label: str
    unit: str
    grid: tuple[float, ...]
    words: tuple[str, ...]
    edges: tuple[int, ...]
    rising: bool
    whole: bool
    explanation: str
    reason: str

    def fine(self, values: NDArray[np.float64]) -> Steps:
        """uint8[n]: how many grid values each lies beyond, 0 for the surest; `UNSCORED` for NaN."""
        sign = 1.0 if self.rising else -1.0
        # A value on the grid belongs to the surer side.
        steps = np.searchsorted(sign * np.array(self.grid), sign * values, side="left").astype(np.uint8)
        return np.where(np.isnan(values), UNSCORED, steps).astype(np.uint8)

    def colours(self, fine: Steps, edges: Sequence[int] | None = None) -> Steps:
        """uint8[n]: the colour of fine steps, 0 for the surest to 7; `UNSCORED` and `OUTSIDE` stay."""
        found = np.searchsorted(np.array(self.edges if edges is None else edges), fine, side="left").astype(np.uint8)
        return np.where(fine >= OUTSIDE, fine, found).astype(np.uint8)

    def legend(self, edges: Sequence[int] | None = None) -> tuple[str, ...]:
        """What each colour stands for, in words; the empty string for one that moved thresholds left nothing."""
        places = [-1, *(self.edges if edges is None else edges), len(self.grid)]
        return tuple(self._between(near, far) for near, far in pairwise(places))

    def _between(self, near: int, far: int) -> str:
        """The values beyond the grid's `near` up to its `far`, which are on the surer side."""
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


_CHANCES = (0.9999, 0.999, 0.995, *(share / 100 for share in range(99, 0, -1)), 0.005, 0.002, 1e-3, 1e-4, 1e-5, 1e-6)
_NATS = (0.01, 0.02, 0.05, *(step / 10 for step in range(1, 101)), *range(11, 21), 25, 30, 40)
_RANKS = (*range(1, 21), 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 3000, 5000, 10_000, 50_000)
_LEADS = (0.99999, *_CHANCES)


def _percent(share: float) -> str:
    return f"{100 * share:.4f}".rstrip("0").rstrip(".") + "%"


def _in_nats(value: float) -> str:
    return f"{value:.1f}" if 0.1 <= value <= 10 else f"{value:g}"


def _scale(
    name: str,
    label: str,
    grid: Sequence[float],
    edges: Sequence[float],
    explanation: str,
    reason: str,
    *,
    rising: bool = False,
    unit: str = "%",
) -> Scale:
    words = {"%": _percent, "nats": _in_nats, "": "{:,.0f}".format}[unit]
    return Scale(
        name=name,
        label=label,
        unit=unit,
        grid=tuple(map(float, grid)),
        words=tuple(words(value) for value in grid),
        edges=tuple(list(grid).index(edge) for edge in edges),
        rising=rising,
        whole=unit == "",
        explanation=explanation,
        reason=reason,
    )


PROBABILITY = _scale(
    "probability", "Probability", _CHANCES, (0.9, 0.7, 0.5, 0.3, 0.15, 0.05, 0.01),
    "How likely the model held the token that stands here.",
    "No token is scored.",
)  # fmt: skip
SURPRISAL = _scale(
    "surprisal", "Surprisal", _NATS, (0.1, 0.3, 0.7, 1.2, 2.0, 3.0, 5.0),
    "The negative logprob: 0 is certain, 0.7 a coin toss, each further nat about three times less likely.",
    "No token is scored.", rising=True, unit="nats",
)  # fmt: skip
RANK = _scale(
    "rank", "Rank", _RANKS, (1, 2, 3, 5, 10, 100, 1000),
    "The token's place among all tokens of the vocabulary, 1 being the likeliest.",
    "This source does not report ranks.", rising=True, unit="",
)  # fmt: skip
ENTROPY = _scale(
    "entropy", "Entropy", _NATS, (0.1, 0.3, 0.7, 1.2, 1.8, 2.5, 3.5),
    "How open the choice was, whatever was chosen. At least this much: the list does not hold every token.",
    "Entropy needs at least two alternatives per position; ask for more.", rising=True, unit="nats",
)  # fmt: skip
MARGIN = _scale(
    "margin", "Margin", _LEADS, (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05),
    "How far the likeliest token lies ahead of the second. Small: a near tie.",
    "The margin needs at least two alternatives per position; ask for more.",
)  # fmt: skip
BOOSTED = _scale(
    "boosted", "Boosted", _CHANCES, (0.9, 0.7, 0.5, 0.3, 0.15, 0.05, 0.01),
    "Probability, but a token that stands among a few near-equal favourites counts with all of them: synonyms are no "
    "doubt.",
    "Boosted probability needs at least two alternatives per position; ask for more.",
)  # fmt: skip

SCALES = (PROBABILITY, SURPRISAL, RANK, ENTROPY, MARGIN, BOOSTED)
