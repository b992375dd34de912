"""What became of each question of an evaluation: the answer, its grade, and the scores of its confidence."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.errors import BadResponse, CandorError, InvalidPattern
from lib.evaluation.dataset import Question, Task
from lib.evaluation.grading import Rule
from lib.jobs.batch import Batch, Outcome, State
from lib.scores.confidence import CHOICE, SCORES, choice_probabilities, scored_tokens, total
from lib.studies.evaluation import EvaluatePlan

_MOST_ODDS = 700.0  # log-odds of a choice beside which all others underflow


MOST_SECONDS = 60.0  # to grade all answers by patterns, each of which may take a while
_NO_LOGPROBS = BadResponse("The choices have no logprobs.", "Use a model that returns prompt logprobs.")


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
    characters: int = 0  # of TEXT: how many the scored tokens spell

    @property
    def can_be_graded(self) -> bool:
        """Whether a grade can be set by hand: the answer is complete, whether or not its rule could grade it."""
        return self.right is not None or isinstance(self.error, InvalidPattern)


def answered(plan: EvaluatePlan, batch: Batch, overruled: Mapping[str, bool] | None = None) -> tuple[Answered, ...]:
    """What became of each question, in order; of the plan's first variant, if there are several.

    overruled: grades set by hand, by the ids of rows.
    """
    outcomes = list(batch.outcomes)
    sizes = [len(each.choices) if plan.task is Task.CHOICE else 1 for each in plan.questions]
    places = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    priors = dict(_priors(plan, outcomes[int(places[-1]) :]))
    deadline = time.monotonic() + MOST_SECONDS
    found = []
    for question, first, last in zip(plan.questions, places, places[1:], strict=False):
        own = outcomes[int(first) : int(last)]
        if plan.task is Task.CHOICE:
            each = _chosen(question, own, priors.get(question.choices), by_length=plan.by_length)
        else:
            late = plan.grader.rule is Rule.PATTERN and time.monotonic() > deadline
            each = _generated(plan, question, own[0] if own else Outcome(), late=late)
        found.append(_overruled(each, overruled or {}))
    return tuple(found)


def _generated(plan: EvaluatePlan, question: Question, outcome: Outcome, *, late: bool) -> Answered:
    done = outcome.completion
    if outcome.state is not State.DONE or done is None:
        return Answered(question, done, None, error=outcome.error)
    if plan.task is Task.TEXT:
        logprobs = done.prompt.logprobs.astype(np.float64)
        scored = ~np.isnan(logprobs)
        about = Answered(question, done, None, characters=_characters(done, scored))
        return _scored(about, logprobs[scored])
    try:
        if late:
            raise InvalidPattern("The patterns take too long on all answers together.", "Simplify them in the file.")
        grade = plan.grader.grade(done.text, question.expected)
    except InvalidPattern as error:
        return _scored(Answered(question, done, None, error=error), scored_tokens(done))
    return _scored(Answered(question, done, grade.right, grade.compared), scored_tokens(done))


def _characters(done: Completion, scored: NDArray[np.bool_]) -> int:
    """How many characters the scored tokens of a prompt spell."""
    refs = done.prompt.refs[scored & (done.prompt.refs >= 0)]
    return len(done.pieces.select(refs).data.tobytes().decode("utf-8", "replace"))


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
    sums = np.array([total(each) for each in done])
    if prior is not None:
        sums = sums - prior
    if by_length:
        sums = sums / np.array([len(each) for each in question.choices])
    shares = choice_probabilities(sums)
    if np.isnan(shares).any():
        return Answered(question, None, None, error=error or _NO_LOGPROBS)
    chosen = int(sums.argmax())
    text = question.choices[chosen]
    about = Answered(question, done[chosen], text == question.expected[0], text)
    about = _scored(about, scored_tokens(done[chosen]))
    others = float(np.delete(shares, chosen).sum())
    odds = math.inf if others == 0 else math.log(float(shares[chosen]) / others)
    scores = {**about.scores, CHOICE: min(odds, _MOST_ODDS)}
    return replace(
        about, scores=scores, stated=float(shares[chosen]), choice_probabilities=tuple(shares.tolist())
    )  # fmt: skip


def _priors(plan: EvaluatePlan, outcomes: Sequence[Outcome]) -> Iterator[tuple[tuple[str, ...], NDArray[np.float64]]]:
    """The sums of logprobs of each set of choices after the prior's prompt; those that failed are left out."""
    first = 0
    for choices in plan.choice_sets():
        own = outcomes[first : first + len(choices)]
        first += len(choices)
        if len(own) == len(choices) and all(each.completion is not None for each in own):
            yield choices, np.array([total(each.completion) for each in own if each.completion is not None])


def _overruled(about: Answered, grades: Mapping[str, bool]) -> Answered:
    right = grades.get(about.question.row_id)
    if right is None or about.right == right or not about.can_be_graded:
        return about
    return replace(about, right=right, overruled=True, error=None)
