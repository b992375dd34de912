"""Two sides on the same questions: differences by other ways, flips, and what is left out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from lib.evaluation.dataset import Question
from lib.statistics.bootstrap import Both, Interval
from lib.statistics.maps import Kind
from lib.statistics.recalibration import cross_fitted
from lib.studies.evaluation_comparison import Change, Comparison, change, compare
from lib.studies.evaluation_rows import Answered
from lib.studies.evaluation_text import change_in_words, sentence


def sides(n: int, *, better: float, groups: int = 1, seed: int = 0) -> tuple[list[Answered], list[Answered]]:
    """Two models on n questions; the second is right more often; both know how hard each question is."""
    random = np.random.default_rng(seed)
    found: tuple[list[Answered], list[Answered]] = ([], [])
    for number in range(n):
        ease, luck = float(random.uniform(0.1, 0.8)), float(random.random())
        question = Question(number + 1, str(number), "q", ("a",), group=f"g{number % groups}")
        for side, more in zip(found, (0.0, better), strict=True):
            side.append(Answered(question, None, luck < ease + more, "a", 3, {"sum": math.log(ease)}, ease))
    return found


def columns(rows: list[Answered]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([bool(each.right) for each in rows]), np.array([each.stated for each in rows])


def test_differences_by_other_ways() -> None:
    first, second = sides(300, better=0.15, groups=15)
    found = compare(first, second)
    (right, p), (right_after, p_after) = columns(first), columns(second)
    assert (found.n, found.confident) == (300, 300)
    assert found.differences["accuracy"].within.value == pytest.approx(right_after.mean() - right.mean())
    assert found.differences["auroc"].within.value == pytest.approx(
        roc_auc_score(right_after, p_after) - roc_auc_score(right, p)
    )
    assert found.second["brier"] == pytest.approx(brier_score_loss(right_after, p_after))
    assert found.gained == tuple(np.flatnonzero(right_after & ~right))
    assert found.lost == ()
    assert found.p_value == pytest.approx(2 * 0.5 ** len(found.gained))
    assert change(found.differences["accuracy"].within) is Change.UP
    assert found.differences["mean probability"].within.value == 0
    over = found.differences["accuracy"].over
    assert over is not None
    assert over.groups == 15
    assert "brier, recalibrated" in found.differences


def test_both_sides_are_recalibrated_by_the_map_that_is_asked_for() -> None:
    first, second = sides(600, better=0.1, groups=12)
    found = {kind: compare(first, second, kind=kind) for kind in (Kind.PLATT, Kind.ISOTONIC)}
    after = {kind: each.second["brier, recalibrated"] for kind, each in found.items()}
    assert after[Kind.PLATT] != after[Kind.ISOTONIC]
    right, stated = columns(second)
    scores, groups = np.log(stated), [each.question.group for each in second]
    p = cross_fitted(Kind.ISOTONIC, scores, np.full(600, 3), right, groups)
    assert after[Kind.ISOTONIC] == pytest.approx(brier_score_loss(right, p))
    few = compare(first[:90], second[:90], kind=Kind.ISOTONIC)
    assert few == compare(first[:90], second[:90], kind=Kind.PLATT), "too few for the map that is asked for"


def test_a_paired_interval_is_narrower_than_two_separate_ones() -> None:
    first, second = sides(300, better=0.1)
    paired = compare(first, second).differences["accuracy"].within
    separate = math.hypot(*(1.96 * each.std() / math.sqrt(300) for each, _ in map(columns, (first, second))))
    assert (paired.high - paired.low) / 2 < 0.8 * separate


@pytest.mark.parametrize(
    ("times", "most"),  # of as many at 5%, more are seen once in two hundred, and once in a thousand times
    [(15, 3), pytest.param(60, 8, marks=pytest.mark.soak)],
)
def test_equal_models_are_told_apart_as_rarely_as_the_level_says(times: int, most: int) -> None:
    shown = 0
    for seed in range(times):
        first, _ = sides(80, better=0.0, seed=seed)
        second, _ = sides(80, better=0.0, seed=seed + 1_000)
        second = [replace(b, question=a.question) for a, b in zip(first, second, strict=True)]
        shown += change(compare(first, second).differences["accuracy"].within) is not Change.NOT_SHOWN
    assert shown <= most


def test_questions_that_one_side_did_not_answer_count_for_neither() -> None:
    first, second = sides(40, better=0.2)
    first[3] = replace(first[3], right=None)
    second[4] = replace(second[4], scores={"sum": math.nan}, stated=math.nan)
    found = compare(first, second)
    assert (found.n, found.confident) == (39, 38)
    assert 3 not in (*found.gained, *found.lost)


def test_texts_are_compared_by_bits_per_character() -> None:
    question = Question(1, "1", "text", ())
    first = [Answered(question, None, None, tokens=2, characters=8, scores={"sum": -8 * math.log(2)})]
    second = [Answered(question, None, None, tokens=5, characters=8, scores={"sum": -4 * math.log(2)})]
    found = compare(first, second)
    assert found.differences["bits per character"].within.value == pytest.approx(-0.5)
    assert found.first == {"bits per character": pytest.approx(1.0)}


def test_nothing_in_common() -> None:
    question = Question(1, "1", "q", ("a",))
    assert compare([Answered(question, None, None)], [Answered(question, None, None)]) == Comparison(0, 0)


def test_two_sides_without_a_flip_may_still_differ() -> None:
    first, _ = sides(40, better=0.0, groups=8)
    found = compare(first, first).differences["accuracy"]
    assert found.over is not None
    for each, count in ((found.within, 40), (found.over, 8)):
        assert each.value == 0
        assert (each.low, each.high) == pytest.approx((-(1 - 0.025 ** (1 / count)), 1 - 0.025 ** (1 / count)))
        assert change(each) is Change.NOT_SHOWN


def test_a_side_with_few_wrong_answers_has_no_interval_of_auroc() -> None:
    first, second = sides(60, better=0.1)
    second = [replace(each, right=number > 1) for number, each in enumerate(second)]
    assert math.isnan(compare(first, second).differences["auroc"].within.low)


SHOWN = (Interval(0.1, 0.05, 0.2, 50), Interval(-0.1, -0.2, -0.05, 50))


@pytest.mark.parametrize(
    ("name", "before", "up", "down"),
    [
        ("accuracy", 0.5, "better", "worse"),
        ("auroc", 0.5, "better", "worse"),
        ("brier", 0.2, "worse", "better"),
        ("log loss", 0.2, "worse", "better"),
        ("smooth ece, recalibrated", 0.2, "worse", "better"),
        ("brier, recalibrated", 0.2, "worse", "better"),
        ("bits per character", 0.2, "worse", "better"),
        ("mean probability", 0.2, "higher", "lower"),
        ("mean calibrated probability", 0.2, "higher", "lower"),
        ("gap", 0.3, "worse", "better"),
        ("gap", -0.3, "better", "worse"),
        ("gap", 0.05, "worse", "lower"),  # across 0
        ("gap", -0.05, "higher", "worse"),
    ],
)
def test_better_or_worse_where_a_figure_has_a_direction(name: str, before: float, up: str, down: str) -> None:
    for each, expected in zip(SHOWN, (up, down), strict=True):
        found = Comparison(50, 50, {name: before}, {name: before + each.value}, {name: Both(each, None)})
        assert change_in_words(name, found) == expected
    unknown = Comparison(1, 1, {name: before}, {name: before}, {name: Both(Interval(0, math.nan, math.nan, 1), None)})
    assert change_in_words(name, unknown) == "no difference shown"


def test_every_figure_has_a_name_with_its_abbreviations() -> None:
    first, second = sides(60, better=0.2)
    names = {sentence(each) for each in compare(first, second).differences}
    assert {"Smooth ECE, recalibrated", "AUROC", "Mean probability minus accuracy"} <= names
    assert not any("ece" in each.lower() and "ECE" not in each for each in names)
