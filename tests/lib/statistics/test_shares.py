"""Shares of few right or few wrong answers: exact limits, as another library has them, that cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from lib.statistics.bootstrap import FEWEST
from lib.statistics.shares import exact_share, gap_of, has_few, share
from lib.statistics.verdict import Verdict, by_slice, verdict


@pytest.mark.parametrize(("successes", "n"), [(0, 30), (30, 30), (1, 30), (4, 9), (0, 1), (1, 1)])
def test_clopper_and_pearson(successes: int, n: int) -> None:
    found = binomtest(successes, n).proportion_ci(0.95, "exact")
    assert exact_share(successes, n) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize("n", [1, 3, 12, 30])
def test_nothing_right_and_nothing_wrong_is_no_point(n: int) -> None:
    none, every = share(np.zeros(n, bool)).within, share(np.ones(n, bool)).within
    assert none.low == none.value == 0 < none.high < 1
    assert every.low == pytest.approx(1 - none.high)
    assert every.value == every.high == 1


def test_the_interval_covers_rare_shares() -> None:
    """A bootstrap interval of few right answers would miss the share far more often than one time in twenty."""
    n, p = 30, 0.03
    covered = 0.0
    for successes in range(n + 1):
        right = np.arange(n) < successes
        covered += float(binom.pmf(successes, n, p)) * (p in share(right).within)
    assert covered > 0.95


def test_groups_count_for_other_groups() -> None:
    found = share(np.ones(100, bool), [number % 10 for number in range(100)])
    assert found.over is not None
    assert (found.over.low, found.over.groups) == (pytest.approx(exact_share(10, 10)[0]), 10)
    assert found.within.low > found.over.low


def test_many_of_both_are_resampled() -> None:
    right = np.arange(100) < 40
    assert not has_few(right)
    assert share(right).within.low == pytest.approx(0.31, abs=0.02)
    assert has_few(np.arange(100) < FEWEST - 1)


def test_a_small_slice_without_a_right_answer_shows_little() -> None:
    p = np.full(40, 0.5)
    right = np.arange(40) % 2 == 0
    right[:3] = False
    found = by_slice(p, right, ["few"] * 3 + ["rest"] * 37)
    assert {each.name: verdict(each.gap) for each in found} == {"rest": Verdict.NOT_SHOWN, "few": Verdict.NOT_SHOWN}
    wrong = gap_of(p, np.zeros(40, bool)).within
    assert verdict(wrong) is Verdict.OVER
    assert wrong.low == pytest.approx(0.5 - exact_share(0, 40)[1])


def test_verdicts_of_a_calibrated_model_are_rarely_wrong_where_little_is_right() -> None:
    random = np.random.default_rng(7)
    shown = 0
    for seed in range(300):
        p = random.uniform(0.01, 0.15, 30)
        shown += verdict(gap_of(p, random.random(30) < p, seed=seed).within) is not Verdict.NOT_SHOWN
    assert shown / 300 < 0.06
