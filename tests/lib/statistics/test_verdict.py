"""Over, under or not shown: as often wrong as it says, and by slice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from lib.statistics.bootstrap import Interval, interval
from lib.statistics.calibration import accuracy, gap
from lib.statistics.paired import difference, flips
from lib.statistics.verdict import Verdict, by_confidence, by_slice, verdict


def test_the_sign_of_the_interval_decides() -> None:
    assert verdict(Interval(0.1, 0.01, 0.2, 50)) is Verdict.OVER
    assert verdict(Interval(-0.1, -0.2, -0.01, 50)) is Verdict.UNDER
    assert verdict(Interval(0.1, -0.01, 0.2, 50)) is Verdict.NOT_SHOWN
    assert verdict(Interval(0.1, np.nan, np.nan, 1)) is Verdict.NOT_SHOWN


@pytest.mark.parametrize(("bias", "expected"), [(0.0, Verdict.NOT_SHOWN), (0.15, Verdict.OVER), (-0.15, Verdict.UNDER)])
def test_how_often_it_is_right(bias: float, expected: Verdict) -> None:
    """1,000 models of known calibration: one in twenty perfect ones is misjudged, and few of the others."""
    random = np.random.default_rng(3)
    hits = 0
    for seed in range(1_000):
        p = random.uniform(0.2, 0.8, 300)
        right = random.random(300) < p - bias
        hits += verdict(interval(gap(p, right), 300, draws=200, seed=seed)) is expected
    assert hits / 1_000 > (0.93 if expected is Verdict.NOT_SHOWN else 0.99)
    if expected is Verdict.NOT_SHOWN:
        assert hits / 1_000 < 0.97


def test_by_slice_and_by_confidence() -> None:
    random = np.random.default_rng(4)
    p = random.random(2_000)
    kinds = np.where(np.arange(2_000) < 1_500, "usual", "hard")
    right = random.random(2_000) < np.where(kinds == "hard", 0.2 * p, p)
    found = by_slice(p, right, kinds.tolist())
    assert [(each.name, len(each.rows), verdict(each.gap)) for each in found] == [
        ("usual", 1_500, Verdict.NOT_SHOWN),
        ("hard", 500, Verdict.OVER),
    ]
    bins = by_confidence(p, right)
    assert sum(len(each.rows) for each in bins) == 2_000
    assert [each.confidence for each in bins] == sorted(each.confidence for each in bins)
    assert bins[0].name.startswith("probability 0–")


def test_flips_and_mcnemar() -> None:
    first = np.array([True] * 50 + [False] * 30)
    second = np.array([True] * 45 + [False] * 5 + [True] * 15 + [False] * 15)
    found = flips(first, second)
    assert (len(found.gained), len(found.lost)) == (15, 5)
    assert found.p_value == pytest.approx(binomtest(15, 20).pvalue)
    assert flips(first, first).p_value == 1.0
    paired = interval(difference(accuracy(first), accuracy(second)), 80)
    assert paired.value == pytest.approx(10 / 80)
    assert paired.low > 0
