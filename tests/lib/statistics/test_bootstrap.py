"""Intervals cover what they should, as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from lib.statistics.bootstrap import FEWEST, both_intervals, codes_of, interval, intervals
from lib.statistics.calibration import accuracy, gap
from lib.statistics.discrimination import auroc


def test_the_mean_by_theory() -> None:
    """As wide as the normal approximation."""
    right = np.arange(400) % 4 > 0
    found = interval(accuracy(right), 400)
    assert found.value == 0.75
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found.low == pytest.approx(0.75 - half, abs=0.006)
    assert found.high == pytest.approx(0.75 + half, abs=0.006)
    assert (found.n, found.groups) == (400, 0)


def test_groups_are_resampled_whole() -> None:
    """Rows of a group that are all alike say no more than one row."""
    right = np.repeat(np.arange(20) % 2 == 0, 50)
    groups = np.repeat(np.arange(20), 50).tolist()
    within = interval(accuracy(right), 1000, groups=groups)
    over = interval(accuracy(right), 1000, groups=groups, over_groups=True)
    assert np.isnan(within.low), "no draw within groups shows anything"
    assert over.high - over.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 20), rel=0.15)
    assert over.groups == 20


def test_how_often_an_interval_covers() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for number in range(400):
        p = random.random(200)
        right = random.random(200) < p
        covered += 0 in interval(gap(p, right), 200, draws=400, seed=number)
    assert 0.91 < covered / 400 < 0.98


def test_all_statistics_see_the_same_draws() -> None:
    right = np.arange(100) % 3 == 0
    found = intervals({"a": accuracy(right), "b": accuracy(~right)}, 100)
    assert found["a"].low == pytest.approx(1 - found["b"].high)


def test_too_little_to_resample() -> None:
    nothing = interval(accuracy(np.empty(0, bool)), 0)
    assert np.isnan(nothing.value)
    one_group = interval(accuracy(np.array([True, False])), 2, groups=["a", "a"], over_groups=True)
    assert one_group.value == 0.5
    assert np.isnan(one_group.low)
    with pytest.raises(ValueError, match="1 groups for 2 rows"):
        codes_of(["a"], 2)


def test_limits_are_never_a_point() -> None:
    """Where resampling shows nothing, the limits are unknown."""
    separable = np.arange(60) < 30
    found = intervals({"auroc": auroc(separable.astype(float), separable), "accuracy": accuracy(separable)}, 60)
    assert found["auroc"].value == 1
    assert np.isnan(found["auroc"].low)
    assert found["accuracy"].low < 0.5 < found["accuracy"].high
    for n in range(1, FEWEST):
        assert np.isnan(interval(gap(np.linspace(0, 1, n), np.arange(n) > 1), n).low)
    few = [str(number % (FEWEST - 1)) for number in range(40)]
    assert both_intervals({"": accuracy(np.arange(40) % 3 == 0)}, 40, few)[""].over is None


def test_groups_of_one_row_are_resampled_together() -> None:
    right = np.arange(400) % 4 > 0
    alone = interval(accuracy(right), 400, groups=list(range(400)))
    assert alone == interval(accuracy(right), 400)
    mixed = interval(accuracy(right), 400, groups=[max(number, 100) for number in range(400)])
    assert mixed.high - mixed.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_many_rows_are_drawn_in_parts() -> None:
    right = np.random.default_rng(0).random(30_000) < 0.3
    found = interval(accuracy(right), 30_000, draws=300)
    assert found.low < found.value == right.mean() < found.high
    assert 0.008 < found.high - found.low < 0.012
