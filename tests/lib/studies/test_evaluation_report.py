"""The report: its figures by other ways, what it lacks when there is too little, and that it can be written."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from lib.errors import CandorError
from lib.evaluation.dataset import Question
from lib.statistics.bootstrap import FEWEST
from lib.statistics.verdict import Verdict
from lib.studies.evaluation_export import as_json, table
from lib.studies.evaluation_report import report
from lib.studies.evaluation_rows import Answered
from lib.studies.evaluation_text import figures, summary
from tests.support.evaluations import outcome


def rows(n: int, *, bend: float = 1.0, groups: int = 0, seed: int = 0) -> list[Answered]:
    """Answers that are right as often as their stated probability says, to the power of `bend`."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(n):
        p = float(random.uniform(0.05, 0.95))
        question = Question(
            number + 1,
            str(number),
            "q",
            ("a",),
            slices=(("kind", str(number % 2)),),
            group=f"g{number % groups}" if groups else "",
        )
        score = math.log(p)
        found.append(Answered(question, None, bool(random.random() < p**bend), "a", 4, {"sum": score}, p))
    return found


def test_figures_by_other_ways() -> None:
    data = rows(400, groups=20)
    found = report(data)
    right = np.array([each.right for each in data])
    p = np.array([each.stated for each in data])
    assert found.accuracy is not None
    assert found.accuracy.within.value == right.mean()
    assert found.accuracy.over is not None
    assert found.accuracy.over.groups == 20
    assert found.discrimination["auroc"].within.value == pytest.approx(roc_auc_score(right, p))
    assert set(found.discrimination) >= {"auroc within groups", "average precision of wrong"}
    assert found.stated is not None
    assert found.stated.figures["brier"].within.value == pytest.approx(brier_score_loss(right, p))
    assert found.stated.verdict is Verdict.NOT_SHOWN
    assert found.recalibrated is not None
    assert found.map is not None
    assert [each.name for each in found.stated.slices] == ["kind: 0", "kind: 1"]
    wrong = [place for place, each in enumerate(data) if not each.right]
    assert found.mistakes[0] == max(wrong, key=lambda place: data[place].scores["sum"])


@pytest.mark.parametrize(("bend", "expected"), [(2.5, Verdict.OVER), (0.3, Verdict.UNDER)])
def test_over_and_under(bend: float, expected: Verdict) -> None:
    found = report(rows(400, bend=bend))
    assert found.stated is not None
    assert found.recalibrated is not None
    assert found.stated.verdict is expected
    assert found.recalibrated.verdict is Verdict.NOT_SHOWN
    measured, perfect = found.stated.figures["smooth ece"].within.value, found.stated.expected["smooth ece"]
    assert measured > perfect.high
    assert found.recalibrated.figures["brier"].within.value < found.stated.figures["brier"].within.value


def test_too_little_is_said() -> None:
    assert report([]).missing == ("No answer is graded.",)
    one = report(rows(1))
    assert one.accuracy is not None
    assert one.missing[0].startswith("The only answer is ")
    few = report([*rows(12, seed=3)])
    assert any("No calibration is fitted" in each for each in few.missing)
    assert few.recalibrated is None
    assert few.stated is None
    assert few.guarantees[0].found is None
    assert "Needs at least 230 answers" in few.guarantees[0].why_not


def test_one_class_only() -> None:
    data = [Answered(each.question, None, True, "a", 4, each.scores, each.stated) for each in rows(50)]
    found = report(data)
    assert found.accuracy is not None
    assert found.accuracy.within.value == 1
    assert found.discrimination == {}
    assert any("All 50 answers are right" in each for each in found.missing)
    assert "All 50 answers are right, so the report can't assess confidence." in found.missing


def test_rows_without_grade_or_logprobs_are_left_out() -> None:
    data = rows(60)
    failed = Answered(data[0].question, None, None, error=CandorError("It failed."))
    left = Answered(data[0].question, None, None)  # as after a stop
    unscored = Answered(data[1].question, None, True, "a", 0, {"sum": math.nan})
    found = report([failed, left, unscored, *data])
    assert (found.n, found.answered, found.failed, found.not_asked, len(found.rows)) == (63, 61, 1, 1, 60)
    assert min(found.rows) == 3
    assert "Of 61 graded answers, 1 has no logprobs. They count for accuracy only." in found.missing


