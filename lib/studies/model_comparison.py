"""Compare two models on one text. Either side may be a saved answer, which needs no call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.sources import Source
from lib.core.tokens import Tokens, concatenate
from lib.jobs.batch import Many, Outcome, State
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.jobs.run import Question

_K = 5  # top logprobs per position

Work = Callable[[Job[Many[Completion]]], Many[Completion]]


@dataclass(frozen=True, eq=False)
class SavedAnswer:
    """An answer from history, as one side of a comparison."""

    question: Question  # what the model was asked
    completion: Completion
    created: int  # when the run started, in microseconds since 1970

    @property
    def answer(self) -> str:
        """The part of the text that follows the prompt; "" if the prompt is all there is."""
        text = self.completion.text
        return "" if text == self.question.request.last_user_text else text

    @property
    def text(self) -> str:
        """The text that is compared."""
        return text_of(self.question, self.completion)


Side = Question | SavedAnswer


def saved_answer(source: Source, request: Request | None, completion: Completion, created: int) -> SavedAnswer:
    """A saved answer as a side. request: None if unknown, as for a response opened from a file."""
    if request is None:
        prompt = _spelled(completion.prompt)
        request = Request(prompt=prompt if prompt.strip() else completion.text)
    return SavedAnswer(Question(source, replace(request, n=1, prefix_ids=())), completion, created)


def text_of(question: Question, completion: Completion) -> str:
    """The prompt as typed and the answer, or just the answer if no prompt is known."""
    prompt = question.request.last_user_text
    return prompt if prompt == completion.text else prompt + completion.text


def reading_of(source: Source, text: str) -> Question:
    """The question that makes a model score `text`. Raises InvalidRequest."""
    return Question(source, Request(prompt=text, max_tokens=0, k=_K))


def same_reading(source: Source, saved: SavedAnswer) -> Question:
    """The question that makes a model score the text of a saved answer: the same prompt, followed by the answer."""
    request = replace(saved.question.request, max_tokens=0, prompt_scores=True, k=_K)
    return Question(source, request, candidates=(saved.answer,) if saved.answer else ())


def comparison(page: str, sides: Sequence[Side]) -> Several:
    """The subject of a comparison. Its marks say when each side was saved; 0 for a side that is scored now."""
    questions = tuple(side if isinstance(side, Question) else side.question for side in sides)
    saved = tuple(0 if isinstance(side, Question) else side.created for side in sides)
    return Several(page, questions, saved if any(saved) else ())


def scored_now(page: str, sides: Sequence[Side]) -> Several:
    """The calls that a comparison makes."""
    return Several(page, tuple(side for side in sides if isinstance(side, Question)))


def with_saved(sides: Sequence[Side], work: Work) -> Work:
    """Work that returns an outcome for each side. work: answers the questions among them."""
    questions = any(isinstance(side, Question) for side in sides)

    def whole(job: Job[Many[Completion]]) -> Many[Completion]:
        if not questions:
            return _merged(sides, Many(()))
        return _merged(sides, work(cast("Job[Many[Completion]]", _Merging(job, sides))))

    return whole


class _Merging:
    """A job to which partial results are published with the saved sides filled in."""

    def __init__(self, job: Job[Many[Completion]], sides: Sequence[Side]) -> None:
        self._job, self._sides = job, sides

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)

    def publish(self, partial: Many[Completion], *, note: str | None = None) -> None:
        self._job.publish(_merged(self._sides, partial), note=note)


def _merged(sides: Sequence[Side], scored: Many[Completion]) -> Many[Completion]:
    rest = iter(scored.outcomes)
    outcomes = (next(rest) if isinstance(side, Question) else Outcome(State.DONE, side.completion) for side in sides)
    return replace(scored, outcomes=tuple(outcomes))


def whole_text(completion: Completion) -> Completion:
    """The completion with its answer moved to the end of its prompt, to be read as one text."""
    if not len(completion.generated):
        return completion
    whole = concatenate([completion.prompt, completion.generated])
    return replace(completion, prompt=whole, generated=whole[:0])


def _spelled(tokens: Tokens) -> str:
    """The text of tokens, without special ones."""
    pieces, refs = tokens.pieces, tokens.refs[tokens.refs >= 0]
    return b"".join(pieces.bytes_of(int(ref)) for ref in refs if not pieces.special[ref]).decode("utf-8", "replace")
