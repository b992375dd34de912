"""A fixed set of labels, scored as answers to the prompt of an answer, and after a prompt without a question."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from lib.core.request import Request, with_prompt
from lib.core.sources import Source
from lib.doubts.choices import Distribution, candidates_of, checked_labels, distribution
from lib.jobs.batch import Batch
from lib.jobs.call import Call


@dataclass(frozen=True)
class LabelsPlan:
    """One call that scores all labels; another for how likely they are by themselves."""

    kind: ClassVar[str] = "labels"
    page: ClassVar[str] = "doubts"

    source: Source
    request: Request  # that the answer was given to
    labels: tuple[str, ...] = ()
    neutral_prompt: str = ""  # a prompt without a question, whose probabilities are divided by; "" for no correction
    end: str = ""  # a text that ends every label, so that one that begins another is told from it

    def calls(self) -> tuple[Call, ...]:
        """The scoring calls. Raises InvalidRequest for labels that are too few, empty or the same."""
        prompts = [self.request.last_user_text, *([self.neutral_prompt] if self.neutral_prompt.strip() else [])]
        made = []
        for prompt in prompts:
            asked = replace(with_prompt(self.request, prompt), n=1, max_tokens=0, prefix_ids=())
            texts = candidates_of(asked.prompt or "", self.labels, self.end)
            made.append(Call(self.source, asked, candidates=texts))
        return tuple(made)

    def title(self) -> str:
        """The prompt of the answer."""
        return self.request.last_user_text


def distribution_of(plan: LabelsPlan, batch: Batch) -> Distribution | None:
    """The distribution over the labels; None until all of them are scored."""
    count = len(checked_labels(plan.labels))
    done = [each.completion for each in batch.outcomes]
    scored = [each for each in done[:count] if each is not None]
    prior = [each for each in done[count:] if each is not None]
    if len(scored) < count or len(prior) not in (0, count):
        return None
    return distribution(plan.labels, scored, prior, end=plan.end)
