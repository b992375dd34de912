"""Contexts' plan: score retrieved passages cheaply, then answer from those that are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from lib.contexts.passages import MOST_PASSAGES, MOST_SCORE, Passage
from lib.contexts.prompting import TEMPLATES, Filled, Order, closed_book, filled, joined_passages, order_of
from lib.contexts.pruning import Keep
from lib.contexts.scorings import BM25, COMBINED, DRAFT, GAIN, QUESTION, SCORINGS
from lib.core.request import Mode, Request, prompt_fields
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.scores.ranking import joined

KEPT, ALL, NONE = "kept", "all", "none"  # passages that a full answer is given from
MOST_DRAFT_TOKENS = 64
MOST_QUESTION = 20_000  # characters
MOST_WEIGHT = 1_000  # of a scoring in the combination


@dataclass(frozen=True)
class ContextsPlan:
    """A question and its passages, how they are scored, and which answers follow."""

    kind: ClassVar[str] = "contexts"
    page: ClassVar[str] = "contexts"

    source: Source
    question: str = ""
    passages: tuple[Passage, ...] = ()
    template: str = TEMPLATES[Order.PASSAGE_FIRST]
    mode: Mode = Mode.RAW
    system: str = ""  # of a chat; "" for none
    scorings: tuple[str, ...] = (QUESTION, DRAFT)  # names in SCORINGS; free ones cost no call
    answer: str = ""  # that GAIN scores with each passage and without any
    draft_tokens: int = 8
    by: str = QUESTION  # the scoring that decides what is kept, or COMBINED
    weights: tuple[tuple[str, float], ...] = ()  # of scorings in the combination
    keep: Keep = field(default_factory=Keep)
    answers: tuple[str, ...] = ()  # of KEPT, ALL and NONE (closed book); empty scores the passages only
    max_tokens: int = 60  # of an answer
    stop: tuple[str, ...] = ()  # ends an answer
    context: int = 0  # tokens of passages that the prompt of an answer has room for; 0 for no limit
    cut: tuple[str, ...] = ()  # ids of passages whose end was left out, to fit into the model's context
    k: int = 5
    prompt_scores: bool = True  # whether the model returns logprobs of prompts; if not, only drafts are generated

    def calls(self) -> tuple[Call, ...]:
        """The scoring calls: by passage the draft, the question after it, and the answer as a candidate.

        Where the template has the passage before the question, one call by passage has the draft and the question's
        logprobs. Raises InvalidRequest.
        """
        self.check()
        return (*self._prompts(), *self._questions(), *self._gains())

    def check(self) -> None:
        """Raise InvalidRequest if a field is invalid."""
        if not self.question.strip():
            raise InvalidRequest("There is no question.", "Type a question.")
        if len(self.question) > MOST_QUESTION:
            raise InvalidRequest(f"The question has more than {MOST_QUESTION:,} characters.", "Shorten it.")
        if not self.passages:
            raise InvalidRequest("There are no passages.", "Paste some, or choose a file.")
        if len(self.passages) > MOST_PASSAGES:
            raise InvalidRequest(f"There are more than {MOST_PASSAGES} passages.", "Leave out some of them.")
        if len({each.id for each in self.passages}) < len(self.passages):
            raise InvalidRequest("Two passages have the same id.", "Give each passage an id of its own.")
        if unknown := {*self.scorings, *(name for name, _ in self.weights)} - set(SCORINGS):
            raise InvalidRequest(f"There is no scoring “{min(unknown)}”.", f"There are {', '.join(SCORINGS)}.")
        if not self.scorings:
            raise InvalidRequest("No scoring is chosen.", "Choose at least one.")
        if not all(0 <= weight <= MOST_WEIGHT for _, weight in self.weights):  # not of NaN either
            raise InvalidRequest(f"A weight is not between 0 and {MOST_WEIGHT:,}.", "Change the weights.")
        if not all(each.score is None or abs(each.score) <= MOST_SCORE for each in self.passages):
            raise InvalidRequest("A retriever's score is not a number, or too large.", "Leave that score out.")
        if self.by not in self.scorings and not (self.by == COMBINED and self.weights):
            raise InvalidRequest("The scoring to rank by is not selected.", "Select it, or rank by another.")
        if not 1 <= self.draft_tokens <= MOST_DRAFT_TOKENS:
            raise InvalidRequest(f"A draft has 1 to {MOST_DRAFT_TOKENS} tokens.", "Change its length.")
        if set(self.answers) - {KEPT, ALL, NONE}:
            raise InvalidRequest("The passages of an answer are unknown.", "Score the passages again.")
        if GAIN in self.scorings and not self.answer.strip():
            raise InvalidRequest("The answer gain needs an answer.", "Type one, or get the model's answer.")
        if not self.prompt_scores and not {*self.scorings} - {QUESTION, GAIN}:
            raise InvalidRequest("The model doesn't return prompt logprobs.", "Choose draft confidence as well.")
        if self.context < 0 or not math.isfinite(self.keep.value):
            raise InvalidRequest("The number of passages, score or tokens to keep is invalid.", "Change the rule.")
        filled(self.template, "", self.question)
        self.then_at_most()  # raises if an answer's settings are out of bounds

    def title(self) -> str:
        """The question."""
        return self.question

    @property
    def asks_prompts(self) -> bool:
        """Whether there is a call by passage with the template's prompt."""
        return DRAFT in self.scorings or self.question_in_prompt

    @property
    def question_in_prompt(self) -> bool:
        """Whether the question's logprobs come with the template's prompt."""
        return self._scores(QUESTION) and order_of(self.template) is Order.PASSAGE_FIRST

    @property
    def question_alone(self) -> bool:
        """Whether the question is scored in prompts of its own, because the template has it first."""
        return self._scores(QUESTION) and not self.question_in_prompt

    @property
    def gains(self) -> bool:
        """Whether an answer is scored with each passage and without any."""
        return self._scores(GAIN)

    def prompt_of(self, passage: str) -> Filled:
        """The template's prompt for a passage, or for several that are joined."""
        return filled(self.template, passage, self.question)

    def question_after(self, passage: str) -> Filled:
        """The prompt in which the question is scored after a passage."""
        template = self.template if self.question_in_prompt else TEMPLATES[Order.PASSAGE_FIRST]
        return filled(template, passage, self.question)

    def then(self, outcome: Batch) -> tuple[Call, ...]:
        """The full answers, each prompt once: from the kept passages, from all, and without any."""
        from lib.studies.contexts_outcome import answer_prompts  # which reads outcomes of this plan

        prompts = answer_prompts(self, outcome)
        return tuple(self.answer_call(text) for text in dict.fromkeys(prompts.values()))

    def then_at_most(self) -> tuple[Call, ...]:
        """Answers that take as much as the further ones can: from all passages instead of from those that are kept."""
        everything = self.prompt_of(joined_passages([each.text for each in self.passages])).text
        alone = closed_book(self.template, self.question)
        return tuple(self.answer_call(alone if each == NONE else everything) for each in self.answers)

    def request(self, text: str, max_tokens: int, *, scored: bool = False) -> Request:
        """A request of this plan's kind. scored: whether the prompt's logprobs are wanted."""
        return Request(
            **prompt_fields(self.mode, text, self.system if self.mode is Mode.CHAT else ""),
            max_tokens=max_tokens,
            stop=self.stop if max_tokens else (),
            k=self.k,
            prompt_scores=scored,
        )

    def answer_call(self, text: str) -> Call:
        """The call for a full answer to a prompt."""
        return Call(self.source, self.request(text, self.max_tokens))

    def _scores(self, name: str) -> bool:
        return name in self.scorings and self.prompt_scores

    def _prompts(self) -> Iterator[Call]:
        if self.asks_prompts:
            new = self.draft_tokens if DRAFT in self.scorings else 0
            for each in self.passages:
                yield Call(self.source, self._scoring(self.prompt_of(each.text), new))

    def _questions(self) -> Iterator[Call]:
        for each in self.passages if self.question_alone else ():
            yield Call(self.source, self._scoring(self.question_after(each.text), 0))

    def _scoring(self, prompt: Filled, max_tokens: int) -> Request:
        """Of the prompt, only the question and what follows need scores."""
        scored = self._scores(QUESTION) and prompt.passage < prompt.question
        request = self.request(prompt.text, max_tokens, scored=scored)
        return replace(request, scores_from=prompt.question[0] if scored else 0)

    def _gains(self) -> Iterator[Call]:
        if self.gains:
            texts = [self.prompt_of(each.text).text for each in self.passages]
            yield from scored_under(self, [*texts, closed_book(self.template, self.question)], self.answer)


