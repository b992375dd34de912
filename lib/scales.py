"""Absolute colour scales: from a metric to a step, the same for every answer.

Python decides the step; the browser only looks its colour up. Step 0 is the surest. A scale never depends on the
answer in view, so a confident answer looks confident.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lib.cells import Cells
from lib.completion import Completion
from lib.scores import (
    entropy_bounds,
    least_in_cells,
    margin,
    most_in_cells,
    sum_in_cells,
    surprisal,
)
from lib.tokens import Tokens

UNSCORED = 255
STEPS = 8


@dataclass(frozen=True)
class Scale:
    """A metric cut into `STEPS` steps.

    edges: the 7 values between the steps, from the surest on. rising: whether larger values are less sure.
    legend: what each step means, in words of the metric's unit. reason: why the metric may be missing.
    """

    name: str
    label: str
    unit: str
    edges: tuple[float, ...]
    rising: bool
    legend: tuple[str, ...]
    explanation: str
    reason: str

    def steps(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """uint8[n]: 0 for the surest to 7 for the least sure, `UNSCORED` for NaN."""
        sign = 1.0 if self.rising else -1.0
        # A value on an edge belongs to the surer side.
        steps = np.searchsorted(sign * np.array(self.edges), sign * values, side="left").astype(np.uint8)
        return np.where(np.isnan(values), UNSCORED, steps).astype(np.uint8)


def _scale(
    name: str, label: str, unit: str, edges: tuple[float, ...], rising: bool, form: str, explanation: str, reason: str
) -> Scale:
    first, last = ("≤", ">") if rising else ("≥", "<")
    shown = [form.format(edge) for edge in edges]
    middle = [f"{a} – {b}" if rising else f"{b} – {a}" for a, b in pairwise(shown)]
    legend = (f"{first} {shown[0]}", *middle, f"{last} {shown[-1]}")
    return Scale(name, label, unit, edges, rising, legend, explanation, reason)


PROBABILITY = _scale(
    "probability", "Probability", "%", (0.9, 0.7, 0.5, 0.3, 0.15, 0.05, 0.01), False, "{:.0%}",
    "How likely the model held the token that stands here.",
    "No token is scored.",
)  # fmt: skip
SURPRISAL = _scale(
    "surprisal", "Surprisal", "nats", (0.1, 0.3, 0.7, 1.2, 2.0, 3.0, 5.0), True, "{:.1f}",
    "The negative logprob: 0 is certain, 0.7 a coin toss, each further nat about three times less likely.",
    "No token is scored.",
)  # fmt: skip
RANK = replace(
    _scale(
        "rank", "Rank", "", (1, 2, 3, 5, 10, 100, 1000), True, "{:,.0f}",
        "The token's place among all tokens of the vocabulary, 1 being the likeliest.",
        "This source does not report ranks.",
    ),
    legend=("1", "2", "3", "4 – 5", "6 – 10", "11 – 100", "101 – 1,000", "> 1,000"),  # whole numbers, so no overlap
)  # fmt: skip
ENTROPY = _scale(
    "entropy", "Entropy", "nats", (0.1, 0.3, 0.7, 1.2, 1.8, 2.5, 3.5), True, "{:.1f}",
    "How open the choice was, whatever was chosen. At least this much: the list does not hold every token.",
    "Entropy needs at least two alternatives per position; ask for more.",
)  # fmt: skip
MARGIN = _scale(
    "margin", "Margin", "%", (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05), False, "{:.0%}",
    "How far the likeliest token lies ahead of the second. Small: a near tie.",
    "The margin needs at least two alternatives per position; ask for more.",
)  # fmt: skip

SCALES = (PROBABILITY, SURPRISAL, RANK, ENTROPY, MARGIN)


def cell_values(completion: Completion, tokens: Tokens, cells: Cells) -> dict[str, NDArray[np.float64]]:
    """Per metric a float64[m] over cells.

    In a cell of several tokens probabilities multiply; of the other metrics the least sure value counts.
    """
    total = sum_in_cells(surprisal(tokens), cells)
    ranks = np.where(tokens.ranks > 0, tokens.ranks, np.nan).astype(np.float64)
    low, _ = entropy_bounds(tokens, completion.vocabulary_size)
    return {
        PROBABILITY.name: np.exp(-total),
        SURPRISAL.name: total,
        RANK.name: most_in_cells(ranks, cells),
        ENTROPY.name: most_in_cells(low, cells),
        MARGIN.name: least_in_cells(margin(tokens), cells),
    }
