"""Leave-one-out ablation of a prompt: the same answer scored after several prompts, and with each sentence removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lib.core.completion import Completion
from lib.core.request import Request, with_prompt
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.scores.token_scores import Column, answer_mask
from lib.segmentation.sentences import Part, parts_of, without


@dataclass(frozen=True)
class AblationPlan:
    """An answer, scored after each prompt and after its own prompt without each of its parts."""

    kind: ClassVar[str] = "ablation"
    page: ClassVar[str] = "prompts"

    source: Source
    requests: tuple[Request, ...]  # one per prompt
    own: int  # the number of the prompt that the answer was sampled from
    answer: str

    def calls(self) -> tuple[Call, ...]:
        """One call per prompt, then one per part of the answer's own prompt. Raises InvalidRequest."""
        if not 0 <= self.own < len(self.requests):
            raise InvalidRequest("The answer belongs to none of the prompts.", "Choose an answer of the comparison.")
        own = self.requests[self.own]
        scored = [_scoring(each, each.last_user_text) for each in self.requests]
        shortened = [_scoring(own, without(own.last_user_text, part)) for part in self.parts]
        return tuple(Call(self.source, each, candidates=(self.answer,)) for each in (*scored, *shortened))

    def title(self) -> str:
        """The first prompt."""
        return self.requests[0].last_user_text

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the answer's own prompt that can be removed without leaving it empty."""
        prompt = self.requests[self.own].last_user_text
        return tuple(part for part in parts_of(prompt) if without(prompt, part).strip())


def _scoring(request: Request, prompt: str) -> Request:
    """The request with another prompt, for scoring: it generates no tokens."""
    return replace(with_prompt(request, prompt), max_tokens=0, n=1)


@dataclass(frozen=True, eq=False)
class Helped:
    """The outcome of an ablation."""

    prompts: tuple[str, ...]
    own: int  # the number of the prompt that the answer was sampled from
    by_prompt: tuple[Completion | None, ...]  # the answer scored after each prompt; None if that failed
    parts: tuple[Part, ...]  # of its own prompt
    # float64[len(parts)], nats: how far the answer's logprob drops without each part. Negative if the answer is more
    # likely without it, NaN if that could not be scored.
    logprob_drops: Column


def helped(plan: AblationPlan, batch: Batch) -> Helped | None:
    """Read the outcome; None if it is not one of this plan."""
    results: Sequence[Completion | None] = [each.completion for each in batch.outcomes]
    count, parts = len(plan.requests), plan.parts
    if len(results) != count + len(parts):
        return None
    full = _total(results[plan.own])
    drops = np.array([full - _total(done) for done in results[count:]], np.float64)
    prompts = tuple(each.last_user_text for each in plan.requests)
    return Helped(prompts, plan.own, tuple(results[:count]), parts, drops)


def _total(done: Completion | None) -> float:
    """The sum of the answer's logprobs in nats; NaN if it could not be scored."""
    if done is None:
        return float("nan")
    return float(done.generated.logprobs[answer_mask(done.generated)].astype(np.float64).sum())
