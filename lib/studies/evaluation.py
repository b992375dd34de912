"""Evaluate's plan: labelled questions for a model, or for several models or prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from lib.core.request import Mode, Request, prompt_fields
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.evaluation.dataset import Question, Task
from lib.evaluation.grading import Grader
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.scores.confidence import CHOICE, SCORES
from lib.scores.ranking import joined


@dataclass(frozen=True)
class Variant:
    """Another model, or another prompt, for the same questions."""

    source: Source
    prompts: tuple[str, ...] = ()  # of each question; empty for the same ones
    mode: Mode = Mode.RAW
    k: int = 5
    prompt_scores: bool = True  # whether the model returns logprobs of prompts
    name: str = ""  # such as the prompt's template; "" if the model says it


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
    by_length: bool = False  # of CHOICE: compare logprobs per character, so that short choices gain nothing
    label: str = ""  # of the prompt, where several are compared
    others: tuple[Variant, ...] = ()  # to compare with
    template: str = ""  # that the prompts were made from; "" if unknown

    def calls(self) -> tuple[Call, ...]:
        """For each variant, one call per question; then, with a prior, one per distinct set of choices.

        Raises InvalidRequest.
        """
        if not self.questions:
            raise InvalidRequest("There is nothing to ask.", "Choose a file with a row for each question.")
        return tuple(call for plan in self.variants() for call in plan._calls())

    def _calls(self) -> Iterator[Call]:
        yield from map(self._call, self.questions)
        yield from (self._scored(self.prior, choices) for choices in self.choice_sets())

    def title(self) -> str:
        """The name of the file and the number of questions."""
        return f"{self.name or 'Questions'}, {len(self.questions):,} rows"

    def settings(self) -> dict[str, str]:
        """How the questions are asked and graded, by name, for a report of this plan alone."""
        found = {"model": self.source.name, "task": str(self.task)}
        if self.task is not Task.TEXT:
            found["mode"] = str(self.mode)
        if self.template:
            found["prompt"] = self.template
        if self.task is Task.SHORT:
            found |= {"rule": self.grader.in_words(), "max new tokens": f"{self.max_tokens:,}"}
        if self.task is Task.CHOICE:
            found |= {"prior prompt": self.prior} if self.prior.strip() else {}
            found |= {"compared": "per character"} if self.by_length else {}
        return found

    @property
    def states_rightness(self) -> bool:
        """Whether the probability that the model gives its answer is that of being right, as far as it knows.

        Not if an answer may be right in many wordings: then it is the probability of one of them.
        """
        return self.task is not Task.SHORT or self.grader.compares_whole

    def variants(self) -> tuple[EvaluatePlan, ...]:
        """The plan of each model or prompt alone; the first is this one without the others. Raises InvalidRequest."""
        return (replace(self, others=()), *map(self._variant, self.others))

    def _variant(self, other: Variant) -> EvaluatePlan:
        questions = self.questions
        if other.prompts:
            if len(other.prompts) != len(questions):
                raise InvalidRequest("A prompt to compare with lacks rows.", "Run the evaluation again.")
            questions = tuple(
                replace(each, prompt=prompt) for each, prompt in zip(questions, other.prompts, strict=True)
            )
        return replace(
            self, source=other.source, questions=questions, mode=other.mode, k=other.k,
            prompt_scores=other.prompt_scores, label=other.name, others=(),
            template=other.name if other.prompts else self.template,
        )  # fmt: skip

    def parts(self, batch: Batch) -> tuple[Batch, ...]:
        """The outcomes of each variant."""
        size = sum(len(each.choices) if self.task is Task.CHOICE else 1 for each in self.questions)
        size += sum(map(len, self.choice_sets()))
        return tuple(
            replace(batch, outcomes=batch.outcomes[place * size : (place + 1) * size])
            for place in range(1 + len(self.others))
        )

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


def scores_of(task: Task) -> tuple[str, ...]:
    """The names of the scores that can tell confidence in a task, the usual one first."""
    return (CHOICE, *SCORES) if task is Task.CHOICE else tuple(SCORES)
