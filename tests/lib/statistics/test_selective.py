"""Answering only when sure: curves by hand, and thresholds that keep their promise in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.risk_control import BinaryClassificationController
from scipy.stats import binom

from lib.statistics.selective import augrc, aurc, fewest_kept, guaranteed, labels_needed, references, risk_coverage

ROWS = st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=40)


def value(statistic, n: int) -> float:
    return float(statistic(np.ones((1, n)))[0])


def test_the_curve_by_hand() -> None:
    found = risk_coverage(np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, False, True, False]))
    assert found.threshold.tolist() == [0.9, 0.5, 0.1]
    assert found.coverage.tolist() == [0.25, 0.75, 1.0]
    assert found.risk == pytest.approx([0, 1 / 3, 1 / 2])


def test_the_areas_by_hand() -> None:
    scores, right = np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, True, False])
    assert value(aurc(scores, right), 4) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert value(augrc(scores, right), 4) == pytest.approx((0 + 1 / 4 + 1 / 4 + 2 / 4) / 4)
    assert references(right) == pytest.approx((0.5, (0 + 0 + 1 / 3 + 2 / 4) / 4))


@given(ROWS)
def test_no_score_beats_the_oracle(rows: list[tuple[float, bool]]) -> None:
    scores, right = (np.array(column) for column in zip(*rows, strict=True))
    for statistic, generalized in ((aurc, False), (augrc, True)):
        nothing, oracle = references(right, generalized=generalized)
        assert value(statistic(scores, right), len(rows)) >= oracle - 1e-12
        assert value(statistic(right.astype(float), right), len(rows)) >= oracle - 1e-12
        assert oracle <= nothing + 1e-12


def test_a_weight_of_two_is_the_row_twice() -> None:
    random = np.random.default_rng(0)
    scores, right, weights = random.integers(0, 9, 50), random.random(50) < 0.6, random.integers(0, 3, 50)
    rows = np.repeat(np.arange(50), weights)
    for statistic in (aurc, augrc):
        weighted = float(statistic(scores, right)(weights[None].astype(float))[0])
        assert weighted == pytest.approx(value(statistic(scores[rows], right[rows]), len(rows)))


def test_what_no_error_at_all_proves() -> None:
    assert (fewest_kept(0.1), fewest_kept(0.05)) == (22, 45)
    scores = np.arange(60.0)
    found = guaranteed(scores, np.ones(60, bool), 0.1)
    assert found is not None
    assert (found.kept, found.wrong, found.coverage) == (60, 0, 1.0)
    assert guaranteed(scores[:21], np.ones(21, bool), 0.1) is None
    assert guaranteed(scores, np.zeros(60, bool), 0.1) is None


def test_the_promise_is_kept() -> None:
    """The chosen threshold has a higher risk than promised in at most one of ten samples, and is often found."""
    random = np.random.default_rng(7)
    broken = found = 0
    for _ in range(600):
        scores = random.random(400)
        right = random.random(400) < 0.6 + 0.4 * scores
        chosen = guaranteed(scores, right, 0.15)
        if chosen is not None:
            found += 1
            true_risk = 1 - (0.6 + 0.4 * (1 + chosen.threshold) / 2)
            broken += true_risk > 0.15
    assert found > 400
    assert broken / 600 < 0.1


def test_the_promise_at_its_hardest() -> None:
    """Where every threshold has just more than the promised risk, one is found in at most one of ten samples."""
    random = np.random.default_rng(8)
    found = sum(guaranteed(random.random(400), random.random(400) < 0.8999, 0.1) is not None for _ in range(600))
    assert found / 600 < 0.125


@pytest.mark.filterwarnings("ignore:Fixed sequence testing requires:UserWarning")
def test_it_keeps_as_many_as_mapie_and_more() -> None:
    """MAPIE's Learn-then-Test has the Hoeffding–Bentkus bound, which is wider than the exact binomial."""
    random = np.random.default_rng(9)
    scores = random.random(2_000)
    right = random.random(2_000) < 0.5 + 0.5 * scores
    ours = guaranteed(scores, right, 0.15)
    assert ours is not None
    theirs = BinaryClassificationController(
        lambda x: np.column_stack([1 - x[:, 0], x[:, 0]]),
        risk="precision",
        target_level=0.85,
        confidence_level=0.9,
        fwer_method="fixed_sequence",
        list_predict_params=np.linspace(0.99, 0.01, 99),
    )
    theirs.calibrate(scores[:, None], right.astype(int))
    assert theirs.valid_predict_params.size
    assert ours.threshold <= theirs.valid_predict_params.min() + 0.02


def test_as_many_labels_as_are_said_to_be_needed_show_the_risk() -> None:
    """With answers that are right as often as before, that many labels show it; far fewer do not."""
    random = np.random.default_rng(10)
    scores = random.random(100)
    right = random.random(100) < 0.75 + 0.25 * scores
    assert guaranteed(scores, right, 0.1) is None
    needed = labels_needed(scores, right, 0.1)
    assert needed is not None
    assert needed > 100
    times = -(-2 * needed // 100)
    assert guaranteed(np.tile(scores, times), np.tile(right, times), 0.1) is not None


def test_no_number_of_labels_makes_a_bad_score_good() -> None:
    scores = np.arange(100.0)
    assert labels_needed(scores, scores % 2 == 0, 0.1) is None


def test_how_many_will_be_wrong_stays_within_the_promise() -> None:
    random = np.random.default_rng(11)
    scores = random.random(400)
    found = guaranteed(scores, random.random(400) < 0.7 + 0.3 * scores, 0.2)
    assert found is not None
    low, high = found.wrong_range
    assert low <= found.wrong <= high <= found.risk * found.kept
    # The exact limits by their definition: as many errors, or fewer, are as unlikely as that at the upper limit.
    assert binom.cdf(found.wrong, found.kept, (high + 1) / found.kept) < 0.1
    assert binom.sf(found.wrong - 1, found.kept, (low - 1) / found.kept) < 0.1
