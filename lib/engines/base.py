"""The protocol of engines, which is all that jobs, pages and scores know of them.

Every engine has an `Engine`'s five members. What only some can do is a protocol of its own, which the functions below
ask for: `Continues`, `ScoresUnderPrompts`, `CountsTokens`, `Resident`, `Fingerprinted` and `Wakes`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lib.core.completion import Completion
from lib.core.request import MAX_K, Request
from lib.core.stream import Delta, fold
from lib.errors import InvalidRequest


@dataclass(frozen=True)
class Capabilities:
    """What a model reads and returns in one mode, chat or raw."""

    prompt_scores: bool = True  # logprobs of the prompt's tokens
    streamed_prompt_scores: bool = True  # these come with a stream, too; else only with a response in one piece
    scores_candidates: bool = True  # logprobs of supplied answers
    max_k: int = MAX_K  # alternatives per token
    ranks: bool = True  # ranks of chosen tokens
    seeded: bool = True  # a seed reaches the model


@dataclass(frozen=True)
class Unsupported:
    """Why a model cannot be used in a mode."""

    reason: str  # a sentence for the user


@dataclass(frozen=True)
class Window:
    """How many tokens a model takes, and how many a prompt has."""

    context: int  # tokens of prompt and answer together
    count: Callable[[Request], int]  # tokens of a request's prompt, however many they are; raises CandorError


def _ignore(note: str) -> None:
    """Take no notes."""


@dataclass(frozen=True)
class CallContext:
    """What an engine is told beside the request."""

    owner: str = ""  # the user who asks, for fair scheduling
    live: bool = True  # whether the answer is shown as it grows; if not, it may arrive in one step
    on_note: Callable[[str], None] = _ignore  # told what the engine waits for; called from any thread


_CANNOT_CONTINUE = "can't continue an answer from a token."
ALONE = CallContext()  # one user, who needs no notes


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
    """A model that answers requests with completions. Any thread may use it."""

    @property
    def name(self) -> str:
        """The model's name as shown to the user."""

    def capabilities(self, *, chat: bool, ask: bool = True) -> Capabilities | Unsupported:
        """What the model can do in a mode, as far as is known. Never waits.

        ask: whether it may ask a service in the background, so that a later call knows more.
        """

    def stream(self, request: Request, context: CallContext = ALONE) -> Stream:
        """Generate the samples as a stream. Raises CandorError, here or on its first step."""

    def score(
        self, request: Request, candidates: Sequence[str], context: CallContext = ALONE
    ) -> tuple[Completion, ...]:
        """Score the candidates as answers to the request's prompt (teacher forcing). Raises CandorError."""

    def close(self) -> None:
        """Give up what it holds. Running requests end with Cancelled."""


@runtime_checkable
class Continues(Protocol):
    """An engine that can continue an answer from given tokens, the request's `prefix_ids`."""

    def continuation_obstacle(self, request: Request) -> str:
        """Why the model can't continue this request's answer; "" if it can. Never waits."""

    def encode_continuation(self, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
        """IDs of a text after `request.prefix_ids`, and whether a model that is sent text would read other IDs.

        Raises InvalidRequest if the text can't be encoded there.
        """


@runtime_checkable
class ScoresUnderPrompts(Protocol):
    """An engine that scores a text after several prompts in fewer passes than one after another."""

    def score_under(
        self, requests: Sequence[Request], text: str, context: CallContext = ALONE
    ) -> tuple[Completion, ...]:
        """Score one text as the answer to each prompt. The prompts may remain unscored. Raises CandorError."""


@runtime_checkable
class CountsTokens(Protocol):
    """An engine that may know the length of its model's context and of prompts."""

    def window(self, *, wait: bool) -> Window | None:
        """The context, and how prompts are counted; None if one of them is not known, or there is no limit.

        wait: whether to wait until files that tell it are fetched. Raises CandorError if they can't be read.
        """


@runtime_checkable
class Resident(Protocol):
    """An engine that holds its model in this machine's memory, so that only a few can be open at once."""

    @property
    def busy(self) -> bool:
        """Whether a request is active or waiting; a busy engine is not unloaded."""


@runtime_checkable
class Fingerprinted(Protocol):
    """An engine that can tell the weights behind its source's name from others."""

    @property
    def weights(self) -> str:
        """A fingerprint of the weights, which its completions report as "weights" in their provenance."""


@runtime_checkable
class Wakes(Protocol):
    """An engine of a service that may have to load the model first."""

    def warm_up(self, context: CallContext = ALONE) -> Stream:
        """Load the model with the smallest possible request, which is billed. The stream ends when it is loaded."""


def complete(engine: Engine, request: Request, context: CallContext = ALONE) -> tuple[Completion, ...]:
    """All samples of a request, once the last has ended. Raises CandorError."""
    with closing(engine.stream(request, context)) as stream:
        return fold(stream)


def score_under(
    engine: Engine, requests: Sequence[Request], text: str, context: CallContext = ALONE
) -> tuple[Completion, ...]:
    """Score one text as the answer to each prompt. Raises CandorError."""
    if isinstance(engine, ScoresUnderPrompts):
        return engine.score_under(requests, text, context)
    return tuple(done for request in requests for done in engine.score(request, [text], context))


def continuation_obstacle(engine: Engine, request: Request) -> str:
    """Why the model can't continue after `request.prefix_ids`; "" if it can, or if there are none. Never waits."""
    if not request.prefix_ids:
        return ""
    if not isinstance(engine, Continues):
        return f"{engine.name} {_CANNOT_CONTINUE}"
    return engine.continuation_obstacle(request)


def encode_continuation(engine: Engine, request: Request, text: str) -> tuple[tuple[int, ...], bool]:
    """IDs of a text after `request.prefix_ids`, as `Continues` says. Raises InvalidRequest if the engine can't."""
    if not isinstance(engine, Continues):
        raise InvalidRequest(f"{engine.name} {_CANNOT_CONTINUE}", "Change the prompt and generate again.")
    return engine.encode_continuation(request, text)


def window_of(engine: Engine, *, wait: bool) -> Window | None:
    """How many tokens the model takes, as `CountsTokens` says; None if that is not known. Raises CandorError."""
    return engine.window(wait=wait) if isinstance(engine, CountsTokens) else None


def is_busy(engine: Engine) -> bool:
    """Whether a new request may have to wait for others."""
    return isinstance(engine, Resident) and engine.busy


def weights_of(engine: Engine) -> str:
    """The fingerprint of the weights; "" if the name of the source is all that tells them apart."""
    return engine.weights if isinstance(engine, Fingerprinted) else ""
