"""What every engine offers. Pages and scores know engines by this alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.stream import Delta


@dataclass(frozen=True)
class Capabilities:
    """What a model can return, and read.

    context: tokens it can read and write together; None where unknown. chat, raw: whether it reads chats and raw text.
    streamed_prompt_scores: whether prompt scores can come with a stream, and not only with an answer in one piece.
    """

    prompt_scores: bool
    max_k: int
    ranks: bool
    chat: bool
    streaming: bool
    context: int | None
    raw: bool = True
    streamed_prompt_scores: bool = True


class Stream(Protocol):
    """Deltas as they come. Any thread may close it, which cancels the request."""

    def __iter__(self) -> Iterator[Delta]:
        """Itself."""

    def __next__(self) -> Delta:
        """The next delta, waiting for it. Raises CandorError; Cancelled after `close`."""

    def close(self) -> None:
        """Cancel the request, if it is not over."""

    def stop(self) -> None:
        """Wait for nothing any more; an answer that has been paid for still comes."""


class Engine(Protocol):
    """A model that answers requests with completions."""

    @property
    def name(self) -> str:
        """The model's name as shown to the user."""

    @property
    def capabilities(self) -> Capabilities:
        """What this model can return."""

    @property
    def busy(self) -> bool:
        """Whether a request of somebody's is being worked on, so that the next one may have to wait."""

    def complete(self, request: Request, *, owner: str = "") -> tuple[Completion, ...]:
        """All n samples. Raises CandorError."""

    def stream(self, request: Request, *, owner: str = "", live: bool = True) -> Stream:
        """The same, step by step. Raises CandorError, or its first step does.

        owner: whoever asks, so that all get their turn. live: whether somebody watches it grow; where nobody does, it
        may come in one step.
        """

    def continuation_obstacle(self, request: Request) -> str:
        """Why the model cannot go on from `request.prefix_ids`, in words; "" where it can. Never waits."""

    def encode_continuation(self, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
        """Ids of a text put after `request.prefix_ids`, and whether a model that is sent text would read others.

        Raises InvalidRequest where they cannot be had.
        """

    def score(self, request: Request, continuations: Sequence[str], *, owner: str = "") -> tuple[Completion, ...]:
        """The given texts, scored as answers to the request's prompt (teacher forcing). Raises CandorError."""

    def score_under(self, requests: Sequence[Request], text: str, *, owner: str = "") -> tuple[Completion, ...]:
        """One text, scored as the answer to each of several prompts, which themselves may stay unscored.

        Raises CandorError.
        """
