"""Models' plan: two models on one text. Either side may be a saved answer, which needs no call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.sources import Source
from lib.core.tokens import Tokens, concatenate
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.call import Call

_K = 5  # top logprobs per position


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a text that a model scores now, or scored earlier."""

    source: Source
    request: Request
    candidates: tuple[str, ...] = ()  # the answer that is scored after the request's prompt; empty for none
    saved: int = 0  # when a saved answer was made, in microseconds since 1970; 0 for a side that is scored now

    @property
    def call(self) -> Call:
        """The call that scores the text."""
        return Call(self.source, self.request, candidates=self.candidates)


@dataclass(frozen=True)
class ModelsPlan:
    """Two sides of one text."""

    kind: ClassVar[str] = "models"
    page: ClassVar[str] = "models"

    sides: tuple[Side, Side]

    def calls(self) -> tuple[Call, ...]:
        """One call per side. That of a saved answer is never made: `resume` has its outcome."""
        return tuple(each.call for each in self.sides)

    def title(self) -> str:
        """The text."""
        return self.sides[0].request.last_user_text


@dataclass(frozen=True, eq=False)
class SavedAnswer:
    """An answer from history, as one side of a comparison."""

    side: Side
    completion: Completion

    @property
    def answer(self) -> str:
        """The part of the text that follows the prompt; "" if the prompt is all there is."""
        text = self.completion.text
        return "" if text == self.side.request.last_user_text else text

    @property
    def text(self) -> str:
        """The text that is compared."""
        return text_of(self.side.request, self.completion)


def saved_answer(source: Source, request: Request | None, completion: Completion, created: int) -> SavedAnswer:
    """A saved answer as a side. request: None if unknown, as for a response opened from a file."""
    if request is None:
        prompt = _spelled(completion.prompt)
        request = Request(prompt=prompt if prompt.strip() else completion.text)
    return SavedAnswer(Side(source, replace(request, n=1, prefix_ids=()), saved=created), completion)


def text_of(request: Request, completion: Completion) -> str:
    """The prompt as typed and the answer, or just the answer if no prompt is known."""
    prompt = request.last_user_text
    return prompt if prompt == completion.text else prompt + completion.text


def reading_of(source: Source, text: str) -> Side:
    """The side that makes a model score `text`. Raises InvalidRequest."""
    return Side(source, Request(prompt=text, max_tokens=0, k=_K))


def same_reading(source: Source, saved: SavedAnswer) -> Side:
    """The side that makes a model score the text of a saved answer: the same prompt, followed by the answer."""
    request = replace(saved.side.request, max_tokens=0, prompt_scores=True, k=_K)
    return Side(source, request, (saved.answer,) if saved.answer else ())


def known(sides: tuple[Side | SavedAnswer, Side | SavedAnswer]) -> tuple[ModelsPlan, Batch]:
    """The plan of a comparison, and its outcome as far as it is known before any call."""
    first, second = (each.side if isinstance(each, SavedAnswer) else each for each in sides)
    outcomes = [Outcome(State.DONE, each.completion) if isinstance(each, SavedAnswer) else Outcome() for each in sides]
    return ModelsPlan((first, second)), Batch(tuple(outcomes))


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
