"""A diverging colour scale for logprob differences: centred on zero and the same for every text."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

EDGES = (0.1, 0.5, 1.0, 2.0)  # nats; differences below the first have no colour. 0.7 is twice as likely, 2.3 ten times
STEPS = len(EDGES)


def steps(differences: NDArray[np.float64]) -> NDArray[np.int8]:
    """int8[n], -4 to 4: the sign of each difference times the number of edges it exceeds; 0 for NaN."""
    sizes = np.searchsorted(np.array(EDGES), np.abs(np.nan_to_num(differences)), side="right")
    return (np.sign(np.nan_to_num(differences)) * sizes).astype(np.int8)


def legend() -> tuple[str, ...]:
    """Labels of the steps from -4 to 4, in nats."""
    down = [f"< −{EDGES[-1]:g}", *(f"−{far:g} to −{near:g}" for near, far in _pairs())]
    up = [*(f"{near:g} to {far:g}" for near, far in _pairs()[::-1]), f"> {EDGES[-1]:g}"]
    return (*down, f"±{EDGES[0]:g}", *up)


def _pairs() -> list[tuple[float, float]]:
    return list(pairwise(EDGES))[::-1]
