"""Evaluations: what is asked, what becomes of each question, and that nothing is asked twice."""

from __future__ import annotations

import html
import math
from dataclasses import replace

import numpy as np
import pytest

from lib.core.completion import Completion, StopReason
from lib.core.request import Mode, Request
from lib.core.sources import LocalModel
from lib.errors import CandorError, InvalidRequest
from lib.evaluation.dataset import Question, Task
from lib.evaluation.grading import Grader, Rule
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.jobs.run_plan import run_plan
from lib.store.plan_codec import details_of, plan_of
from lib.store.run import Run
from lib.studies import evaluation_rows
from lib.studies.evaluation import EvaluatePlan, Variant
from lib.studies.evaluation_export import as_json
from lib.studies.evaluation_html import as_html
from lib.studies.evaluation_outcome import outcome_of, rows_of
from lib.studies.evaluation_rows import answered
from lib.studies.evaluation_text import WORDING, figures, settings_in_words, summary
from tests.support.scripted_engine import ScriptedEngine, tokens_of

MODEL = LocalModel("scripted")
SHORT = (
    Question(1, "a", "1+1=", ("2",), slices=(("kind", "sum"),), group="plus"),
    Question(2, "b", "2+2=", ("4", "four")),
    Question(4, "c", "3+3=", ("6",)),
)
CHOICE = (
    Question(1, "a", "Sky:", ("blue",), ("red", "blue")),
    Question(2, "b", "Grass:", ("green",), ("green", "blue")),
)


def done(text: str, logprob: float = -0.5) -> Outcome:
    return Outcome(State.DONE, Completion(None, "m", tokens_of("p"), tokens_of(text, logprob), text, StopReason.STOP))


def test_short_answers_are_graded_and_scored() -> None:
    plan = EvaluatePlan(MODEL, SHORT, grader=Grader(Rule.NUMBER))
    failed = Outcome(State.FAILED, error=CandorError("It failed.", "Try again."))
    found = answered(plan, Batch((done("2."), done("5", -2.0), failed)))
    assert [each.right for each in found] == [True, False, None]
    assert (found[0].compared, found[0].tokens) == ("2", 2)
    assert found[0].scores["sum"] == pytest.approx(-1.0)
    assert found[0].stated == pytest.approx(math.exp(-1.0))
    assert found[1].scores["mean"] == pytest.approx(-2.0)
    assert found[2].error is not None


def test_a_batch_that_ends_early_leaves_the_rest_unanswered() -> None:
    found = answered(EvaluatePlan(MODEL, SHORT), Batch((done("2"),)))
    assert [each.right for each in found] == [True, None, None]


def test_choices_are_compared_by_their_likelihood() -> None:
    plan = EvaluatePlan(MODEL, CHOICE, Task.CHOICE)
    assert [len(each.candidates) for each in plan.calls()] == [2, 2]
    batch = Batch((done("red", -1.0), done("blue", -0.5), done("green", -1.0), done("blue", -1.1)))
    first, second = answered(plan, batch)
    assert (first.right, first.compared) == (True, "blue")
    assert first.choice_probabilities == pytest.approx(np.exp([-3, -2]) / np.exp([-3, -2]).sum())
    assert first.stated == pytest.approx(max(first.choice_probabilities))
    assert (second.right, second.compared) == (False, "blue")
    by_length = answered(replace(plan, by_length=True), batch)
    assert [each.compared for each in by_length] == ["blue", "green"]


def test_a_prior_takes_off_what_is_likely_anyway() -> None:
    plan = EvaluatePlan(MODEL, CHOICE, Task.CHOICE, prior="Answer:")
    assert [each.candidates for each in plan.calls()[2:]] == [(" red", " blue"), (" green", " blue")]
    asked = (done("red", -1.0), done("blue", -0.5), done("green", -1.0), done("blue", -1.1))
    prior = (done("red", -1.0), done("blue", -0.5), done("green", -1.5), done("blue", -0.5))
    found = answered(plan, Batch((*asked, *prior)))
    assert found[0].choice_probabilities == pytest.approx((0.5, 0.5))
    assert found[1].compared == "green"


def test_texts_have_a_perplexity_only() -> None:
    plan = EvaluatePlan(MODEL, tuple(replace(each, expected=()) for each in SHORT), Task.TEXT)
    assert {each.request.max_tokens for each in plan.calls()} == {0}
    outcome = Outcome(State.DONE, Completion(None, "m", tokens_of("abc", -2.0), tokens_of(""), "", StopReason.LENGTH))
    (found, *_) = answered(plan, Batch((outcome, outcome, outcome)))
    assert (found.right, found.tokens) == (None, 3)
    assert found.scores["mean"] == pytest.approx(-2.0)


def test_a_grade_set_by_hand_is_marked() -> None:
    plan = EvaluatePlan(MODEL, SHORT)
    found = answered(plan, Batch((done("two"), done("4"), done("7"))), {"a": True, "b": True})
    assert [(each.right, each.overruled) for each in found] == [(True, True), (True, False), (False, False)]


