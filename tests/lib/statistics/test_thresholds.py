"""Thresholds for a risk: found, or with the reason and the labels that are missing."""

from __future__ import annotations

import numpy as np

from lib.statistics.thresholds import sought


def test_a_risk_that_is_shown_has_its_threshold() -> None:
    scores = np.arange(100.0)
    found = sought(scores, scores >= 20, 0.1, 0.9)
    assert found.found is not None
    assert found.found.risk == 0.1
    assert found.why_not == ""


def test_too_few_answers_say_how_many_it_takes() -> None:
    found = sought(np.arange(10.0), np.ones(10, bool), 0.05, 0.9)
    assert found.found is None
    assert found.why_not == "Needs at least 45 answers, all correct. You have 10."
    assert found.more_labels is not None
    assert 30 <= found.more_labels <= 40


def test_a_score_that_says_nothing_is_not_helped_by_labels() -> None:
    scores = np.arange(200.0)
    found = sought(scores, scores % 2 == 0, 0.1, 0.9)
    assert (found.found, found.more_labels) == (None, None)
    assert found.why_not == "Even the most confident answers are wrong too often."
