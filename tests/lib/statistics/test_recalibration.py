"""Maps from scores to probabilities: they recover what is known, read and write as numbers, and refuse what is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lib.errors import BadFile
from lib.statistics.calibration import smooth_ece
from lib.statistics.maps import Kind, map_of
from lib.statistics.recalibration import cross_fitted, fitted, kinds_for

N = 4_000


def answers(seed: int = 0):
    """Log-odds, lengths, and outcomes that follow 0.4 × score − 0.5 × log(length) + 1."""
    random = np.random.default_rng(seed)
    scores, tokens = random.normal(0, 2, N), random.integers(1, 30, N)
    odds = 0.4 * scores - 0.5 * np.log(tokens) + 1
    return scores, tokens, random.random(N) < 1 / (1 + np.exp(-odds))


def test_platt_recovers_its_parameters() -> None:
    found = fitted(Kind.PLATT, *answers())
    assert (found.slope, found.length_slope, found.offset) == pytest.approx((0.4, -0.5, 1.0), abs=0.12)


def test_temperature_recovers_a_temperature() -> None:
    random = np.random.default_rng(1)
    odds = random.normal(0, 3, N)
    right = random.random(N) < 1 / (1 + np.exp(-odds / 2.5))
    found = fitted(Kind.TEMPERATURE, odds, np.ones(N, int), right)
    assert 1 / found.slope == pytest.approx(2.5, rel=0.1)
    assert found(np.zeros(1), np.ones(1, int)) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", Kind)
def test_afterwards_probabilities_come_true(kind: Kind) -> None:
    """On other answers than the map was fitted on."""
    random = np.random.default_rng(2)
    odds = random.normal(0, 3, N)
    right = random.random(N) < 1 / (1 + np.exp(-odds / 3))
    tokens = np.ones(N, int)

    def error(p) -> float:
        return float(smooth_ece(p, right)(np.ones((1, N)))[0])

    before = 1 / (1 + np.exp(-odds))
    assert error(before) > 0.1
    assert error(cross_fitted(kind, odds, tokens, right)) < 0.035


@pytest.mark.parametrize("kind", Kind)
def test_a_map_is_numbers_that_can_be_written_and_read(kind: Kind) -> None:
    scores, tokens, right = answers()
    found = fitted(kind, scores, tokens, right)
    again = map_of(json.loads(json.dumps(found.as_json())))
    assert again == found
    assert (again(scores, tokens) == found(scores, tokens)).all()
    assert np.isnan(found(np.array([np.nan]), np.array([1])))[0]
    assert ((found(scores, tokens) >= 0) & (found(scores, tokens) <= 1)).all()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kind": "exec"},
        {"kind": "platt", "slope": "1", "length_slope": 0, "offset": 0},
        {"kind": "platt", "slope": float("nan"), "length_slope": 0, "offset": 0},
        {"kind": "platt", "slope": 1e300, "length_slope": 0, "offset": 0},
        {"kind": "platt", "slope": True, "length_slope": 0, "offset": 0},
        {"kind": "isotonic", "scores": [], "probabilities": []},
        {"kind": "isotonic", "scores": [2, 1], "probabilities": [0, 1]},
        {"kind": "isotonic", "scores": [1, 2], "probabilities": [0.5]},
        {"kind": "isotonic", "scores": [1, 2], "probabilities": [0.5, 1.5]},
        {"kind": "isotonic", "scores": [0] * 20_000, "probabilities": [0] * 20_000},
    ],
)
def test_what_is_no_map_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(BadFile):
        map_of(values)


def test_no_answer_is_judged_by_a_map_that_saw_its_group() -> None:
    """Groups that follow a rule of their own cannot be learnt from the others."""
    scores, tokens, right = answers()
    groups = (np.arange(N) % 7).tolist()
    with_groups = cross_fitted(Kind.PLATT, scores, tokens, right, groups)
    for group in range(7):
        inside = np.array(groups) == group
        apart = ~inside
        if group in (0, 6):  # GroupKFold may join two groups in one fold
            continue
        alone = fitted(Kind.PLATT, scores[apart], tokens[apart], right[apart])(scores[inside], tokens[inside])
        assert np.abs(with_groups[inside] - alone).max() < 0.05


def test_what_cannot_be_fitted() -> None:
    scores, tokens, right = answers()
    with pytest.raises(ValueError, match="all answers are right"):
        fitted(Kind.PLATT, scores, tokens, np.ones(N, bool))
    scores[3] = np.nan
    with pytest.raises(ValueError, match="missing"):
        fitted(Kind.PLATT, scores, tokens, right)


def test_a_perfect_score_keeps_its_slope_finite() -> None:
    right = np.arange(100) < 50
    found = fitted(Kind.PLATT, np.where(right, 1.0, -1.0), np.ones(100, int), right)
    assert abs(found.slope) < 1e4
    assert found(np.array([1.0]), np.array([1]))[0] > 0.9


def test_a_map_is_offered_only_where_it_can_be_fitted() -> None:
    assert kinds_for(29) == ()
    assert kinds_for(30) == (Kind.PLATT,)
    assert kinds_for(499, log_odds=True) == (Kind.PLATT, Kind.TEMPERATURE)
    assert kinds_for(500) == (Kind.PLATT, Kind.ISOTONIC)


def test_an_isotonic_map_has_few_knots_and_is_still_right() -> None:
    random = np.random.default_rng(5)
    scores = random.normal(size=20_000)
    right = random.random(20_000) < 1 / (1 + np.exp(-scores))
    made = fitted(Kind.ISOTONIC, scores, np.ones(20_000, int), right)
    assert len(made.scores) <= 200
    at = np.linspace(-2, 2, 50)
    assert np.abs(made(at, np.ones(50, int)) - 1 / (1 + np.exp(-at))).max() < 0.06


def test_answers_of_one_length_leave_the_length_out() -> None:
    random = np.random.default_rng(6)
    scores = random.normal(size=120)
    right = random.random(120) < 1 / (1 + np.exp(-scores))
    made = fitted(Kind.PLATT, scores, np.full(120, 3), right)
    assert made.length_slope == 0
    assert map_of(made.as_json()) == made
    (slope,) = LogisticRegression(C=np.inf).fit(scores[:, None], right).coef_[0]
    assert made.slope == pytest.approx(slope, rel=0.01)
