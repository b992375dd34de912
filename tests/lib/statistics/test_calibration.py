"""Measures of calibration: by hand, against scikit-learn, and on probabilities that are known to be right or wrong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as log_loss_of

from lib.statistics.calibration import (
    binned,
    brier,
    debiased_ece,
    decomposed,
    gap,
    if_perfect,
    log_loss,
    recalibrated,
    reliability,
    smooth_ece,
)

MEASURES = (brier, log_loss, smooth_ece, debiased_ece, gap)


def value(statistic, n: int) -> float:
    return float(statistic(np.ones((1, n)))[0])


def made(n: int, bend: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities, and outcomes whose true log-odds are `bend` times as far from 0: below 1 is overconfident."""
    random = np.random.default_rng(seed)
    p = random.random(n)
    odds = bend * np.log(p / (1 - p))
    return p, random.random(n) < 1 / (1 + np.exp(-odds))


def test_against_scikit_learn() -> None:
    p, right = made(500, 1)
    assert value(brier(p, right), 500) == pytest.approx(brier_score_loss(right, p))
    assert value(log_loss(p, right), 500) == pytest.approx(log_loss_of(right, p))
    expected = IsotonicRegression(y_min=0, y_max=1).fit_transform(p, right)
    assert recalibrated(p, right) == pytest.approx(expected)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_weight_of_two_is_the_row_twice(measure) -> None:
    p, right = made(60, 0.5)
    p = np.round(p, 1)
    weights = np.random.default_rng(2).integers(0, 3, 60)
    # The bins are those of all rows, so each kind of row is there in both.
    rows = np.repeat(np.arange(60), weights)
    once = float(measure(p, right)(weights[None].astype(float))[0])
    if measure is not debiased_ece:
        assert once == pytest.approx(value(measure(p[rows], right[rows]), len(rows)), rel=1e-4)


@pytest.mark.parametrize("measure", MEASURES)
def test_several_worlds_at_once(measure) -> None:
    p, _ = made(80, 1)
    worlds = np.random.default_rng(3).random((5, 80)) < p
    together = measure(p, worlds)(np.ones((1, 80)))
    assert together == pytest.approx([value(measure(p, each), 80) for each in worlds], rel=1e-5)


def test_smooth_ece_by_hand() -> None:
    """One probability: the residual is spread, but nothing cancels, and what is spread is all there."""
    p, right = np.full(100, 0.5), np.arange(100) < 80
    assert value(smooth_ece(p, right), 100) == pytest.approx(0.3, abs=0.002)
    half = np.arange(100) < 50
    assert value(smooth_ece(p, half), 100) < 0.011
    # Errors in opposite directions far from each other hardly cancel.
    p = np.repeat([0.1, 0.9], 100)
    right = np.concatenate([np.arange(100) < 40, np.arange(100) < 60])
    assert 0.2 < value(smooth_ece(p, right), 200) < 0.3


def test_smooth_ece_by_its_definition() -> None:
    """The kernel itself, reflected by hand, instead of cosines."""
    p, right = made(300, 0.4, seed=4)
    found = value(smooth_ece(p, right), 300)
    at = (np.arange(400) + 0.5) / 400
    density = np.zeros((300, 400))
    for copy in range(-4, 5):
        for images in (2 * copy + p, 2 * copy - p):
            density += np.exp(-0.5 * ((at - images[:, None]) / found) ** 2) / (found * np.sqrt(2 * np.pi))
    smoothed = np.abs((right - p) @ density / 300).mean()
    assert smoothed == pytest.approx(found, abs=0.002)  # its width is the value itself


def test_debiased_ece_by_hand() -> None:
    p, right = np.repeat([0.2, 0.8], 50), np.concatenate([np.arange(50) < 20, np.arange(50) < 30])
    true = [0.4, 0.6]
    terms = [(each - stated) ** 2 - each * (1 - each) / 49 for each, stated in zip(true, (0.2, 0.8), strict=True)]
    assert value(debiased_ece(p, right, bins=2), 100) == pytest.approx(np.sqrt(np.mean(terms)))


def test_bins_hold_equal_mass_and_keep_ties_together() -> None:
    p = np.random.default_rng(0).random(1_000)
    assert np.bincount(binned(p, 10)).tolist() == [100] * 10
    assert len(set(binned(np.full(1_000, 0.3), 10).tolist())) == 1
    assert len(set(binned(p[:12], 10).tolist())) == 2  # no bin of one row
    assert binned(np.empty(0), 10).tolist() == []


def test_the_decomposition_adds_up() -> None:
    p, right = made(2_000, 0.5)
    found = decomposed(p, right)
    total = found.miscalibration - found.discrimination + found.uncertainty
    assert total == pytest.approx(brier_score_loss(right, p))
    assert found.uncertainty == pytest.approx(right.mean() * (1 - right.mean()))
    better = decomposed(recalibrated(p, right), right)
    assert better.miscalibration == pytest.approx(0, abs=1e-9)
    assert better.discrimination == pytest.approx(found.discrimination)


@pytest.mark.parametrize("measure", [smooth_ece, debiased_ece])
def test_a_perfect_model_shows_what_it_should(measure) -> None:
    """One perfect model in twenty lies above the limit, and every bent one of this size."""
    above = bent = 0
    for seed in range(120):
        p, right = made(300, 1, seed)
        above += value(measure(p, right), 300) > if_perfect(measure, p, draws=200, seed=seed).high
        p, right = made(300, 0.3, seed)
        bent += value(measure(p, right), 300) > if_perfect(measure, p, draws=200, seed=seed).high
    assert 1 <= above <= 14
    assert bent > 115


def test_the_line_lies_in_its_band_if_calibrated_and_leaves_it_if_not() -> None:
    p, right = made(1_000, 1)
    found = reliability(p, right)
    assert (np.diff(found.right) >= 0).all()
    assert ((found.low <= found.right) & (found.right <= found.high)).mean() > 0.9
    p, right = made(1_000, 0.2)
    found = reliability(p, right)
    assert ((found.low <= found.right) & (found.right <= found.high)).mean() < 0.5
    assert found.n.sum() == 1_000
