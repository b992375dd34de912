"""Doubts' plan: one prompt, whose answer is read for doubtful words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lib.core.request import Mode, Request, prompt_fields
from lib.core.sources import Source
from lib.jobs.call import Call


@dataclass(frozen=True)
class DoubtsPlan:
    """One call, answered once."""

    kind: ClassVar[str] = "doubts"
    page: ClassVar[str] = "doubts"

    source: Source
    prompt: str = ""
    system: str = ""  # of a chat; "" for none
    mode: Mode = Mode.CHAT
    max_tokens: int = 120
    temperature: float = 0.0
    stop: tuple[str, ...] = ()  # the answer ends before the first of these strings
    k: int = 10
    prompt_scores: bool = False  # whether the answer comes with logprobs of the prompt

    def calls(self) -> tuple[Call, ...]:
        """The call. Raises InvalidRequest."""
        request = Request(
            **prompt_fields(self.mode, self.prompt, self.system if self.mode is Mode.CHAT else ""),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            stop=self.stop,
            k=self.k,
            prompt_scores=self.prompt_scores,
        )
        return (Call(self.source, request),)

    def title(self) -> str:
        """The prompt."""
        return self.prompt
