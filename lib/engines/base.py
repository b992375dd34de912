"""The protocol of engines, which is all that pages and scores know of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.stream import Delta


@dataclass(frozen=True)
class Capabilities:
    """What a model can read and return."""

    prompt_scores: bool  # logprobs of the prompt's tokens
    max_k: int  # alternatives per token
    ranks: bool  # ranks of chosen tokens
    chat: bool  # reads chats
    streaming: bool
    context: int | None  # tokens of prompt and answer together; None if unknown
    raw: bool = True  # reads raw text
    streamed_prompt_scores: bool = True  # prompt logprobs can be streamed; else they need a response in one piece


class Stream(Protocol):
    """Deltas of an answer as it is generated. Any thread may close it, which cancels the request."""

    def __iter__(self) -> Iterator[Delta]:
        """Return the stream itself."""

    def __next__(self) -> Delta:
        """Wait for the next delta. Raises CandorError; Cancelled after `close`."""

    def close(self) -> None:
        """Cancel the request unless it has finished."""

    def stop(self) -> None:
        """Stop waiting and retrying; an answer that has been paid for still arrives."""


class Engine(Protocol):
    """A model that answers requests with completions."""

    @property
    def name(self) -> str:
        """The model's name as shown to the user."""

    @property
    def capabilities(self) -> Capabilities:
        """What the model can read and return."""

    @property
    def busy(self) -> bool:
        """Whether a request is running, so that the next one may have to wait."""

    def complete(self, request: Request, *, owner: str = "") -> tuple[Completion, ...]:
        """Generate all n samples. Raises CandorError."""

    def stream(self, request: Request, *, owner: str = "", live: bool = True) -> Stream:
        """Generate the samples as a stream. Raises CandorError, here or on its first step.

        owner: the user who asks, for fair scheduling. live: whether the answer is shown as it grows; if not, it may
        arrive in one step.
        """

    def continuation_obstacle(self, request: Request) -> str:
        """Why the model can't continue from `request.prefix_ids`, as text; "" if it can. Never waits."""

    def encode_continuation(self, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
        """IDs of a text after `request.prefix_ids`, and whether a model that is sent text would read other IDs.

        Raises InvalidRequest if the text can't be encoded there.
        """

    def score(self, request: Request, continuations: Sequence[str], *, owner: str = "") -> tuple[Completion, ...]:
        """Score the texts as answers to the request's prompt (teacher forcing). Raises CandorError."""

    def score_under(self, requests: Sequence[Request], text: str, *, owner: str = "") -> tuple[Completion, ...]:
        """Score one text as the answer to each prompt. The prompts may remain unscored. Raises CandorError."""
