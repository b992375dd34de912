"""The plans of `candor evaluate-contexts`: labelled questions whose passages are scored, and answers from the best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np

from lib.contexts.labelled import Labelled
from lib.contexts.prompting import TEMPLATES, Order, check_template
from lib.contexts.recall import ScoredQuestion
from lib.contexts.scorings import BM25, DRAFT, GAIN, QUESTION, RETRIEVER
from lib.core.request import Mode, Request, prompt_fields
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.call import Call
from lib.studies.contexts import ALL, ContextsPlan
from lib.studies.contexts_outcome import scored_of

MOST_TOKENS = 512  # of an answer


def stop_of(mode: Mode) -> tuple[str, ...]:
    """What ends drafts and answers: of a raw prompt, a blank line."""
    return () if mode is Mode.CHAT else ("\n\n",)


@dataclass(frozen=True)
class ContextsSetPlan:
    """Questions with one right passage each. The gain is that of the model's own answer, from all passages."""

    kind: ClassVar[str] = "contexts set"
    page: ClassVar[str] = "evaluate-contexts"

    source: Source
    questions: tuple[Labelled, ...] = ()
    template: str = TEMPLATES[Order.PASSAGE_FIRST]
    mode: Mode = Mode.RAW
    gain: bool = True  # whether the answer gain is measured, which takes an answer and further calls
    prompt_scores: bool = True  # whether the model returns logprobs of prompts; if not, there is no gain
    draft_tokens: int = 8
    max_tokens: int = 16  # of the answer whose gain is measured

    def calls(self) -> tuple[Call, ...]:
        """By question, the calls that score its passages, and the answer from all of them. Raises InvalidRequest."""
        check_template(self.template)
        if not self.questions:
            raise InvalidRequest("There is nothing to ask.", "Choose a part that has questions.")
        if not 1 <= self.max_tokens <= MOST_TOKENS:
            raise InvalidRequest(f"An answer has 1 to {MOST_TOKENS} tokens.", "Change its length.")
        return tuple(call for each in self.questions for call in self._first(each))

    def then(self, outcome: Batch) -> tuple[Call, ...]:
        """The calls that measure the gain of each question's answer; none for questions without one."""
        if not self._gains:
            return ()
        answers = [answer for _, answer in self._answered(iter(outcome.outcomes))]
        return tuple(
            call
            for each, answer in zip(self.questions, answers, strict=True)
            if answer
            for call in self._gain_of(each, answer).calls()
        )

    def then_at_most(self) -> tuple[Call, ...]:
        """The calls for an answer of the greatest length to each question."""
        longest = "x" * 4 * self.max_tokens
        return tuple(call for each in self.questions if self._gains for call in self._gain_of(each, longest).calls())

    def title(self) -> str:
        """The number of questions."""
        return f"Sets of contexts, {len(self.questions):,} questions"

    def scored(self, batch: Batch) -> list[ScoredQuestion]:
        """Each question with its scores, as far as they are known."""
        outcomes = iter(batch.outcomes)
        found = list(self._answered(outcomes))
        made = []
        for about, (first, answer) in zip(self.questions, found, strict=True):
            scored = scored_of(self.plan_of(about), first)
            scores = dict(scored.scores)
            if self._gains:
                scores[GAIN] = np.full(len(about.passages), np.nan)
            if self._gains and answer:
                own = self._gain_of(about, answer)
                scores[GAIN] = scored_of(own, Batch(_next(outcomes, len(about.passages) + 1))).scores[GAIN]
            if any(each.score is not None for each in about.passages):
                scores[RETRIEVER] = np.array([np.nan if p.score is None else p.score for p in about.passages])
            drafts = tuple("" if each is None else each.text for each in scored.drafts)
            made.append(ScoredQuestion(about, scores, scored.tokens, answer, drafts))
        return made

    def plan_of(self, about: Labelled) -> ContextsPlan:
        """The plan that scores the passages of one question."""
        return self._plan(about, (QUESTION, DRAFT, BM25) if self.prompt_scores else (DRAFT, BM25))

    @property
    def _gains(self) -> bool:
        return self.gain and self.prompt_scores

    def _plan(self, about: Labelled, scorings: tuple[str, ...], answer: str = "") -> ContextsPlan:
        return ContextsPlan(
            self.source,
            about.question,
            about.passages,
            self.template,
            self.mode,
            scorings=scorings,
            answer=answer,
            draft_tokens=self.draft_tokens,
            by=scorings[0],
            answers=(ALL,) if self._gains and not answer else (),
            max_tokens=self.max_tokens,
            stop=stop_of(self.mode),
            k=0,
            prompt_scores=self.prompt_scores,
        )

    def _gain_of(self, about: Labelled, answer: str) -> ContextsPlan:
        return self._plan(about, (GAIN,), answer)

    def _first(self, about: Labelled) -> Iterator[Call]:
        plan = self.plan_of(about)
        yield from plan.calls()
        yield from plan.then_at_most()  # the answer from all passages, which is known before they are scored

    def _answered(self, outcomes: Iterator[Outcome]) -> Iterator[tuple[Batch, str]]:
        """Of each question the outcomes of its scoring calls, and the answer whose gain is measured."""
        for each in self.questions:
            plan = self.plan_of(each)
            batch = Batch(_next(outcomes, len(plan.calls())))
            (whole,) = _next(outcomes, 1) if self._gains else (Outcome(),)
            yield batch, self._answer(plan, batch, whole) if self._gains else ""

    def _answer(self, plan: ContextsPlan, batch: Batch, whole: Outcome) -> str:
        """The answer from all passages, or the first draft with a text if that is empty; "" for neither."""
        outcomes = (whole, *batch.outcomes[: len(plan.passages)])
        texts = [done.text for each in outcomes if each.state is State.DONE and (done := each.completion) is not None]
        return next((each for each in texts if each.strip()), "")


@dataclass(frozen=True)
class ContextsAnswersPlan:
    """Prompts for full answers from the best passages, from all, and without any."""

    kind: ClassVar[str] = "contexts answers"
    page: ClassVar[str] = "evaluate-contexts"

    source: Source
    prompts: tuple[str, ...] = ()
    mode: Mode = Mode.RAW
    max_tokens: int = 16

    def calls(self) -> tuple[Call, ...]:
        """One call per prompt, at temperature 0. Raises InvalidRequest."""
        if not self.prompts:
            raise InvalidRequest("There is nothing to ask.", "Choose a part whose questions have expected answers.")
        return tuple(Call(self.source, self._request(each)) for each in self.prompts)

    def title(self) -> str:
        """The number of prompts."""
        return f"Answers from the best passages, {len(self.prompts):,} prompts"

    def _request(self, prompt: str) -> Request:
        return Request(
            **prompt_fields(self.mode, prompt),
            max_tokens=self.max_tokens,
            stop=stop_of(self.mode),
            temperature=0.0,
            k=0,
            prompt_scores=False,
        )


def _next(outcomes: Iterator[Outcome], number: int) -> tuple[Outcome, ...]:
    found = tuple(islice(outcomes, number))
    return found + (Outcome(),) * (number - len(found))
