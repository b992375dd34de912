"""Leave-one-out ablation of a prompt: the same answer scored after several prompts, and with each sentence removed."""

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
    """The plan that scores `answer` after each prompt, and after its own prompt without each of its parts.

    questions: one for each prompt. own: the number of the prompt that `answer` was sampled from.
    """
    scored = [
        replace(each, request=_scoring(each.request, each.request.last_user_text), candidates=(answer,))
        for each in questions
    ]
    prompt = questions[own].request.last_user_text
    shortened = [without(prompt, part) for part in _parts(prompt)]
    ablated = [replace(scored[own], request=_scoring(questions[own].request, text)) for text in shortened]
    return Several(page, (*scored, *ablated), (len(questions), own))


def _parts(prompt: str) -> tuple[Part, ...]:
    """The parts of a prompt that can be removed without leaving it empty."""
    return tuple(part for part in parts_of(prompt) if without(prompt, part).strip())


def _scoring(request: Request, prompt: str) -> Request:
    """The request with another prompt, for scoring: it generates no tokens."""
    if request.messages:
        messages = (*request.messages[:-1], Message(request.messages[-1].role, prompt))
        return replace(request, messages=messages, max_tokens=0, n=1)
    return replace(request, prompt=prompt, max_tokens=0, n=1)


@dataclass(frozen=True, eq=False)
class Helped:
    """The outcome of `usefulness`."""

    prompts: tuple[str, ...]
    own: int  # the number of the prompt that the answer was sampled from
    by_prompt: tuple[Completion | None, ...]  # the answer scored after each prompt; None if that failed
    parts: tuple[Part, ...]  # of its own prompt
    # float64[len(parts)], nats: how far the answer's logprob drops without each part. Negative if the answer is more
    # likely without it, NaN if that could not be scored.
    logprob_drops: Column


def helped(several: Several, many: Many[Completion]) -> Helped | None:
    """Read the outcome; None if `several` is not a plan of `usefulness`."""
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
    full = _total(results[own])
    drops = np.array([full - _total(done) for done in results[count:]], np.float64)
    return Helped(prompts, own, tuple(results[:count]), parts, drops)


def _total(done: Completion | None) -> float:
    """The sum of the answer's logprobs in nats; NaN if it could not be scored."""
    if done is None:
        return float("nan")
    return float(done.generated.logprobs[answer_mask(done.generated)].astype(np.float64).sum())
