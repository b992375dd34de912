"""Rank's plan: samples of a model and candidates of the user's own, after the same prompt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from lib.core.request import Mode, Request, prompt_fields
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.jobs.call import Call
from lib.scores.ranking import joined

MAX_CANDIDATES = 64


@dataclass(frozen=True)
class RankPlan:
    """The prompt, and the answers to rank."""

    kind: ClassVar[str] = "rank"
    page: ClassVar[str] = "rank"

    source: Source
    prompt: str = ""
    candidates: tuple[str, ...] = ()  # as typed
    mode: Mode = Mode.CHAT
    samples: int = 4  # 0 ranks the candidates only
    max_tokens: int = 40
    temperature: float = 1.0
    k: int = 5
    prompt_scores: bool = True  # whether the model returns logprobs of prompts

    def calls(self) -> tuple[Call, ...]:
        """One call for the samples and one for the candidates. Raises InvalidRequest."""
        if not self.samples and not self.candidates:
            raise InvalidRequest("There is nothing to rank.", "Set Samples to 1 or more, or add candidates.")
        if len(self.candidates) > MAX_CANDIDATES:
            raise InvalidRequest(f"There are {len(self.candidates)} candidates.", f"Keep at most {MAX_CANDIDATES}.")
        request = Request(
            **prompt_fields(self.mode, self.prompt),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            k=self.k,
            prompt_scores=self.prompt_scores,
            n=max(self.samples, 1),
        )
        sampled = (Call(self.source, request),) if self.samples else ()
        if not self.candidates:
            return sampled
        texts = tuple(joined(request.prompt or "", text) for text in self.candidates)
        return (*sampled, Call(self.source, replace(request, n=1, max_tokens=0), candidates=texts))

    def title(self) -> str:
        """The prompt."""
        return self.prompt
