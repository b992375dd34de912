"""Second looks at an answer: further samples, the model's own verdict, and the same answer after another prompt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import regex

from lib.core.branching import text_of
from lib.core.completion import Completion
from lib.core.request import Request, with_prompt
from lib.core.sources import Source
from lib.doubts.verdicts import verdict_prompt, yes_and_no
from lib.doubts.words import Terms
from lib.errors import InvalidRequest
from lib.jobs.batch import Batch, State
from lib.jobs.call import Call

MOST_SAMPLES = 20
MOST_CONTINUED = 40  # alternatives that are completed to whole words
_WORD_TOKENS = 6  # new tokens for the rest of a word
_TEMPERATURE = 1.0  # of further samples: the model's own distribution


@dataclass(frozen=True)
class SecondLooksPlan:
    """What else to ask about one answer. Each part costs its own calls; a part that is not wanted costs none."""

    kind: ClassVar[str] = "second looks"
    page: ClassVar[str] = "doubts"

    source: Source
    request: Request  # that the answer was given to
    answer: str
    samples: int = 0  # further answers to the same request
    verdict: bool = False  # whether to ask the model if the answer is correct
    other_prompt: str = ""  # the prompt without its context or question, after which the answer is scored; "" for none
    prefixes: tuple[tuple[int, ...], ...] = ()  # ids that end in the beginning of a word, to be completed

    def calls(self) -> tuple[Call, ...]:
        """Samples, verdict, the answer after both prompts, and words, in this order. Raises InvalidRequest."""
        if not (self.samples or self.verdict or self.other_prompt.strip() or self.prefixes):
            raise InvalidRequest("Nothing is chosen.", "Choose at least one second look.")
        if not 0 <= self.samples <= MOST_SAMPLES or len(self.prefixes) > MOST_CONTINUED:
            raise InvalidRequest("That is too much at once.", f"Ask for at most {MOST_SAMPLES} samples.")
        return tuple(self._calls())

    def _calls(self) -> Iterator[Call]:
        plain = replace(self.request, n=1, prefix_ids=(), seed=None)
        if self.samples:
            sampled = replace(plain, n=self.samples, temperature=_TEMPERATURE, top_p=1.0, prompt_scores=False)
            yield Call(self.source, sampled)
        if self.verdict:
            yield Call(self.source, self._asked_for_a_verdict(plain))
        if self.other_prompt.strip():
            for prompt in (self.request.last_user_text, self.other_prompt):
                scored = replace(with_prompt(plain, prompt), max_tokens=0)
                yield Call(self.source, scored, candidates=(self.answer,))
        for prefix in self.prefixes:
            short = replace(plain, max_tokens=_WORD_TOKENS, temperature=0.0, k=min(plain.k, 1), prompt_scores=False)
            yield Call(self.source, replace(short, prefix_ids=prefix))

    def _asked_for_a_verdict(self, plain: Request) -> Request:
        text = verdict_prompt(self.request.last_user_text, self.answer, chat=bool(plain.messages))
        return replace(with_prompt(plain, text), max_tokens=1, temperature=0.0, prompt_scores=False)

    def title(self) -> str:
        """The prompt of the answer."""
        return self.request.last_user_text


@dataclass(frozen=True)
class SecondLooks:
    """The outcome of second looks; a part that was not asked for, or failed, is missing."""

    samples: tuple[str, ...] = ()
    p_true: float | None = None  # p(Yes) / (p(Yes) + p(No))
    told: float | None = None  # p(Yes) + p(No): how much of the probability the two words have
    with_prompt: Completion | None = None  # the answer scored after its own prompt
    without: Completion | None = None  # the answer scored after the other prompt
    words: tuple[tuple[tuple[int, ...], str], ...] = ()  # (prefix, what completes its word)


def looks_of(plan: SecondLooksPlan, batch: Batch) -> SecondLooks:
    """Read the outcome of a plan, so far as it is there."""
    outcomes = iter(each.completion if each.state is State.DONE else None for each in batch.outcomes)

    def take(count: int) -> list[Completion | None]:
        return [next(outcomes, None) for _ in range(count)]

    samples = tuple(each.text for each in take(plan.samples) if each is not None)
    verdict = take(1)[0] if plan.verdict else None
    yes, no = (math.nan, math.nan) if verdict is None else yes_and_no(verdict)
    both = yes + no
    scored = take(2) if plan.other_prompt.strip() else [None, None]
    continued = zip(plan.prefixes, take(len(plan.prefixes)), strict=True)
    words = tuple(
        (prefix, rest_of_word(text_of(done.generated[len(prefix) :], "replace")))  # after the ids that it began with
        for prefix, done in continued
        if done is not None
    )
    return SecondLooks(
        samples,
        yes / both if both > 0 else None,
        both if both > 0 else None,
        scored[0],
        scored[1],
        words,
    )


def rest_of_word(text: str) -> str:
    """The letters and digits at the beginning of a text: the rest of a word that it continues."""
    found = _REST.match(text)
    return found[0] if found else ""


def agreement(term: str, samples: Sequence[str]) -> int:
    """In how many samples a term stands as whole words, in whatever case."""
    words = r"\s+".join(regex.escape(each) for each in term.split())
    if not words:
        return 0
    pattern = regex.compile(rf"(?<![\p{{L}}\p{{N}}]){words}(?![\p{{L}}\p{{N}}])", regex.IGNORECASE)
    return sum(pattern.search(each) is not None for each in samples)


def shift(found: SecondLooks, terms: Terms) -> list[float]:
    """Per term, nats: how much more likely it is after its own prompt than after the other; NaN where that is unknown.

    The answer is tokenized alike after both prompts, or nothing is told.
    """
    own, other = found.with_prompt, found.without
    if own is None or other is None or own.generated.ids.tolist() != other.generated.ids.tolist():
        return [math.nan] * len(terms)
    differences = own.generated.logprobs.astype(np.float64) - other.generated.logprobs.astype(np.float64)
    if len(differences) < int(terms.last.max(initial=0)):
        return [math.nan] * len(terms)
    return [
        float(differences[first:last].sum())
        for first, last in zip(terms.first.tolist(), terms.last.tolist(), strict=True)
    ]


_REST = regex.compile(r"[\p{L}\p{N}\p{M}]+(?:[.,'’-][\p{L}\p{N}]+)*")
