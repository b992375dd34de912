"""What every engine offers. Pages and scores know engines by this alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lib.completion import Completion, Delta
from lib.request import Request


@dataclass(frozen=True)
class Capabilities:
    """What a model can return. context: tokens it can read and write together; None where unknown."""

    prompt_scores: bool
    max_k: int
    ranks: bool
    chat: bool
    streaming: bool
    context: int | None


class Engine(Protocol):
    """A model that answers requests with completions."""

    @property
    def name(self) -> str:
        """The model's name as shown to the user."""

    @property
    def capabilities(self) -> Capabilities:
        """What this model can return."""

    def complete(self, request: Request) -> tuple[Completion, ...]:
        """All n samples. Raises CandorError."""

    def stream(self, request: Request) -> Iterator[Delta]:
        """The same, step by step; closing the iterator cancels the request. Raises CandorError."""

    def score(self, request: Request, continuations: Sequence[str]) -> tuple[Completion, ...]:
        """The given texts, scored as answers to the request's prompt (teacher forcing). Raises CandorError."""
