"""A run opens as what was asked, whatever that was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from lib.core.branching import Fork
from lib.core.request import Message, Request
from lib.core.sources import BedrockModel
from lib.errors import BadFile, CandorError
from lib.jobs.batch import Many, Outcome, State
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.jobs.run import Question
from lib.store.job_runs import CUT_OFF, answers_of, ended, restored, run_about, title_of
from lib.store.plan_codec import described, question_of
from lib.store.run import RunState
from tests.benchmarks.completions import long_completion

DONE = long_completion(20)
MODEL = BedrockModel(
    "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc", imported=date(2026, 1, 2), continues=True
)
CHAT = Request(messages=(Message("system", "Be brief."), Message("user", "Why\nis  it?")), n=3, seed=4, stop=("x",))
QUESTIONS = [
    Question("embedded", Request("Hello")),
    Question(MODEL, CHAT),
    Question(
        "embedded", Request("Hello", prefix_ids=(1, 2)), Fork(DONE, 1, (2,), "text", Request("Hello"), "Careful.")
    ),
]


MANY = Many((Outcome(State.DONE, DONE), Outcome(State.FAILED, None, CandorError("a", "b")), Outcome(State.NOT_STARTED)))


def job_of(question: object, result: Any, error: CandorError | None = None) -> Job[Any]:
    return Job.over_already("some-id", question, result, error, 1.5)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_comes_back(question: Question) -> None:
    again = question_of(json.loads(json.dumps(described(question))), DONE)
    assert replace(again, fork=None) == replace(question, fork=None)
    if question.fork is not None:
        assert vars(again.fork) == vars(question.fork)


def test_several_questions_come_back_with_their_answers() -> None:
    given = Question("embedded", replace(CHAT, n=1), candidates=("one", " two"))
    several = Several("rank", (Question(MODEL, CHAT), given), (1, 2))
    job = job_of(several, Many((*MANY.outcomes, Outcome(State.DONE, DONE), Outcome(State.DONE, DONE))))
    run = run_about(job, "rank", owner="", version="1")
    assert (run.title, run.model, run.page) == ("Why is it?", f"{MODEL.arn}, embedded", "rank")
    run = replace(run, details=json.loads(json.dumps(run.details)), state=RunState.FINISHED)
    back = restored(run, answers_of(job.result))
    assert back["subject"] == several
    assert [each.state for each in back["result"].outcomes] == [each.state for each in job.result.outcomes]
    # One of which the last answers had not been written when it was cut off.
    some = restored(run, answers_of(job.result)[:2])["result"].outcomes
    assert [each.state for each in some] == [
        State.DONE,
        State.FAILED,
        State.NOT_STARTED,
        State.NOT_STARTED,
        State.NOT_STARTED,
    ]


def test_titles() -> None:
    assert title_of(QUESTIONS[1]) == "Why is it?"
    assert title_of(Question("embedded", Request("word " * 100))).endswith("…")
    assert title_of(QUESTIONS[2]) == "Hello"


@pytest.mark.parametrize(
    ("question", "result"),
    [
        (QUESTIONS[0], DONE),
        (QUESTIONS[1], MANY),
        (None, (DONE, DONE)),
        (QUESTIONS[0], None),
    ],
)  # fmt: skip
def test_a_job_comes_back(question: Question | None, result: Any) -> None:
    job = job_of(question, result)
    run = ended(run_about(job, "explore", owner="", version="1"), job)
    assert run.state == RunState.FINISHED
    back = restored(run, answers_of(result))
    assert back["subject"] == question
    assert back["error"] is None
    assert back["seconds"] == 1.5
    if isinstance(result, Many):
        for ours, theirs in zip(back["result"].outcomes, result.outcomes, strict=True):
            assert (ours.state, ours.result, str(ours.error)) == (theirs.state, theirs.result, str(theirs.error))
    else:
        assert back["result"] == result


def test_what_failed_or_was_cut_off_says_so() -> None:
    job = job_of(QUESTIONS[0], DONE, CandorError("It broke.", "Try again."))
    run = ended(run_about(job, "explore", owner="", version="1"), job)
    assert run.state == RunState.FAILED
    again: Job[Any] = Job.over_already("x", **restored(run, answers_of(DONE)))
    assert str(again.error) == "It broke. Try again."
    assert again.partial == DONE
    assert restored(replace(run, state=RunState.INCOMPLETE, error=None), ())["error"] is CUT_OFF


def edited(name: str, value: object) -> dict[str, Any]:
    return described(QUESTIONS[1]) | {name: value}


@pytest.mark.parametrize(
    "about",
    [None, {}, edited("source", 5), edited("source", {}), edited("request", {}), edited("fork", {}), edited("fork", 1),
     edited("source", described(QUESTIONS[1])["source"] | {"imported": "yesterday"})],
)  # fmt: skip
def test_what_cannot_be_a_question(about: Any) -> None:
    with pytest.raises(BadFile):
        question_of(about)