def test_an_answer_without_logprobs_has_no_scores() -> None:
    (found, *_) = answered(EvaluatePlan(MODEL, SHORT), Batch((done("2", math.nan),)))
    assert found.right
    assert found.tokens == 0
    assert math.isnan(found.scores["sum"])


@pytest.mark.parametrize("task", Task)
def test_a_plan_is_stored_and_read(task: Task) -> None:
    questions = CHOICE if task is Task.CHOICE else SHORT
    plan = EvaluatePlan(MODEL, questions, task, Grader(Rule.NUMBER, tolerance=0.1), "sums.csv", prior="A:")
    run = Run(id="r", page="evaluate", model="", details=details_of(plan))
    assert plan_of(run) == plan
    assert plan.title() == f"sums.csv, {len(questions)} rows"


def test_nothing_to_ask() -> None:
    with pytest.raises(InvalidRequest, match="nothing to ask"):
        EvaluatePlan(MODEL).calls()


def test_only_changed_rows_are_asked_again() -> None:
    def script(request: Request) -> Completion:
        text = str(eval(request.prompt.rstrip("="))) if request.prompt else ""
        return Completion(request, "m", tokens_of(""), tokens_of(text), text, StopReason.STOP)

    engine = ScriptedEngine(script)
    engines = Engines(lambda _: engine)

    def run(plan: EvaluatePlan, **known: object) -> Batch:
        job: Job[Batch] = Job(run_plan(engines, plan, **known), plan)  # type: ignore[arg-type]
        job.run()
        assert job.result is not None
        return job.result

    plan = EvaluatePlan(MODEL, SHORT)
    first = run(plan)
    assert [each.right for each in answered(plan, first)] == [True, True, True]
    assert len(engine.requests) == 3
    changed = replace(plan, questions=(SHORT[2], replace(SHORT[0], prompt="5+5=", expected=("10",)), SHORT[1]))
    again = run(changed, resume=first, resume_of=plan)
    assert len(engine.requests) == 4
    assert [each.right for each in answered(changed, again)] == [True, True, True]


def test_variants_ask_the_same_questions_of_other_models_and_with_other_prompts() -> None:
    other = LocalModel("other")
    plan = EvaluatePlan(
        MODEL, SHORT, others=(Variant(other), Variant(MODEL, ("x1", "x2", "x3"), Mode.CHAT, 2, name="x{n}"))
    )
    calls = plan.calls()
    assert [each.source for each in calls] == [MODEL] * 3 + [other] * 3 + [MODEL] * 3
    assert [each.request.last_user_text for each in calls[6:]] == ["x1", "x2", "x3"]
    assert calls[6].request.k == 2
    parts = plan.parts(Batch(tuple(done(str(number)) for number in range(9))))
    assert [[each.completion.text for each in part.outcomes if each.completion] for part in parts] == [
        ["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"],
    ]  # fmt: skip
    with pytest.raises(InvalidRequest):
        EvaluatePlan(MODEL, SHORT, others=(Variant(other, ("one",)),)).calls()


def test_variants_of_choices_have_their_own_priors() -> None:
    plan = EvaluatePlan(MODEL, CHOICE, Task.CHOICE, prior="Answer:", others=(Variant(LocalModel("other")),))
    assert sum(each.answers for each in plan.calls()) == 2 * (4 + 4)
    first, second = plan.parts(Batch(tuple(done(str(number)) for number in range(16))))
    assert len(first.outcomes) == len(second.outcomes) == 8
    run = Run("evaluate", "m", details=details_of(plan))
    assert plan_of(run) == plan


def test_the_sides_of_an_outcome_are_graded_apart() -> None:
    plan = EvaluatePlan(MODEL, SHORT, grader=Grader(Rule.NUMBER), others=(Variant(LocalModel("other")),))
    batch = Batch(tuple(done(each) for each in ("2", "5", "6", "2", "4", "7")))
    found = outcome_of(plan, rows_of(plan, batch, {1: {"c": True, "a": True}}))
    assert [each.name for each in found.sides] == ["scripted", "other"]
    assert [[each.right for each in side.rows] for side in found.sides] == [[True, False, True], [True, True, True]]
    assert [each.overruled for each in found.sides[1].rows] == [False, False, True]
    assert found.comparisons[0].gained == (1,)


def test_the_confidence_of_a_choice_is_its_odds_against_the_others() -> None:
    plan = EvaluatePlan(MODEL, CHOICE[:1], Task.CHOICE)
    (found,) = answered(plan, Batch((done("red", -2.0), done("blue", -1.0))))
    assert found.scores["choice"] == pytest.approx(math.log(found.stated / (1 - found.stated)))
    (sure,) = answered(plan, Batch((done("red", -9_000.0), done("blue", -1.0))))
    assert sure.scores["choice"] == 700


