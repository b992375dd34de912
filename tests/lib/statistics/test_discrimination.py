"""AUROC and average precision against scikit-learn and by counting pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from lib.statistics.discrimination import auroc, average_precision

ROWS = st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 2), st.integers(0, 3)), min_size=1)


def of(statistic, weights):
    return float(statistic(np.array([weights], np.float64))[0])


def pairs(rows: list[tuple[int, bool, int, int]]) -> float:
    """Counted by hand: every pair of a right and a wrong row of one group, as often as their weights say."""
    won = total = 0.0
    for score, right, group, weight in rows:
        for other, wrong, place, times in rows:
            if right and not wrong and group == place:
                won += weight * times * (0.5 if score == other else score > other)
                total += weight * times
    return won / total if total else float("nan")


@given(ROWS)
def test_auroc_counts_pairs(rows: list[tuple[int, bool, int, int]]) -> None:
    scores, right, groups, weights = (np.array(column) for column in zip(*rows, strict=True))
    right = right.astype(bool)
    found = of(auroc(scores, right, groups.tolist()), weights)
    assert found == pytest.approx(pairs(rows), nan_ok=True)
    together = of(auroc(scores, right), weights)
    assert together == pytest.approx(pairs([(score, each, 0, n) for score, each, _, n in rows]), nan_ok=True)


@given(ROWS)
def test_both_agree_with_scikit_learn(rows: list[tuple[int, bool, int, int]]) -> None:
    scores, right, _, weights = (np.array(column) for column in zip(*rows, strict=True))
    right = right.astype(bool)
    there = weights > 0
    if len(set(right[there].tolist())) < 2:
        return
    weighted = {"sample_weight": weights[there]}
    assert of(auroc(scores, right), weights) == pytest.approx(roc_auc_score(right[there], scores[there], **weighted))
    expected = average_precision_score(right[there], scores[there], **weighted)
    assert of(average_precision(scores, right), weights) == pytest.approx(expected)
    expected = average_precision_score(~right[there], -scores[there], **weighted)
    assert of(average_precision(scores, right, of_wrong=True), weights) == pytest.approx(expected)


def test_one_class_has_no_value() -> None:
    assert np.isnan(of(auroc(np.array([1.0, 2.0]), np.array([True, True])), [1, 1]))
    assert np.isnan(of(average_precision(np.array([1.0, 2.0]), np.array([False, False])), [1, 1]))


def test_within_groups_a_score_gains_nothing_from_their_difficulty() -> None:
    random = np.random.default_rng(1)
    groups = np.repeat([0, 1], 400)
    right = random.random(800) < np.where(groups, 0.9, 0.1)
    scores = groups + 0.01 * random.random(800)
    assert of(auroc(scores, right), np.ones(800)) > 0.85
    assert of(auroc(scores, right, groups.tolist()), np.ones(800)) == pytest.approx(0.5, abs=0.08)
