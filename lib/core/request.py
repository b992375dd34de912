"""What is asked of a model."""

from __future__ import annotations

from dataclasses import dataclass

from lib.errors import InvalidRequest

MAX_K = 20  # what the services and engines spoken to return at most
MAX_SAMPLES = 64
MAX_TEMPERATURE = 5.0
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Message:
    """One turn of a chat. `role` is usually "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True)
class Request:
    """A prompt, or the messages of a chat, and how to answer it.

    max_tokens: tokens to generate at most; 0 only scores the prompt.
    temperature: 0 takes the likeliest token every time; it never changes the logprobs reported.
    top_p: sample from the smallest set of tokens whose probability reaches it.
    stop: the answer ends before the first of these strings.
    seed: same seed, same engine, same samples; 0 or more, None draws a fresh one.
    k: alternatives wanted at every position, 0 to 20.
    prompt_scores: whether the prompt's own tokens are scored too.
    n: independent samples wanted.
    prefix_ids: ids of the answer's first tokens, which are given; the model goes on after them.

    Raises InvalidRequest when a value is out of bounds or the text cannot be encoded.
    """

    prompt: str | None = None
    messages: tuple[Message, ...] = ()
    max_tokens: int = 100
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    k: int = 5
    prompt_scores: bool = True
    n: int = 1
    prefix_ids: tuple[int, ...] = ()

    @property
    def last_user_text(self) -> str:
        """What was typed: the raw prompt, or what a chat's user said last."""
        return self.prompt if self.prompt is not None else self.messages[-1].content

    def __post_init__(self) -> None:
        if (self.prompt is None) == (not self.messages):
            raise InvalidRequest("A request needs either a prompt or messages.", "Give exactly one of the two.")
        texts = [self.prompt] if self.prompt is not None else [message.content for message in self.messages]
        if not any(text.strip() for text in texts):
            raise InvalidRequest("The prompt is empty.", "Type something for the model to read.")
        for text in (*texts, *(message.role for message in self.messages), *self.stop):
            check_text(text)
        if any(not stop for stop in self.stop):
            raise InvalidRequest("A stop string is empty.", "Remove it, or type the text to stop at.")
        _check_whole("k", self.k, 0, MAX_K, f"Ask for at most {MAX_K} alternatives per position.")
        _check_whole("max_tokens", self.max_tokens, 0, 1_000_000, "Use 0 to score the prompt only.")
        _check(
            "temperature", self.temperature, 0, MAX_TEMPERATURE, "0 takes the likeliest token, 1 samples as trained."
        )
        _check("top_p", self.top_p, 1e-6, 1, "1 keeps every token.")
        _check_whole("n", self.n, 1, MAX_SAMPLES, f"Ask for at most {MAX_SAMPLES} samples at once.")
        for number in self.prefix_ids:
            _check_whole("A token id", number, 0, 2**31 - 1, "Choose a token of the model's own.")
        if self.seed is not None:
            _check_whole("seed", self.seed, 0, MAX_SEED, "Leave it out for a fresh one.")


def check_text(text: str) -> None:
    """Raise InvalidRequest when `text` holds a character that no tokenizer can read as meant."""
    if (place := text.find("\0")) >= 0:
        raise InvalidRequest(
            f"The text holds a NUL character at position {place + 1}.",
            "Remove it; it is usually left by a broken copy.",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"The text holds half of a character (a lone surrogate) at position {error.start + 1}.",
            "Remove it, or paste the text again from its source.",
        ) from None


def _check(name: str, value: float, low: float, high: float, hint: str) -> None:
    if not low <= value <= high:  # NaN lies nowhere
        raise InvalidRequest(f"{name} is {_shown(value)}; it must lie between {_shown(low)} and {_shown(high)}.", hint)


def _check_whole(name: str, value: int, low: int, high: int, hint: str) -> None:
    if not isinstance(value, int):
        raise InvalidRequest(f"{name} is {_shown(value)}; it must be a whole number.", hint)
    _check(name, value, low, high, hint)


def _shown(value: float) -> str:
    """A number with all its digits; Python refuses to print a whole number of thousands of them."""
    if isinstance(value, int):
        return f"{value:,}" if abs(value) <= MAX_SEED else "out of range"
    return f"{value:g}"
