"""Going on from the beginning of an answer: a model of Bedrock takes text only, so that beginning is sent as text.

A raw prompt that ends with the beginning is what every completion format takes. A chat is rendered here first, with the
template that was imported with the model, and goes out as such a prompt; or, where somebody switched that on, as a chat
whose last message is to be continued.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lib.core.branching import CUT_DIFFERENTLY, bytes_of_ids, inside_a_character, spelled
from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.stream import Delta
from lib.core.tokens import TokenKind, Tokens, concatenate, make_tokens
from lib.engines.bedrock.capabilities import Abilities
from lib.errors import InvalidRequest
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.formats import Format

_ELSEWHERE = (
    "The model did not go on from the place that was asked for: the text it read does not end with what was given. "
    "What it wrote is shown after that all the same."
)
_SWITCH = {"continue_final_message": True, "add_generation_prompt": False}


@dataclass(frozen=True, eq=False)
class Continuation:
    """How a request with a given beginning goes out.

    request: what is encoded, and read back. form: the format it goes out in. extra: more fields of its body. tokenizer:
    the one to read the response with. prompt: the text before the beginning. prefix: the text of that.
    """

    request: Request
    form: Format
    extra: dict[str, Any]
    tokenizer: Tokenizer
    prompt: str
    prefix: str


def continuation(request: Request, can: Abilities, tokenizer: Tokenizer | None, *, by_chat: bool) -> Continuation:
    """How a request that has a beginning goes out. by_chat: a chat may be continued as one.

    Raises InvalidRequest where it cannot, with the reason.
    """
    if tokenizer is None:
        raise InvalidRequest(
            "Going on from here needs the model's tokenizer, as the beginning is sent as text.",
            "Give a tokenizer beside the model.",
        )
    pieces = tokenizer.vocabulary.pieces
    if not tokenizer.knows(np.array(request.prefix_ids, np.int32)):
        raise InvalidRequest("The model's tokenizer does not know these tokens.", "Choose the model that wrote them.")
    prompt = _prompt_text(request, tokenizer)
    try:
        prefix = bytes_of_ids(pieces, request.prefix_ids).decode()
    except UnicodeDecodeError as error:
        raise inside_a_character() from error
    chat = request.prompt is None
    form = can.format_for(chat=False)
    if chat and by_chat and Format.CHAT in can.formats:
        told = replace(request, messages=(*request.messages, Message("assistant", prefix)), prefix_ids=())
        rendered = prompt + prefix
        reading = replace(tokenizer, render=lambda _: rendered)
        return Continuation(told, Format.CHAT, _SWITCH, reading, prompt, prefix)
    if form is None:
        raise InvalidRequest(
            "This model takes chats only, and an answer to a chat cannot be gone on with.",
            "Allow continue_final_message beside the model, if you know that it works there.",
        )
    prompt = _without_bos(prompt, tokenizer)
    return Continuation(
        replace(request, prompt=prompt + prefix, messages=(), prefix_ids=()),
        form,
        {},
        tokenizer,
        prompt,
        prefix,
    )


def raw_prompt(request: Request, tokenizer: Tokenizer | None) -> str:
    """What the model reads before an answer, as a raw prompt. Raises InvalidRequest where that is not known."""
    if request.prompt is not None:
        return request.prompt
    if tokenizer is None:
        raise InvalidRequest(
            "Scoring a text after a chat needs the model's tokenizer, as the chat is sent as its template has it.",
            "Give a tokenizer beside the model, or use raw text.",
        )
    return _without_bos(_prompt_text(request, tokenizer), tokenizer)


def _prompt_text(request: Request, tokenizer: Tokenizer) -> str:
    prompt = tokenizer.prompt_text(request)
    if prompt is None:
        raise InvalidRequest(
            "No chat template came with this model, so that the text it reads before an answer is not known.",
            "Import it with its template, or ask with raw text.",
        )
    return prompt


def _without_bos(text: str, tokenizer: Tokenizer) -> str:
    """A prompt without the BOS at its front, where the service puts one before every raw prompt."""
    if tokenizer.bos is None or tokenizer.bos not in tokenizer.prefix:
        return text
    return text.removeprefix(tokenizer.vocabulary.pieces.text_of(tokenizer.bos))


def told_apart(deltas: Iterator[Delta], how: Continuation, request: Request) -> Iterator[Delta]:
    """The deltas of a continuation, with what was given as the beginning of the answer instead of the prompt's end."""
    for delta in deltas:
        if delta.whole is not None:
            yield replace(delta, whole=_apart(delta.whole, how, request))
        elif delta.start is not None:
            start = _apart(delta.start, how, request)
            yield replace(delta, start=replace(start, generated=start.generated[:0], text=""))
            yield Delta(delta.sample, generated=start.generated, text=start.text)
        else:
            yield delta


def _apart(done: Completion, how: Continuation, request: Request) -> Completion:
    found = boundary(done.prompt, how.prompt, how.prefix)
    if found is None:
        own = _given(request, how.tokenizer)
        lost = () if not len(done.prompt) else (_ELSEWHERE,)  # of which nothing is known, nothing is wrong
        return _joined(done, request, done.prompt, own, 0, lost)
    first, overlap = found
    given = done.prompt[first:]
    otherwise = overlap > 0 or given.ids.tolist() != list(request.prefix_ids)
    warnings = (CUT_DIFFERENTLY,) if otherwise else ()
    return _joined(done, request, done.prompt[:first], given, overlap, warnings)


def boundary(tokens: Tokens, before: str, text: str) -> tuple[int, int] | None:
    """Where `text` begins among tokens that end with `before` and it: (its first token, bytes of that before it).

    None where the tokens read otherwise.
    """
    read, whole = spelled(tokens), (before + text).encode()
    if not read.endswith(whole):
        return None
    limit = len(read) - len(whole) + len(before.encode())
    ends = np.cumsum(np.diff(tokens.pieces.offsets)[tokens.refs])
    first = int(np.searchsorted(ends, limit, side="right"))
    return first, limit - (int(ends[first - 1]) if first else 0) if first < len(ends) else 0


def _joined(
    done: Completion,
    request: Request,
    prompt: Tokens,
    given: Tokens,
    overlap: int,
    warnings: tuple[str, ...],
) -> Completion:
    forced = given.with_kinds(np.full(len(given), TokenKind.FORCED, np.uint8))
    special = given.pieces.special[given.refs] if len(given.pieces) else np.zeros(0, bool)
    visible = spelled(given[~special])[overlap:].decode("utf-8", "replace")
    return replace(
        done,
        request=request,
        prompt=prompt,
        generated=concatenate([forced, done.generated]),
        text=visible + done.text,
        overlap=overlap,
        warnings=(*done.warnings, *warnings),
    )


def _given(request: Request, tokenizer: Tokenizer) -> Tokens:
    """The tokens that were asked for as the beginning, unscored."""
    return make_tokens(tokenizer.vocabulary.pieces, np.array(request.prefix_ids, np.int32))
