"""Several questions as one job and one run, for the pages that compare and rank answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, cast

from lib.core.completion import Completion
from lib.core.sources import BedrockModel
from lib.core.stream import Fold
from lib.engines.base import Engine
from lib.errors import Cancelled
from lib.jobs.batch import Many, Outcome, State, Task, run_many
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job
from lib.jobs.run import Question, one_by_one, stream_of, with_engine

Answers = tuple[Completion, ...]
Call = tuple[Question, ...]  # more than one only if a single candidate is scored after each of their prompts


@dataclass(frozen=True)
class Several:
    """The questions of one job. Answers are numbered across all of them."""

    page: str  # the page that asks
    questions: tuple[Question, ...]  # each with one or more answers
    marks: tuple[int, ...] = ()  # numbers that tell the page what each question is for

    @property
    def places(self) -> tuple[int, ...]:
        """The question number of each answer."""
        return tuple(number for number, each in enumerate(self.questions) for _ in range(answers_to(each)))

    @property
    def billed_calls(self) -> int:
        """The number of calls to a service."""
        return sum(isinstance(each[0].source, BedrockModel) for each in _calls(self.questions))

    @property
    def scored_texts(self) -> int:
        """The number of answers that are scored rather than generated."""
        return sum(answers_to(each) for each in self.questions if each.candidates or not each.request.max_tokens)

    @property
    def max_new_tokens(self) -> int:
        """The limit on new tokens of all questions together."""
        return sum(each.max_new_tokens for each in self.questions)


def answers_to(question: Question) -> int:
    """The number of answers to a question."""
    return len(question.candidates) or question.request.n


def ask_several(
    engines: Engines, several: Several, *, owner: str = ""
) -> Callable[[Job[Many[Completion]]], Many[Completion]]:
    """The work of a job that asks all questions concurrently; one that fails does not affect the others.

    A local model samples the answers to a question in one batch and scores its candidates in one pass. A candidate that
    several questions share is scored in as few passes as possible. A service gets one call for each answer.
    """
    calls = _calls(several.questions)
    sizes = [sum(map(answers_to, each)) for each in calls]

    def call(questions: Call) -> Callable[[Task[Answers]], Answers]:
        return lambda task: _answered(engines, questions, owner, task)

    def work(job: Job[Many[Completion]]) -> Many[Completion]:
        as_calls = cast("Job[Many[Answers]]", _Flat(job, sizes))
        return _flat(run_many([call(each) for each in calls])(as_calls), sizes)

    return work


def _calls(questions: Sequence[Question]) -> list[Call]:
    """Group the questions into calls of a model."""
    found: list[Call] = []
    for each in questions:
        if not isinstance(each.source, BedrockModel):
            before = found[-1][-1] if found else None
            alike = before is not None and (before.source, before.candidates) == (each.source, each.candidates)
            if alike and len(each.candidates) == 1:
                found[-1] = (*found[-1], each)
            else:
                found.append((each,))
        elif each.candidates:
            found += [(replace(each, candidates=(text,)),) for text in each.candidates]
        else:
            found += [(one,) for one in one_by_one(each)]
    return found


def _answered(engines: Engines, questions: Call, owner: str, task: Task[Answers]) -> Answers:
    question = questions[0]
    if len(questions) > 1:
        requests = [each.request for each in questions]

        def score_under(engine: Engine) -> Answers:
            return engine.score_under(requests, question.candidates[0], owner=owner)

        return with_engine(engines, question.source, task, score_under)
    if question.candidates:

        def score(engine: Engine) -> Answers:
            return engine.score(question.request, question.candidates, owner=owner)

        return with_engine(engines, question.source, task, score)
    collected = Fold()
    with closing(stream_of(engines, question, owner, task, live=False)) as stream:
        task.on_stop(stream.stop)
        task.on_cancel(stream.close)
        try:
            for delta in stream:
                collected.add(delta)
                task.publish(note=delta.note or "Generating")
        except Cancelled:
            if not collected.completions():
                raise
            reason = "cancelled" if task.cancelled else "incomplete"
            return tuple(
                replace(done, stop_reason=reason) if done.stop_reason == "incomplete" else done
                for done in collected.completions()
            )
    return collected.completions()


class _Flat:
    """A job for `run_many` whose calls have several answers each; it publishes outcomes of answers to the real job."""

    def __init__(self, job: Job[Many[Completion]], sizes: Sequence[int]) -> None:
        self._job, self._sizes = job, sizes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)

    def publish(self, partial: Many[Answers], *, note: str | None = None) -> None:
        self._job.publish(_flat(partial, self._sizes), note=note)


def _flat(many: Many[Answers], sizes: Sequence[int]) -> Many[Completion]:
    """Outcomes of calls as outcomes of answers; if a call failed, so did all of its answers."""
    outcomes: list[Outcome[Completion]] = []
    for each, size in zip(many.outcomes, sizes, strict=True):
        results = each.result or ()
        for number in range(size):
            done = results[number] if number < len(results) else None
            state = State.NOT_STARTED if each.state is State.DONE and done is None else each.state
            outcomes.append(Outcome(state, done, each.error, each.note))
    return Many(tuple(outcomes), many.seconds, many.seconds_left, many.cap)
