"""Which passage each sentence of an answer leans on: the answer with all passages, and with one of them left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lib.contexts.passages import MOST_PASSAGES
from lib.contexts.prompting import closed_book, joined_passages
from lib.contexts.scorings import Scores
from lib.core.completion import Completion
from lib.core.sources import Source
from lib.core.tokens import Tokens
from lib.errors import InvalidRequest
from lib.jobs.batch import Batch, State
from lib.jobs.call import Call
from lib.scores.token_scores import answer_mask
from lib.segmentation.cells import readable, split
from lib.segmentation.sentences import parts_of
from lib.studies.contexts import ContextsPlan, scored_under

LONGEST_ANSWER = 50_000  # characters


@dataclass(frozen=True)
class LeaningPlan:
    """One call that scores the answer with all passages, and one for each passage that is left out."""

    kind: ClassVar[str] = "leaning"
    page: ClassVar[str] = "contexts"

    source: Source
    asked: ContextsPlan  # the question, the template and the passages that the answer was given from, no others
    answer: str = ""

    def calls(self) -> tuple[Call, ...]:
        """The scoring calls. Raises InvalidRequest."""
        if not self.answer.strip():
            raise InvalidRequest("There is no answer.", "Answer the question first.")
        if len(self.answer) > LONGEST_ANSWER:
            raise InvalidRequest(f"The answer has more than {LONGEST_ANSWER:,} characters.", "Shorten it.")
        if not 1 <= len(self.asked.passages) <= MOST_PASSAGES:
            raise InvalidRequest("There are no passages to leave out.", "Keep at least one.")
        if not self.asked.prompt_scores:
            raise InvalidRequest("The model doesn't return prompt logprobs.", "Choose a model that does.")
        return tuple(scored_under(self.asked, list(self._prompts()), self.answer))

    def title(self) -> str:
        """The question."""
        return self.asked.question

    def _prompts(self) -> Iterator[str]:
        texts = [each.text for each in self.asked.passages]
        yield self.asked.prompt_of(joined_passages(texts)).text
        for place in range(len(texts)):
            others = [*texts[:place], *texts[place + 1 :]]
            if others:
                yield self.asked.prompt_of(joined_passages(others)).text
            else:
                yield closed_book(self.asked.template, self.asked.question)


@dataclass(frozen=True)
class Leaning:
    """What leaving out a passage does to each sentence of an answer. s sentences, n passages."""

    sentences: tuple[str, ...]  # s
    gains: Scores  # float64[s, n], nats: how much more likely a sentence is with the passage; NaN: not known


def leaning_of(plan: LeaningPlan, batch: Batch) -> Leaning:
    """Read the outcome of a plan so far. A call that failed leaves its passage unknown."""
    number = len(plan.asked.passages)
    done = [each.completion if each.state is State.DONE else None for each in batch.outcomes]
    done += [None] * (number + 1 - len(done))
    whole = done[0]
    if whole is None:
        return Leaning((), np.empty((0, number)))
    rows = _sentences(whole)
    gains = np.full((len(rows), number), np.nan)
    for place, other in enumerate(done[1 : number + 1]):
        if other is not None and other.generated.ids.tolist() == whole.generated.ids.tolist():
            gains[:, place] = [_sum(whole.generated, each) - _sum(other.generated, each) for _, each in rows]
    return Leaning(tuple(text for text, _ in rows), gains)


def _sentences(done: Completion) -> list[tuple[str, NDArray[np.bool_]]]:
    """The sentences of an answer, each with its tokens as bool[n]. A token on a boundary belongs to the later one."""
    tokens = done.generated
    counts = answer_mask(tokens)
    cells = split(tokens.pieces, tokens.refs)
    text = readable(cells.text)
    parts = parts_of(text) if len(text) == len(cells.text) else ()
    if not parts:
        return [(done.text.strip(), counts)]
    last_character = np.repeat(np.maximum(cells.starts[1:] - 1, 0), np.diff(cells.first))
    found = []
    for each in parts:
        inside = counts & (last_character >= each.start) & (last_character < each.end)
        if inside.any():
            found.append((text[each.start : each.end].strip(), inside))
    return found


def _sum(tokens: Tokens, rows: NDArray[np.bool_]) -> float:
    return float(tokens.logprobs[rows].astype(np.float64).sum())
