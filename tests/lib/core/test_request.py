from __future__ import annotations

import math

import pytest

from lib.core.request import MAX_K, MAX_SAMPLES, MAX_SEED, MAX_TEMPERATURE, Message, Request, check_text
from lib.errors import InvalidRequest

CHAT = (Message("user", "Hello"),)


def refusal(**fields: object) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        Request(**{"prompt": "x", **fields})  # type: ignore[arg-type]
    assert caught.value.remedy.endswith(".")
    return caught.value


BOUNDS = {
    "k": (0, MAX_K),
    "max_tokens": (0, 1_000_000),
    "temperature": (0.0, MAX_TEMPERATURE),
    "top_p": (1e-6, 1.0),
    "n": (1, MAX_SAMPLES),
    "seed": (0, MAX_SEED),
}
WHOLE = ("k", "max_tokens", "n", "seed")


@pytest.mark.parametrize("name", BOUNDS)
def test_both_bounds_are_allowed_and_nothing_beyond(name: str) -> None:
    low, high = BOUNDS[name]
    for value in (low, high):
        assert getattr(Request(prompt="x", **{name: value}), name) == value
    below, above = (low - 1, high + 1) if name in WHOLE else (math.nextafter(low, -1), math.nextafter(high, 9))
    for value in (below, above):
        assert refusal(**{name: value}).cause.startswith(f"{name} is ")


@pytest.mark.parametrize("name", ["temperature", "top_p"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_must_be_numbers(name: str, value: float) -> None:
    assert name in refusal(**{name: value}).cause


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [1.5, 1.0, math.nan])
def test_counts_must_be_whole(name: str, value: float) -> None:
    assert "whole number" in refusal(**{name: value}).cause


@pytest.mark.parametrize("name", BOUNDS)
def test_absurd_numbers_get_an_answer_too(name: str) -> None:
    for value in (10**5000, -(10**5000)):
        assert name in refusal(**{name: value}).cause


def test_the_message_names_value_and_bounds_in_full() -> None:
    assert refusal(k=21).cause == "k is 21; it must be between 0 and 20."
    assert refusal(max_tokens=1_000_001).cause == "max_tokens is 1,000,001; it must be between 0 and 1,000,000."
    assert refusal(temperature=5.5).cause == "temperature is 5.5; it must be between 0 and 5."


def test_a_request_has_either_a_prompt_or_messages() -> None:
    assert Request(prompt="x").messages == ()
    assert Request(messages=CHAT).prompt is None
    assert "either" in refusal(prompt=None).cause
    assert "either" in refusal(prompt="x", messages=CHAT).cause
    assert "either" in refusal(prompt="", messages=CHAT).cause


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u3000"])
def test_an_empty_prompt_is_refused(text: str) -> None:
    assert refusal(prompt=text).cause == "The prompt is empty."
    assert refusal(prompt=None, messages=(Message("user", text),)).cause == "The prompt is empty."


def test_an_empty_turn_among_others_is_allowed() -> None:
    assert len(Request(messages=(Message("system", ""), *CHAT)).messages) == 2


PLACES = [
    lambda text: {"prompt": text},
    lambda text: {"prompt": None, "messages": (*CHAT, Message("user", text))},
    lambda text: {"prompt": None, "messages": (*CHAT, Message(text, "Hello"))},
    lambda text: {"stop": ("fine", text)},
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("letter", "word"), [("\0", "NUL"), ("\ud83d", "surrogate")])
def test_characters_no_tokenizer_reads_are_refused_with_their_position(place, letter: str, word: str) -> None:
    error = refusal(**place(f"aé😀{letter}b"))
    assert word in error.cause
    assert "position 4" in error.cause


def test_positions_count_characters_from_one() -> None:
    with pytest.raises(InvalidRequest, match="position 1\\."):
        check_text("\0\0")
    check_text("😀 é \ufffd \U0010ffff")


def test_an_empty_stop_string_is_refused() -> None:
    assert "stop string is empty" in refusal(stop=("a", "")).cause
    assert Request(prompt="x", stop=(" ", "\n")).stop == (" ", "\n")


def test_requests_are_values() -> None:
    assert Request(prompt="x") == Request(prompt="x")
    assert hash(Request(messages=CHAT)) == hash(Request(messages=CHAT))
    assert Request(prompt="x") != Request(prompt="x", k=6)
