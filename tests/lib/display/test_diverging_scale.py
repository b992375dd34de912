"""The diverging scale of differences."""

from __future__ import annotations

import math

import numpy as np

from lib.display.diverging_scale import STEPS, legend, steps


def test_steps_are_the_same_on_either_side() -> None:
    values = np.array([-3, -2, -1.5, -0.6, -0.2, -0.05, 0, 0.05, 0.1, 0.5, 1, 2, 9, math.nan, math.inf])
    assert steps(values).tolist() == [-4, -4, -3, -2, -1, 0, 0, 0, 1, 2, 3, 4, 4, 0, 4]


def test_legend() -> None:
    words = legend()
    assert words == (
        "< −2",
        "−2 to −1",
        "−1 to −0.5",
        "−0.5 to −0.1",
        "±0.1",
        "0.1 to 0.5",
        "0.5 to 1",
        "1 to 2",
        "> 2",
    )
    assert len(words) == 2 * STEPS + 1
