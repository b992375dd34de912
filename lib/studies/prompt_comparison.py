"""Prompts' plan: two to four prompts for the same model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lib.core.request import Mode, Request, prompt_fields
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.jobs.call import Call

MAX_PROMPTS = 4


@dataclass(frozen=True)
class PromptsPlan:
    """The prompts, and how each is answered."""

    kind: ClassVar[str] = "prompts"
    page: ClassVar[str] = "prompts"

    source: Source
    prompts: tuple[str, ...] = ()  # blank ones are left out
    mode: Mode = Mode.CHAT
    max_tokens: int = 40
    temperature: float = 0.0
    samples: int = 5  # per prompt; at temperature 0 all are identical, so that there is one
    k: int = 10
    prompt_scores: bool = True  # whether the model returns logprobs of prompts

    def calls(self) -> tuple[Call, ...]:
        """One call per prompt. Raises InvalidRequest unless there are two to four different prompts."""
        prompts = [prompt for prompt in self.prompts if prompt.strip()]
        if len(prompts) < 2:
            raise InvalidRequest(
                "There is only one prompt." if prompts else "There is no prompt.", "Type at least two."
            )
        if len(prompts) > MAX_PROMPTS:
            raise InvalidRequest(f"There are {len(prompts)} prompts.", f"Keep at most {MAX_PROMPTS}.")
        if len(set(prompts)) < len(prompts):
            raise InvalidRequest("Two of the prompts are the same.", "Change one of them, or clear it.")
        return tuple(Call(self.source, self._request(prompt)) for prompt in prompts)

    def title(self) -> str:
        """The first prompt."""
        return next((prompt for prompt in self.prompts if prompt.strip()), "")

    def _request(self, prompt: str) -> Request:
        return Request(
            **prompt_fields(self.mode, prompt),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            k=self.k,
            prompt_scores=self.prompt_scores,
            n=self.samples if self.temperature else 1,
        )