def answering_first(plan: ContextsPlan) -> ContextsPlan:
    """The plan without the answer gain, but with the model's answer from all passages, which can then be scored."""
    others = tuple(name for name in plan.scorings if name != GAIN) or (BM25,)  # which costs no call
    weights = tuple(each for each in plan.weights if each[0] in others)
    by = plan.by if plan.by in others or (plan.by == COMBINED and weights) else others[0]
    return replace(plan, scorings=others, answer="", by=by, weights=weights, answers=(ALL,))


def scored_by(plan: ContextsPlan, answer: str) -> ContextsPlan:
    """The plan with the gain of an answer among its scorings. It ranks as before."""
    scorings = plan.scorings if GAIN in plan.scorings else (*plan.scorings, GAIN)
    weights = dict(plan.weights or dict.fromkeys(scorings, 1.0))
    weights.setdefault(GAIN, 0.0 if plan.by == COMBINED else 1.0)
    return replace(plan, scorings=scorings, answer=answer.strip(), weights=tuple(weights.items()))


def scored_under(plan: ContextsPlan, prompts: Sequence[str], answer: str) -> Iterator[Call]:
    """Calls that score one answer after several prompts."""
    for text in prompts:
        request = replace(plan.request(text, 0), stop=())
        yield Call(plan.source, request, candidates=(joined(request.prompt or "", answer),))