def test_an_answer_whose_pattern_takes_too_long_can_be_graded_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = (Question(1, "a", "x", ("2",)), Question(2, "b", "x", ("3",)))
    plan = EvaluatePlan(MODEL, questions, grader=Grader(Rule.PATTERN))
    batch = Batch((done("2"), Outcome(State.FAILED, error=CandorError("It failed."))))
    assert answered(plan, batch)[0].right is True
    monkeypatch.setattr(evaluation_rows, "MOST_SECONDS", -1.0)
    late = answered(plan, batch)
    assert [(each.right, each.can_be_graded) for each in late] == [(None, True), (None, False)]
    assert late[0].error is not None
    by_hand = answered(plan, batch, {"a": False, "b": True})
    assert [(each.right, each.overruled, each.error is None) for each in by_hand] == [
        (False, True, True),
        (None, False, False),
    ]
    assert by_hand[0].scores["sum"] == pytest.approx(-0.5)


def test_choices_without_logprobs_failed_for_a_reason() -> None:
    found = answered(EvaluatePlan(MODEL, CHOICE[:1], Task.CHOICE), Batch((done("red", math.nan), done("blue", -1.0))))
    assert "no logprobs" in str(found[0].error)


WHOLE = {Rule.EXACT, Rule.NORMALIZED}


@pytest.mark.parametrize("rule", Rule)
def test_a_wording_is_judged_only_if_it_is_the_answer(rule: Rule) -> None:
    """With a rule that many wordings satisfy, the model's own probability says nothing of being right."""
    random = np.random.default_rng(0)
    label = {Rule.NUMBER: "1", Rule.PATTERN: "1"}.get(rule, "1")
    questions = tuple(Question(number, str(number), "q", (label,)) for number in range(120))
    texts = ["1" if random.random() < 0.7 else "2" for _ in questions]
    outcomes = tuple(done(f'{{"f": {text}}}' if rule is Rule.JSON_FIELD else text, -random.random()) for text in texts)
    others = (Variant(LocalModel("other")),)
    plan = EvaluatePlan(MODEL, questions, grader=Grader(rule, field="f"), others=others)
    found = outcome_of(plan, rows_of(plan, Batch((*outcomes, *outcomes))))
    report = found.sides[0].report
    assert report.stated is not None
    assert report.judged is (report.stated if rule in WHOLE else report.recalibrated)
    assert ("gap" in found.comparisons[0].differences) == (rule in WHOLE)
    page, said = as_html(found), "\n".join(summary(found))
    assert (WORDING in said, html.escape(WORDING) in page) == (rule not in WHOLE, rule not in WHOLE)
    assert report.judged is not None
    assert figures(found)["gap"] == report.judged.figures["gap"].within.value


def test_a_report_says_what_was_asked() -> None:
    grader = Grader(Rule.JSON_FIELD, field="a.b")
    plan = EvaluatePlan(MODEL, SHORT, grader=grader, mode=Mode.CHAT, max_tokens=7, template="Q: {q}\x1b")
    found = outcome_of(plan, rows_of(plan, Batch((done("2"), done("4"), done("5")))))
    wanted = {"scripted", "chat", "json field a.b", "7", "3 questions", "Q: {q}"}
    said = next(summary(found))
    page = as_html(found)
    for each in wanted:
        assert each in said
        assert each in page
    assert as_json(found)["settings"] == {
        "model": "scripted", "task": "short", "mode": "chat", "prompt": "Q: {q}\x1b", "rule": "json field a.b",
        "max new tokens": "7",
    }  # fmt: skip
    assert settings_in_words(found.sides[0], "Mine").startswith("Model: Mine · Task: short")
    other = replace(plan, others=(Variant(MODEL, ("a", "b", "c"), name="{x}"), Variant(LocalModel("m"))))
    assert [each.settings()["prompt"] for each in other.variants()] == ["Q: {q}\x1b", "{x}", "Q: {q}\x1b"]


@pytest.mark.parametrize("mode", Mode)
def test_empty_answers_are_said_to_be_empty(mode: Mode) -> None:
    nothing = Completion(None, "m", tokens_of("p"), tokens_of(""), "", StopReason.STOP)
    plan = EvaluatePlan(MODEL, SHORT, mode=mode)
    found = outcome_of(plan, rows_of(plan, Batch((Outcome(State.DONE, nothing),) * 3)))
    assert found.sides[0].report.empty == 3
    assert found.sides[0].report.missing == ("All answers are empty, so the report can't assess confidence.",)
    assert any("give --chat" in each for each in summary(found)) == (mode is Mode.RAW)
    some = outcome_of(plan, rows_of(plan, Batch((Outcome(State.DONE, nothing), done("4"), done("5")))))
    assert "Of 3 graded answers, 1 is empty. They count for accuracy only." in some.sides[0].report.missing
