"""Continue an answer from a given beginning with a service that takes text only: the beginning is sent as text.

Every completion format takes a raw prompt that ends with the beginning. A chat is rendered here first, with the
template that was imported with the model, and sent as such a prompt; or, if that is switched on for the model, as a
chat whose last message is to be continued.
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
from lib.errors import InvalidRequest
from lib.tokenizers.boundary import token_at
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.formats import Format

_NOT_CONTINUED = (
    "The model did not continue from the requested place: the text it read does not end with the beginning of the "
    "answer. Its continuation is shown after that beginning all the same."
)
_CONTINUE_FINAL_MESSAGE = {"continue_final_message": True, "add_generation_prompt": False}


@dataclass(frozen=True, eq=False)
class Continuation:
    """How to send a request whose answer has a given beginning."""

    request: Request  # as it is sent, with the beginning in its text
    wire_format: Format
    extra: dict[str, Any]  # more fields of the body
    tokenizer: Tokenizer  # to read the response with
    prompt: str  # the text before the beginning
    prefix: str  # the text of the beginning


def continuation(
    request: Request, raw_format: Format | None, tokenizer: Tokenizer | None, *, by_chat: bool
) -> Continuation:
    """Plan a request that has `prefix_ids`.

    raw_format: for raw prompts; None if the model takes none.
    by_chat: whether the model can continue a chat as a chat.

    Raises InvalidRequest, with the reason, if the model can't continue the request.
    """
    if tokenizer is None:
        raise InvalidRequest(
            "Continuing from here needs the model's tokenizer, because the beginning is sent as text.",
            "Choose a tokenizer beside the model.",
        )
    pieces = tokenizer.vocabulary.pieces
    if not tokenizer.knows(np.array(request.prefix_ids, np.int32)):
        raise InvalidRequest("The model's tokenizer lacks these tokens.", "Choose the model that generated them.")
    prompt = _prompt_text(request, tokenizer)
    try:
        prefix = bytes_of_ids(pieces, request.prefix_ids).decode()
    except UnicodeDecodeError as error:
        raise inside_a_character() from error
    if request.prompt is None and by_chat:
        sent = replace(request, messages=(*request.messages, Message("assistant", prefix)), prefix_ids=())
        rendered = prompt + prefix
        reader = replace(tokenizer, render=lambda _: rendered)
        return Continuation(sent, Format.CHAT, _CONTINUE_FINAL_MESSAGE, reader, prompt, prefix)
    if raw_format is None:
        raise InvalidRequest(
            "This model takes chats only, and an answer to a chat can't be continued.",
            "Allow continue_final_message beside the model, if you know that it works there.",
        )
    prompt = _without_bos(prompt, tokenizer)
    sent = replace(request, prompt=prompt + prefix, messages=(), prefix_ids=())
    return Continuation(sent, raw_format, {}, tokenizer, prompt, prefix)


def raw_prompt(request: Request, tokenizer: Tokenizer | None) -> str:
    """The text the model reads before its answer, as a raw prompt. Raises InvalidRequest if it is not known."""
    if request.prompt is not None:
        return request.prompt
    if tokenizer is None:
        raise InvalidRequest(
            "Scoring a text after a chat needs the model's tokenizer, which renders the chat with its template.",
            "Choose a tokenizer beside the model, or use raw text.",
        )
    return _without_bos(_prompt_text(request, tokenizer), tokenizer)


def _prompt_text(request: Request, tokenizer: Tokenizer) -> str:
    prompt = tokenizer.prompt_text(request)
    if prompt is None:
        raise InvalidRequest(
            "No chat template came with this model, so the text it reads before its answer is unknown.",
            "Import it with its template, or use raw text.",
        )
    return prompt


def _without_bos(text: str, tokenizer: Tokenizer) -> str:
    """The prompt without its leading BOS, if the service puts one before every raw prompt."""
    if tokenizer.bos is None or tokenizer.bos not in tokenizer.prefix:
        return text
    return text.removeprefix(tokenizer.vocabulary.pieces.text_of(tokenizer.bos))


def prefix_in_answer(deltas: Iterator[Delta], plan: Continuation, request: Request) -> Iterator[Delta]:
    """The deltas of a continuation, with the beginning moved from the end of the prompt to the answer.

    request: the original one, which the completion is to carry.
    """
    for delta in deltas:
        if delta.whole is not None:
            yield replace(delta, whole=_moved(delta.whole, plan, request))
        elif delta.start is not None:
            start = _moved(delta.start, plan, request)
            yield replace(delta, start=replace(start, generated=start.generated[:0], text=""))
            yield Delta(delta.sample, generated=start.generated, text=start.text)
        else:
            yield delta


def _moved(done: Completion, plan: Continuation, request: Request) -> Completion:
    found = boundary(done.prompt, plan.prompt, plan.prefix)
    if found is None:
        prefix = make_tokens(plan.tokenizer.vocabulary.pieces, np.array(request.prefix_ids, np.int32))  # unscored
        # Without prompt tokens there is nothing to compare with, and nothing to warn of.
        warnings = (_NOT_CONTINUED,) if len(done.prompt) else ()
        return _with_prefix(replace(done, overlap=0), request, prefix, warnings)
    first, overlap = found
    prefix = done.prompt[first:]
    differs = overlap > 0 or prefix.ids.tolist() != list(request.prefix_ids)
    warnings = (CUT_DIFFERENTLY,) if differs else ()
    return _with_prefix(replace(done, prompt=done.prompt[:first], overlap=overlap), request, prefix, warnings)


def boundary(tokens: Tokens, before: str, text: str) -> tuple[int, int] | None:
    """Where `text` begins among tokens that end with `before + text`: (its first token, bytes of that before it).

    None if the tokens spell something else.
    """
    read, whole = spelled(tokens), (before + text).encode()
    if not read.endswith(whole):
        return None
    sizes = np.diff(tokens.pieces.offsets)[tokens.refs]
    return token_at(sizes, len(read) - len(whole) + len(before.encode()))


def _with_prefix(done: Completion, request: Request, prefix: Tokens, warnings: tuple[str, ...]) -> Completion:
    """The completion with its answer begun by `prefix`, whose first `done.overlap` bytes belong to the prompt."""
    forced = prefix.with_kinds(np.full(len(prefix), TokenKind.FORCED, np.uint8))
    special = prefix.pieces.special[prefix.refs] if len(prefix.pieces) else np.zeros(0, bool)
    visible = spelled(prefix[~special])[done.overlap :].decode("utf-8", "replace")
    return replace(
        done,
        request=request,
        generated=concatenate([forced, done.generated]),
        text=visible + done.text,
        warnings=(*done.warnings, *warnings),
    )
