"""The request to a model: a prompt or chat and its sampling settings, checked on construction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from lib.errors import InvalidRequest

MAX_K = 20  # the most alternatives any supported engine or service returns
MAX_SAMPLES = 64
MAX_TEMPERATURE = 5.0
MAX_SEED = 2**63 - 1


class Mode(StrEnum):
    """How a prompt reaches the model. The values are stored."""

    CHAT = "chat"  # as a message, in the model's chat template
    RAW = "raw"  # as it is


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: str  # usually "system", "user" or "assistant"
    content: str


@dataclass(frozen=True)
class Request:
    """A raw prompt or the messages of a chat, and how to answer it.

    Raises InvalidRequest if a value is out of bounds or a text cannot be encoded.
    """

    prompt: str | None = None  # None for a chat
    messages: tuple[Message, ...] = ()  # empty for a raw prompt
    max_tokens: int = 100  # at most this many new tokens; 0 only scores the prompt
    temperature: float = 0.0  # 0 always takes the most likely token; never changes the reported logprobs
    top_p: float = 1.0  # sample from the smallest set of tokens whose probability reaches this
    stop: tuple[str, ...] = ()  # the answer ends before the first of these strings
    seed: int | None = None  # 0 or more; the same seed and engine give the same samples; None for a random one
    k: int = 5  # alternatives per position, 0 to MAX_K
    prompt_scores: bool = True  # whether to score the prompt's tokens too
    scores_from: int = 0  # characters that the prompt, or a chat's last message, begins with and that need no scores
    n: int = 1  # independent samples
    prefix_ids: tuple[int, ...] = ()  # ids the answer starts with; the model continues after them

    @property
    def last_user_text(self) -> str:
        """The raw prompt, or the last message of a chat."""
        return self.prompt if self.prompt is not None else self.messages[-1].content

    def __post_init__(self) -> None:
        if (self.prompt is None) == (not self.messages):
            raise InvalidRequest("A request needs either a prompt or messages.", "Give exactly one of the two.")
        texts = [self.prompt] if self.prompt is not None else [message.content for message in self.messages]
        if not any(text.strip() for text in texts):
            raise InvalidRequest("The prompt is empty.", "Type a prompt.")
        for text in (*texts, *(message.role for message in self.messages), *self.stop):
            check_text(text)
        if any(not stop for stop in self.stop):
            raise InvalidRequest("A stop string is empty.", "Remove it, or type the text to stop at.")
        _check_whole("k", self.k, 0, MAX_K, f"Ask for at most {MAX_K} alternatives per position.")
        _check_whole("scores_from", self.scores_from, 0, MAX_SEED, "Use 0 to score all tokens.")
        _check_whole("max_tokens", self.max_tokens, 0, 1_000_000, "Use 0 to score the prompt only.")
        _check(
            "temperature",
            self.temperature,
            0,
            MAX_TEMPERATURE,
            "0 always takes the most likely token; 1 is the model's own distribution.",
        )
        _check("top_p", self.top_p, 1e-6, 1, "1 keeps every token.")
        _check_whole("n", self.n, 1, MAX_SAMPLES, f"Ask for at most {MAX_SAMPLES} samples at once.")
        for number in self.prefix_ids:
            _check_whole("A token id", number, 0, 2**31 - 1, "Choose a token from the model's vocabulary.")
        if self.seed is not None:
            _check_whole("seed", self.seed, 0, MAX_SEED, "Leave it empty for a random seed.")


def prompt_fields(mode: Mode, text: str, system: str = "") -> dict[str, Any]:
    """The fields `prompt` and `messages` of a request. system: of a chat; "" for none."""
    if mode == Mode.RAW:
        return {"prompt": text, "messages": ()}
    said = (Message("system", system),) if system.strip() else ()
    return {"prompt": None, "messages": (*said, Message("user", text))}


def with_prompt(request: Request, prompt: str) -> Request:
    """The request with another prompt, or in a chat with another last message."""
    if request.messages:
        return replace(request, messages=(*request.messages[:-1], Message(request.messages[-1].role, prompt)))
    return replace(request, prompt=prompt)


def mode_of(request: Request) -> Mode:
    """How the request's prompt reaches the model."""
    return Mode.CHAT if request.messages else Mode.RAW


def check_text(text: str) -> None:
    """Raise InvalidRequest if `text` has a NUL or a lone surrogate, which no tokenizer can encode."""
    if (place := text.find("\0")) >= 0:
        raise InvalidRequest(
            f"The text contains a NUL character at position {place + 1}.",
            "Remove it; it is usually left over from a broken copy.",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"The text contains half of a character (a lone surrogate) at position {error.start + 1}.",
            "Remove it, or paste the text again from its source.",
        ) from None


def _check(name: str, value: float, low: float, high: float, hint: str) -> None:
    if not low <= value <= high:  # also refuses NaN
        raise InvalidRequest(f"{name} is {_shown(value)}; it must be between {_shown(low)} and {_shown(high)}.", hint)


def _check_whole(name: str, value: int, low: int, high: int, hint: str) -> None:
    if not isinstance(value, int):
        raise InvalidRequest(f"{name} is {_shown(value)}; it must be a whole number.", hint)
    _check(name, value, low, high, hint)


def _shown(value: float) -> str:
    """The number for an error text. Python refuses to print integers of thousands of digits."""
    if isinstance(value, int):
        return f"{value:,}" if abs(value) <= MAX_SEED else "out of range"
    return f"{value:g}"
