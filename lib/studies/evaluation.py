"""Evaluate's plan: labelled questions for a model, and what became of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.request import Mode, Request, prompt_fields
from lib.core.sources import Source
from lib.errors import CandorError, InvalidPattern, InvalidRequest
from lib.evaluation.dataset import Question, Task
from lib.evaluation.grading import Grader
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.call import Call
from lib.scores.confidence import SCORES, scored_tokens
from lib.scores.ranking import joined


@dataclass(frozen=True)
class EvaluatePlan:
    """The questions, and how they are asked and graded."""

    kind: ClassVar[str] = "evaluate"
    page: ClassVar[str] = "evaluate"

    source: Source
    questions: tuple[Question, ...] = ()
    task: Task = Task.SHORT
    grader: Grader = field(default_factory=Grader)
    name: str = ""  # of the file
    mode: Mode = Mode.RAW
    max_tokens: int = 32  # of SHORT
    stop: tuple[str, ...] = ("\n",)  # of SHORT
    k: int = 5
    prompt_scores: bool = True  # whether the model returns logprobs of prompts
    prior: str = ""  # of CHOICE: a prompt without a question, such as "Answer:", by which choices are scored, too

    def calls(self) -> tuple[Call, ...]:
        """One call per question; then, with a prior, one per distinct set of choices. Raises InvalidRequest."""
        if not self.questions:
            raise InvalidRequest("There is nothing to ask.", "Choose a file with a row for each question.")
        asked = tuple(self._call(each) for each in self.questions)
        return (*asked, *(self._scored(self.prior, choices) for choices in self.choice_sets()))

    def title(self) -> str:
        """The name of the file and the number of questions."""
        return f"{self.name or 'Questions'}, {len(self.questions):,} rows"

    def choice_sets(self) -> tuple[tuple[str, ...], ...]:
        """The distinct sets of choices that are scored by the prior."""
        if self.task is not Task.CHOICE or not self.prior.strip():
            return ()
        return tuple(dict.fromkeys(each.choices for each in self.questions))

    def _call(self, question: Question) -> Call:
        if self.task is Task.CHOICE:
            return self._scored(question.prompt, question.choices)
        generates = self.task is Task.SHORT
        request = Request(
            **prompt_fields(self.mode if generates else Mode.RAW, question.prompt),
            max_tokens=self.max_tokens if generates else 0,
            stop=self.stop if generates else (),
            temperature=0.0,
            k=self.k,
            prompt_scores=self.prompt_scores and not generates,
        )
        return Call(self.source, request)

    def _scored(self, prompt: str, choices: Sequence[str]) -> Call:
        fields = prompt_fields(self.mode, prompt)
        request = Request(
            **fields, max_tokens=0, temperature=0.0, k=self.k, prompt_scores=self.prompt_scores
        )  # fmt: skip
        return Call(self.source, request, candidates=tuple(joined(fields["prompt"] or "", each) for each in choices))


@dataclass(frozen=True)
class Answered:
    """What became of one question."""

    question: Question
    completion: Completion | None  # the answer; of CHOICE, the most likely choice; None if it failed
    right: bool | None  # None for TEXT, and if the question was not answered
    compared: str = ""  # what of the answer was graded
    tokens: int = 0  # that the scores rest on
    scores: Mapping[str, float] = field(default_factory=dict)  # by the names in `SCORES`; NaN if missing
    stated: float = math.nan  # the probability that the model itself gives its answer; of CHOICE, among the choices
    choice_probabilities: tuple[float, ...] = ()  # of CHOICE: float[c], adding up to 1
    error: CandorError | None = None
    overruled: bool = False  # whether the grade was set by hand


def answered(
    plan: EvaluatePlan, batch: Batch, overruled: Mapping[str, bool] | None = None, *, by_length: bool = False
) -> tuple[Answered, ...]:
    """What became of each question, in order.

    overruled: grades set by hand, by the ids of rows.
    by_length: of CHOICE, compare mean logprobs per character rather than sums, so that short choices gain nothing.
    """
    outcomes = list(batch.outcomes)
    sizes = [len(each.choices) if plan.task is Task.CHOICE else 1 for each in plan.questions]
    places = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    priors = dict(_priors(plan, outcomes[int(places[-1]) :]))
    found = []
    for question, first, last in zip(plan.questions, places, places[1:], strict=False):
        own = outcomes[int(first) : int(last)]
        if plan.task is Task.CHOICE:
            each = _chosen(question, own, priors.get(question.choices), by_length=by_length)
        else:
            each = _generated(plan, question, own[0] if own else Outcome())
        found.append(_overruled(each, overruled or {}))
    return tuple(found)


def _generated(plan: EvaluatePlan, question: Question, outcome: Outcome) -> Answered:
    done = outcome.completion
    if outcome.state is not State.DONE or done is None:
        return Answered(question, done, None, error=outcome.error)
    if plan.task is Task.TEXT:
        logprobs = done.prompt.logprobs.astype(np.float64)
        return _scored(Answered(question, done, None), logprobs[~np.isnan(logprobs)])
    try:
        grade = plan.grader.grade(done.text, question.expected)
    except InvalidPattern as error:
        return Answered(question, done, None, error=error)
    return _scored(Answered(question, done, grade.right, grade.compared), scored_tokens(done))


def _scored(about: Answered, logprobs: NDArray[np.float64]) -> Answered:
    values = {name: score.of(logprobs) if len(logprobs) else math.nan for name, score in SCORES.items()}
    stated = math.exp(values["sum"]) if len(logprobs) else math.nan
    return replace(about, tokens=len(logprobs), scores=values, stated=stated)


def _chosen(
    question: Question, outcomes: Sequence[Outcome], prior: NDArray[np.float64] | None, *, by_length: bool
) -> Answered:
    error = next((each.error for each in outcomes if each.error is not None), None)
    done = [each.completion for each in outcomes if each.state is State.DONE and each.completion is not None]
    if len(done) < len(question.choices):
        return Answered(question, None, None, error=error)
    sums = np.array([_total(each) for each in done])
    if prior is not None:
        sums = sums - prior
    if by_length:
        sums = sums / np.array([len(each) for each in question.choices])
    if np.isnan(sums).any() or np.isinf(sums).all():
        return Answered(question, None, None, error=error)
    chosen = int(sums.argmax())
    shares = np.exp(sums - sums[chosen])
    shares /= shares.sum()
    text = question.choices[chosen]
    about = Answered(question, done[chosen], text == question.expected[0], text)
    about = _scored(about, scored_tokens(done[chosen]))
    return replace(about, stated=float(shares[chosen]), choice_probabilities=tuple(shares.tolist()))


def _total(done: Completion) -> float:
    logprobs = scored_tokens(done)
    return float(logprobs.sum()) if len(logprobs) else math.nan


def _priors(plan: EvaluatePlan, outcomes: Sequence[Outcome]) -> Iterator[tuple[tuple[str, ...], NDArray[np.float64]]]:
    """The sums of logprobs of each set of choices after the prior's prompt; those that failed are left out."""
    first = 0
    for choices in plan.choice_sets():
        own = outcomes[first : first + len(choices)]
        first += len(choices)
        if len(own) == len(choices) and all(each.completion is not None for each in own):
            yield choices, np.array([_total(each.completion) for each in own if each.completion is not None])


def _overruled(about: Answered, grades: Mapping[str, bool]) -> Answered:
    right = grades.get(about.question.row_id)
    if right is None or about.right is None or about.right == right:
        return about
    return replace(about, right=right, overruled=True)
