"""Figures of detection, against scikit-learn and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from lib.doubts.detection import average_precision_within, detected, filled
from lib.doubts.graded import Labelled, Level, with_scores
from lib.statistics.multiple import holm


def level(*, by_entity: bool = False, n: int = 240, figure: str = "auroc") -> Level:
    """A good, a fair and a useless method on rows of six templates."""
    chance = np.random.default_rng(5)
    right = chance.random(n) < 0.4
    rows = tuple(Labelled(str(each), f"t{each % 6}", f"e{each // 4}", bool(right[each])) for each in range(n))
    scores = {
        "useless": chance.normal(size=n),
        "good": right * 3.0 + chance.normal(size=n),
        "fair": right * 1.0 + chance.normal(size=n),
        "none": np.full(n, np.nan),
    }
    return Level("answers", rows, scores, "good", "fair", figure, by_entity)


def test_figures_are_those_of_scikit_learn() -> None:
    given = level()
    right = np.array([each.right for each in given.rows])
    found = {each.method: each for each in detected(given, 50)}
    assert next(iter(found)) == "good", "the default comes first"
    for name in ("good", "fair", "useless"):
        scores = given.scores[name]
        assert found[name].figures["auroc"].value == pytest.approx(roc_auc_score(right, scores))
        assert found[name].figures["ap"].value == pytest.approx(average_precision_score(~right, -scores))
        assert found[name].missing == 0
    assert found["none"].figures["auroc"].value == 0.5
    assert found["none"].missing == len(right)


def test_average_precision_within_templates_is_weighted_by_wrong_rows() -> None:
    given = level()
    right = np.array([each.right for each in given.rows])
    groups = [each.template for each in given.rows]
    scores = given.scores["fair"]
    parts = [np.array([each == name for each in groups]) for name in sorted(set(groups))]
    each = [average_precision_score(~right[own], -scores[own]) for own in parts]
    expected = np.average(each, weights=[(~right[own]).sum() for own in parts])
    value = average_precision_within(scores, right, groups)(np.ones((1, len(right))))
    assert value[0] == pytest.approx(expected)
    assert math.isnan(average_precision_within(scores, np.ones(len(right), bool), groups)(np.ones((1, len(right))))[0])


@pytest.mark.parametrize("figure", ["auroc", "ap"])
def test_methods_are_compared_with_the_baseline_on_the_same_rows(figure: str) -> None:
    found = {each.method: each for each in detected(level(figure=figure), 400, primary=True)}
    assert found["fair"].against is None
    good, useless = found["good"].against, found["useless"].against
    assert good is not None
    assert useless is not None
    values = {name: found[name].figures[figure].value for name in found}
    assert good.difference.value == pytest.approx(values["good"] - values["fair"])
    assert good.ratio.value == pytest.approx(values["good"] / values["fair"])
    assert good.difference.here.low > 0 > useless.difference.here.high
    assert good.p_value < 0.02
    assert good.adjusted == good.p_value, "the primary comparison is not adjusted"
    none = found["none"].against
    assert none is not None
    assert [useless.adjusted, none.adjusted] == pytest.approx(holm([useless.p_value, none.p_value]))
    again = {each.method: each.against for each in detected(level(figure=figure), 400)}
    values = [each for each in (again["good"], again["useless"], again["none"]) if each is not None]
    assert [each.adjusted for each in values] == pytest.approx(holm([each.p_value for each in values])), (
        "the default is one of three, unless its comparison was named beforehand"
    )
    added = with_scores(level(figure=figure), "peer: p", {str(each): each % 7 for each in range(240)})
    for each in detected(added, 400):
        if each.against is not None and each.method != "peer: p":
            assert each.against.adjusted == pytest.approx(again[each.method].adjusted), "peers change nothing"


def test_both_ways_to_resample() -> None:
    for by_entity in (False, True):
        figure = next(iter(detected(level(by_entity=by_entity), 100))).figures["auroc"]
        assert figure.elsewhere.groups == 6
        assert figure.here.groups == (60 if by_entity else 0)
        assert figure.here.low < figure.value < figure.here.high


def test_what_is_missing_or_infinite_has_a_score_that_tells_nothing() -> None:
    assert filled(np.array([1.0, np.nan, 3.0])).tolist() == [1.0, 2.0, 3.0]
    assert filled(np.array([-np.inf, np.inf, 0.0])).tolist() == [-1e9, 1e9, 0.0]
    assert filled(np.array([np.nan])).tolist() == [0.0]
    assert detected(Level("answers", (), {"good": np.empty(0)}, "good", "good")) == []
