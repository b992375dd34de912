"""Differences between two methods or models on the same rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib.statistics.paired import chance_of_no_difference


def test_the_p_value_of_a_bootstrapped_difference() -> None:
    chance = np.random.default_rng(1)
    draws = chance.normal(0.1, 0.05, 20_000)
    assert chance_of_no_difference(0.1, draws) == pytest.approx(0.0455, abs=0.002), "two standard errors"
    assert chance_of_no_difference(-0.1, draws) == chance_of_no_difference(0.1, draws)
    assert chance_of_no_difference(0.0, draws) == 1.0
    assert chance_of_no_difference(0.0, np.zeros(50)) == 1.0
    assert chance_of_no_difference(0.1, np.full(50, 0.1)) == 0.0
    assert math.isnan(chance_of_no_difference(0.1, np.full(50, np.nan)))
