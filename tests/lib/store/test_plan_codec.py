"""A run opens as what was asked, whatever that was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from lib.contexts.labelled import Labelled
from lib.contexts.passages import Passage
from lib.contexts.pruning import Keep
from lib.contexts.pruning import Rule as Threshold
from lib.contexts.scorings import COMBINED, GAIN, QUESTION
from lib.core.branching import Fork
from lib.core.request import Message, Mode, Request
from lib.core.sources import EMBEDDED, BedrockModel
from lib.errors import BadFile, CandorError
from lib.evaluation.dataset import Question
from lib.evaluation.grading import Grader, Rule
from lib.jobs.batch import Batch, Outcome, State, batch_of
from lib.jobs.call import Call
from lib.jobs.job import Job
from lib.jobs.plan import Plan
from lib.store.job_runs import CUT_OFF, answers_of, ended, restored, run_about, title_of
from lib.store.plan_codec import call_as_json, call_of
from lib.store.run import RunState
from lib.studies.ablation import AblationPlan
from lib.studies.contexts import KEPT, NONE, ContextsPlan
from lib.studies.contexts_sets import ContextsAnswersPlan, ContextsSetPlan
from lib.studies.doubts import DoubtsPlan
from lib.studies.doubts_sets import DoubtsSetsPlan, Item
from lib.studies.evaluation import EvaluatePlan
from lib.studies.exploration import ExplorePlan
from lib.studies.label_choices import LabelsPlan
from lib.studies.leaning import LeaningPlan
from lib.studies.model_comparison import ModelsPlan, Side
from lib.studies.plans import PLANS
from lib.studies.prompt_comparison import PromptsPlan
from lib.studies.ranking import RankPlan
from lib.studies.second_looks import SecondLooksPlan
from tests.benchmarks.completions import long_completion

DONE = long_completion(20)
PARTIAL = replace(DONE, stop_reason="incomplete")
MODEL = BedrockModel(
    "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc", imported=date(2026, 1, 2), continues=True
)
CHAT = Request(messages=(Message("system", "Be brief."), Message("user", "Why\nis  it?")), n=3, seed=4, stop=("x",))
CALLS = [
    Call(EMBEDDED, Request("Hello")),
    Call(MODEL, CHAT),
    Call(EMBEDDED, Request("Hello", prefix_ids=(1, 2)), Fork(DONE, 1, (2,), "text", Request("Hello"), "Careful.")),
]
SAVED_SIDE = Side(MODEL, replace(CHAT, n=1), ("one",), saved=1_700_000_000_000_000)
CONTEXTS = ContextsPlan(
    MODEL, "Why?", (Passage("a", "So.", 0.5), Passage("b", "Or so.")), scorings=(QUESTION, GAIN), answer="Because.",
    weights=((QUESTION, 1.0),), by=COMBINED, keep=Keep(Threshold.BUDGET, 90.0), answers=(KEPT, NONE),
)  # fmt: skip
LABELLED = Labelled("1", "Why?", CONTEXTS.passages, 1, "kind", "development", ("So.",))
EXAMPLES: list[Plan] = [
    ExplorePlan(CALLS[0]),
    ExplorePlan(CALLS[1]),
    PromptsPlan(MODEL, ("One.", "Two.\n"), Mode.RAW, 12, 0.5, 3, 4, prompt_scores=False),
    AblationPlan(EMBEDDED, (Request("One. Two."), replace(CHAT, n=1, seed=None)), 0, "An answer"),
    ModelsPlan((Side(EMBEDDED, Request("A text", max_tokens=0)), SAVED_SIDE)),
    RankPlan(MODEL, "Which?", ("this", " that\n"), Mode.CHAT, 3, 12, 0.7, 2),
    EvaluatePlan(
        MODEL, (Question(1, "a", "1+1=", ("2",), (), (("kind", "sum"),), "g"),), grader=Grader(Rule.NUMBER, 0.1)
    ),
    DoubtsPlan(MODEL, "Who wrote it?", "Be brief.", Mode.CHAT, max_tokens=12, temperature=0.5, k=7),
    SecondLooksPlan(MODEL, Request("Who?"), "Me", 3, verdict=True, other_prompt="What?", prefixes=((1, 2), (3,))),
    LabelsPlan(MODEL, Request("Which?"), ("this", "that"), "Answer:", "."),
    DoubtsSetsPlan(MODEL, (Item("a", "Peru is in"), Item("b", "Is it?", Mode.CHAT, 9, ())), 7),
    CONTEXTS,
    LeaningPlan(MODEL, CONTEXTS, "Because."),
    ContextsSetPlan(MODEL, (LABELLED,), mode=Mode.CHAT, gain=False),
    ContextsAnswersPlan(MODEL, ("Why?", "Who?"), Mode.CHAT, 9),
]


def job_of(plan: Plan | None, result: Batch | None) -> Job[Batch]:
    return Job.over_already("some-id", plan, result, None, 1.5)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_comes_back(call: Call) -> None:
    again = call_of(json.loads(json.dumps(call_as_json(call))), DONE)
    assert replace(again, fork=None) == replace(call, fork=None)
    if call.fork is not None:
        assert vars(again.fork) == vars(call.fork)


@pytest.mark.parametrize("plan", EXAMPLES)
def test_a_plan_comes_back_with_its_answers(plan: Plan) -> None:
    count = sum(each.answers for each in plan.calls())
    failed = Outcome(State.FAILED, None, CandorError("a", "b"))
    result = Batch(([Outcome(State.DONE, DONE), failed, Outcome(State.NOT_STARTED)] * count)[:count])  # type: ignore[arg-type]
    run = run_about(job_of(plan, result), plan.page, owner="", version="1")
    run = replace(run, details=json.loads(json.dumps(run.details)), state=RunState.FINISHED)
    back = restored(run, answers_of(result))
    assert back["plan"] == plan
    assert [each.state for each in back["result"].outcomes] == [each.state for each in result.outcomes]
    # One of which the last answers had not been written when it was cut off.
    some = restored(run, answers_of(result)[:1])["result"].outcomes
    assert [each.state for each in some] == [State.DONE, *[State.NOT_STARTED] * (count - 1)]


def test_every_kind_of_plan_is_tried() -> None:
    assert {each.kind for each in EXAMPLES} == set(PLANS)


@pytest.mark.parametrize("plan", [each for each in EXAMPLES if not isinstance(each, ExplorePlan)])
def test_a_plan_that_was_edited_is_unknown_or_can_be_made(plan: Plan) -> None:
    """Each field in turn gone, or of another type, as in a file that was edited."""
    run = run_about(job_of(plan, None), plan.page, owner="", version="1")
    about = run.details["plan"]
    edits = [{**about, name: value} for name in about for value in (None, [], {}, "x", -1, 1e300, [None], ["x", 5])]
    edits += [{key: about[key] for key in about if key != name} for name in about]
    for edit in edits:
        opened = restored(replace(run, details={"plan": edit}), ())["plan"]
        assert opened is None or opened.calls()
    assert restored(replace(run, details={"plan": {**about, "kind": "of a later version"}}), ())["plan"] is None


def test_titles() -> None:
    assert title_of(ExplorePlan(CALLS[1])) == "Why is it?"
    assert title_of(ExplorePlan(Call(EMBEDDED, Request("word " * 100)))).endswith("…")
    assert title_of(ExplorePlan(CALLS[2])) == "Hello"
    assert title_of(None) == "Saved response"


def test_names_of_the_models() -> None:
    run = run_about(job_of(EXAMPLES[4], None), "models", owner="", version="1")
    assert (run.model, run.source) == (f"embedded, {MODEL.arn}", "embedded")


def test_a_saved_response_comes_back() -> None:
    job = job_of(None, batch_of([DONE, DONE]))
    run = ended(run_about(job, "explore", owner="", version="1"), job)
    assert run.state == RunState.FINISHED
    back = restored(run, answers_of(job.result))
    assert (back["plan"], back["error"], back["seconds"]) == (None, None, 1.5)
    assert back["result"] == job.result


def test_what_failed_says_so_once() -> None:
    """The error of the only answer is that of the run, too."""
    failed = Batch((Outcome(State.FAILED, PARTIAL, CandorError("It broke.", "Try again.")),))
    job = job_of(ExplorePlan(CALLS[0]), failed)
    run = ended(run_about(job, "explore", owner="", version="1"), job)
    assert (run.state, run.error) == (RunState.FAILED, ("It broke.", "Try again."))
    back = restored(run, answers_of(failed))
    assert back["error"] is None
    assert str(back["result"].outcomes[0].error) == "It broke. Try again."
    # As earlier versions stored it: with the run only.
    back = restored(run, answers_of(batch_of([PARTIAL])))
    assert str(back["error"]) == "It broke. Try again."
    assert back["result"].completions == (PARTIAL,)


def test_what_was_cut_off_can_be_retried() -> None:
    run = run_about(job_of(EXAMPLES[5], None), "rank", owner="", version="1")
    back = restored(replace(run, state=RunState.INCOMPLETE), answers_of(batch_of([DONE, PARTIAL])))
    assert back["error"] is CUT_OFF
    assert [each.state for each in back["result"].outcomes] == [State.DONE, State.FAILED, *[State.NOT_STARTED] * 3]
    assert back["result"].missing == 4


def edited(name: str, value: object) -> dict[str, Any]:
    return call_as_json(CALLS[1]) | {name: value}


@pytest.mark.parametrize(
    "about",
    [None, {}, edited("source", 5), edited("source", {}), edited("request", {}), edited("fork", {}), edited("fork", 1),
     edited("source", call_as_json(CALLS[1])["source"] | {"imported": "yesterday"})],
)  # fmt: skip
def test_what_cannot_be_a_call(about: Any) -> None:
    with pytest.raises(BadFile):
        call_of(about)