def test_it_can_be_written_and_read() -> None:
    found = outcome(rows(80))
    text = json.dumps(as_json(found), allow_nan=False)
    assert json.loads(text)["accuracy"]["within"]["n"] == 80
    assert json.dumps(as_json(outcome(rows(80))), allow_nan=False) == text  # the same rows, the same intervals
    assert set(figures(found)) == set(figures(outcome([])))
    assert len(table(found)) == 80
    assert any(line.startswith("Accuracy: ") and "n = 80" in line for line in summary(found))


def test_two_sides_can_be_written_and_read() -> None:
    first = rows(80)
    second = [replace(each, right=True) for each in first]
    found = outcome(first, second)
    values = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert values["others"][0]["accuracy"]["within"]["value"] == 1
    assert values["comparisons"][0]["lost"] == []
    gained = sum(not each.right for each in first)
    assert figures(found)["accuracy_change"] == pytest.approx(gained / 80)
    assert list(table(found)["side"]) == [1] * 80 + [2] * 80
    said = list(summary(found))
    assert "m2 against m1, on 80 questions that both answered" in said
    assert any(f"Right only now: {gained}; right only before: 0" in line for line in said)


def test_answers_without_logprobs_still_have_an_accuracy() -> None:
    data = [replace(each, scores={"sum": math.nan}, stated=math.nan) for each in rows(40)]
    found = report(data)
    assert found.accuracy is not None
    assert found.accuracy.within.n == 40
    assert found.missing == ("No answer has logprobs, so the report can't assess confidence.",)


def test_an_impossible_token_is_said_to_keep_calibration_from_being_fitted() -> None:
    data = rows(40)
    data[0] = replace(data[0], scores={"sum": -math.inf}, stated=0.0)
    found = report(data)
    assert found.recalibrated is None
    assert found.missing[0] == "1 answer has probability 0, so no calibration is fitted to this score."


def test_texts_have_perplexity_and_bits_per_character() -> None:
    question = Question(1, "1", "text", ())
    data = [
        Answered(question, None, None, tokens=2, characters=8, scores={"sum": -8 * math.log(2)}),
        Answered(question, None, None, tokens=2, characters=4, scores={"sum": -4 * math.log(2)}),
    ]
    found = report(data)
    assert found.texts["perplexity"].within.value == pytest.approx(2**3)
    assert found.texts["bits per character"].within.value == pytest.approx(1.0)
    assert any(line.startswith("Bits per character: 1.000") for line in summary(outcome(data)))


def test_an_unknown_score_counts_no_row() -> None:
    assert report(rows(40), "mean").missing == ("No answer has logprobs, so the report can't assess confidence.",)


@pytest.mark.parametrize("wrong", [1, 4, 9])
def test_few_of_either_class(wrong: int) -> None:
    data = [replace(each, right=number >= wrong) for number, each in enumerate(rows(60))]
    found = report(data)
    unknown = wrong < FEWEST
    assert math.isnan(found.discrimination["auroc"].within.low) == unknown
    assert found.accuracy is not None
    assert found.accuracy.within.low < found.accuracy.within.value < found.accuracy.within.high
    assert found.recalibrated is None
    assert found.map is None
    assert any(f"No calibration is fitted to {60 - wrong} right and {wrong} wrong" in each for each in found.missing)
    assert any("They need 5 of each." in each for each in found.missing) == unknown
    enough = report([replace(each, right=number >= 10) for number, each in enumerate(rows(60))])
    assert enough.recalibrated is not None


@pytest.mark.parametrize("right", [True, False])
def test_accuracy_of_one_class_is_no_point(right: bool) -> None:
    found = report([replace(each, right=right) for each in rows(30, groups=6)])
    assert found.accuracy is not None
    for each in (found.accuracy.within, found.accuracy.over):
        assert each is not None
        assert each.high - each.low > 0.1


def test_few_groups_are_said() -> None:
    found = report(rows(60, groups=3))
    assert found.accuracy is not None
    assert found.accuracy.over is None
    assert any("The rows are in 3 groups" in each for each in found.missing)


def test_risks_are_in_order() -> None:
    found = report(rows(60), wanted=((0.3, 0.8), (0.03, 0.9), (0.05, 0.9)))
    assert [each.risk for each in found.guarantees] == [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3]
