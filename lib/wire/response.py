"""A parsed response, whole or one chunk of a stream, before anything in it is interpreted."""

from __future__ import annotations

from dataclasses import dataclass

from lib.wire.formats import Format
from lib.wire.positions import Positions


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer of a response, or what a chunk of a stream adds to it."""

    number: int  # index among the answers, from 0
    text: str
    generated: Positions | None  # logprobs of the generated tokens; None if not sent
    stop_reason: str | None  # "stop", "length", or the service's own word; None if not sent
    reasoning: str = ""  # reasoning that the service split off from the text
    tools: bool = False  # whether the tokens outside the text are tool calls
    ids: tuple[int, ...] | None = None  # ids of the generated tokens; None if not sent
    prompt: Positions | None = None  # prompt logprobs; None if not sent
    prompt_ids: tuple[int, ...] | None = None  # ids of the prompt tokens; None if not sent


@dataclass(frozen=True, eq=False)
class Response:
    """A response, or a chunk of a streamed one."""

    wire_format: Format
    answers: tuple[Answer, ...]
    model: str = ""  # "" if not sent
    prompt_tokens: int | None = None  # the service's own count; None if not sent
    generated_tokens: int | None = None  # the service's own count; None if not sent
    created: int | None = None  # seconds since 1970; None if not sent
    final: bool = False  # whether it marks the end of a stream
    guarded: bool = False  # whether a guardrail changed the text
