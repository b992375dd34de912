"""What in a prompt helped an answer: one text scored after several prompts, and after one with each part left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.jobs.batch import Many
from lib.jobs.plan import Several
from lib.jobs.run import Question
from lib.scores.token_scores import Column, answer_mask
from lib.segmentation.sentences import Part, parts_of, without


def usefulness(page: str, questions: Sequence[Question], own: int, answer: str) -> Several:
    """Asks how likely `answer`, which question number `own` had, is after each of the prompts, and after its own prompt
    without each of its parts. marks: how many prompts there are, and which of them is its own.
    """
    scored = [
        replace(each, request=_scoring(each.request, each.request.last_user_text), candidates=(answer,))
        for each in questions
    ]
    prompt = questions[own].request.last_user_text
    left = [without(prompt, part) for part in _parts(prompt)]
    fewer = [replace(scored[own], request=_scoring(questions[own].request, text)) for text in left]
    return Several(page, (*scored, *fewer), (len(questions), own))


def _parts(prompt: str) -> tuple[Part, ...]:
    """Those without which something is left."""
    return tuple(part for part in parts_of(prompt) if without(prompt, part).strip())


def _scoring(request: Request, prompt: str) -> Request:
    """The same request with another prompt, to score a text and not to write one."""
    if request.messages:
        said = (*request.messages[:-1], Message(request.messages[-1].role, prompt))
        return replace(request, messages=said, max_tokens=0, n=1)
    return replace(request, prompt=prompt, max_tokens=0, n=1)


@dataclass(frozen=True, eq=False)
class Helped:
    """What `usefulness` found out.

    prompts: the texts of all prompts. own: the number of the one whose answer it is. under: the answer scored after
    each, None where that failed. parts: of its own prompt. falls: float64[m], nats: by how much the answer's likelihood
    falls when a part is left out; below 0 where it is likelier without. NaN where that could not be scored.
    """

    prompts: tuple[str, ...]
    own: int
    under: tuple[Completion | None, ...]
    parts: tuple[Part, ...]
    falls: Column


def helped(several: Several, many: Many[Completion]) -> Helped | None:
    """None where `several` does not come from `usefulness`."""
    if len(several.marks) != 2 or not all(each.candidates for each in several.questions):
        return None
    count, own = several.marks
    results = [each.result for each in many.outcomes]
    if not 0 <= own < count <= len(several.questions) or len(results) != len(several.questions):
        return None
    prompts = tuple(each.request.last_user_text for each in several.questions[:count])
    parts = _parts(prompts[own])
    if len(parts) != len(results) - count:
        return None
    whole = _total(results[own])
    falls = np.array([whole - _total(done) for done in results[count:]], np.float64)
    return Helped(prompts, own, tuple(results[:count]), parts, falls)


def _total(done: Completion | None) -> float:
    """The sum of the answer's logprobs; NaN where it is not known."""
    if done is None:
        return float("nan")
    return float(done.generated.logprobs[answer_mask(done.generated)].astype(np.float64).sum())
