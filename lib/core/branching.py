"""Branches of an answer: what stays of it, what is put there instead, and how the model goes on from that.

A branch is a completion like any other. Its answer begins with tokens that were given: those that stay, scored as they
were, and those that are forced, of kind FORCED, which no mean counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.core.completion import Completion
from lib.core.pieces import Pieces
from lib.core.request import Request
from lib.core.tokens import TokenKind, Tokens, concatenate, make_tokens
from lib.errors import InvalidRequest

CUT_ALONE = (
    "The text that was put there is cut into other tokens than it would be as one text with what precedes it, as the "
    "tokens before it stay what they were."
)
CUT_DIFFERENTLY = (
    "At the place where the branch begins the model reads other tokens than those that stood there, as it was sent "
    "text and cut it anew. What it read is what is shown."
)


@dataclass(frozen=True, eq=False)
class Fork:
    """Where a branch leaves an answer.

    before: the completion it leaves. kept: how many tokens of its answer stay. forced: ids of what is put after them,
    none where the model only draws again. text: what that is, in words. asked: the request that somebody typed, from
    which all of this comes. warning: what is to be said of the branch, if anything.
    """

    before: Completion
    kept: int
    forced: tuple[int, ...]
    text: str
    asked: Request
    warning: str = ""

    @property
    def prefix_ids(self) -> tuple[int, ...]:
        """Ids of all that the branch's answer begins with."""
        return (*self.before.generated.ids[: self.kept].tolist(), *self.forced)


def fork_of(
    before: Completion, row: int, forced: Sequence[int], text: str, parameters: Request, asked: Request
) -> tuple[Fork, Request]:
    """A branch at a token, and the request that writes it.

    row: the token that something else takes the place of, all of prompt and answer counted. parameters: how the model
    shall go on; its prompt does not matter. A branch within the prompt begins an answer there: what precedes the token
    is the prompt, as text with its control tokens.

    Raises InvalidRequest where it cannot be, with the reason.
    """
    if (reason := obstacle(before, row)) is not None:
        raise reason
    own = before.request or asked
    read = len(before.prompt)
    if row < read:
        text_before = text_of(before.prompt[:row])
        request = replace(parameters, prompt=text_before, messages=(), prefix_ids=tuple(forced))
        return Fork(replace(before, generated=before.generated[:0]), 0, tuple(forced), text, asked), request
    fork = Fork(before, row - read, tuple(forced), text, asked)
    return fork, replace(parameters, prompt=own.prompt, messages=own.messages, prefix_ids=fork.prefix_ids)


def obstacle(before: Completion, row: int) -> InvalidRequest | None:
    """Why there can be no branch at a token, whatever the model; None where there can be one."""
    read = len(before.prompt)
    if before.request is None:
        return InvalidRequest(
            "What was asked is not known, so that no model can go on from here.", "Open the response with its request."
        )
    if row == 0:
        return InvalidRequest("Nothing precedes the first token.", "Change the prompt instead.")
    kept = before.prompt[:row] if row < read else before.generated[: row - read]
    if (kept.ids < 0).any():
        return InvalidRequest(
            "Some tokens before this one have no id that the model would know.", "Give the model's tokenizer beside it."
        )
    if row < read and text_of(before.prompt[:row], errors="ignore").strip() == "":
        return InvalidRequest("Nothing to read precedes this token.", "Change the prompt instead.")
    if row < read and not ends_whole(spelled(before.prompt[:row])):
        return inside_a_character()
    return None


def inside_a_character() -> InvalidRequest:
    """The refusal of a beginning that ends inside a character."""
    return InvalidRequest(
        "The text before this token ends inside a character, and a model that is sent text cannot be told so.",
        "Choose the token before or after it.",
    )


def spelled(tokens: Tokens) -> bytes:
    """The bytes of all tokens, control tokens included. A token of which nothing is known has none."""
    return b"".join(tokens.pieces.bytes_of(int(ref)) for ref in tokens.refs)


def text_of(tokens: Tokens, errors: str = "strict") -> str:
    """The text of all tokens, control tokens included. Raises InvalidRequest where that is none."""
    try:
        return spelled(tokens).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise inside_a_character() from error


def ends_whole(data: bytes) -> bool:
    """Whether bytes are text, and end with a whole character."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def as_text(done: Completion) -> Request | None:
    """The request of a completion as one that any model takes which is sent text: prompt and given tokens in one.

    None where these are not known as text.
    """
    if done.request is None:
        return None
    if not done.request.prefix_ids:
        return done.request
    prompt = done.prompt[1:] if _begins_with_bos(done.prompt, done.request) else done.prompt
    try:
        whole = text_of(prompt) + text_of(done.generated[: len(done.request.prefix_ids)])
        return replace(done.request, prompt=whole, messages=(), prefix_ids=())
    except InvalidRequest:
        return None


def _begins_with_bos(prompt: Tokens, request: Request) -> bool:
    """Whether the first token is one that comes with every raw prompt, and so is no part of its text."""
    if len(prompt) < 2 or prompt.refs[0] < 0 or not prompt.pieces.special[prompt.refs[0]]:
        return False
    if request.prompt is not None:
        return not request.prompt.startswith(prompt.pieces.text_of(int(prompt.refs[0])))
    return int((prompt.refs == prompt.refs[0]).sum()) == 1  # the marks of a chat's roles stand there several times


def tokens_after(
    encode: Callable[[str], list[int]], pieces: Pieces, before: str, read: Sequence[int], text: str
) -> tuple[tuple[int, ...], bool]:
    """Ids of a text as it goes on after another, and whether a model that is sent both as text reads other tokens.

    encode: ids of a text as it stands. pieces: row i is id i. before: the text so far. read: its ids as the model has
    them. Raises InvalidRequest where the tokenizer cannot spell the text by itself.
    """
    whole, first = encode(before + text), encode(before)
    if first and whole[: len(first)] == first == list(read)[-len(first) :]:
        return tuple(whole[len(first) :]), False
    for lead in ("", "\n"):  # a text of its own may get a space at its front; after a line break it does not
        ids, skipped = encode(lead + text), encode(lead) if lead else []
        rest = ids[len(skipped) :]
        if ids[: len(skipped)] == skipped and bytes_of_ids(pieces, rest) == text.encode():
            return tuple(rest), True
    raise InvalidRequest(
        "The model's tokenizer cannot spell this text on its own.", "Begin it with a space, or a word."
    )


def bytes_of_ids(pieces: Pieces, ids: Sequence[int]) -> bytes:
    """The bytes of tokens by their ids. pieces: row i is id i."""
    return b"".join(pieces.bytes_of(number) for number in ids)


def merge_into_parent(done: Completion, fork: Fork) -> Completion:
    """A branch as it came from an engine, with all that is known of it from the completion that it leaves.

    What stays keeps the scores it had. A forced token that came without a score has the one it had as an alternative.
    As far as the engine read other tokens, they are what is shown, with a warning.
    """
    before, given = fork.before, fork.prefix_ids
    prompt = done.prompt
    if np.isnan(prompt.logprobs).all() and prompt.ids.tolist() == before.prompt.ids.tolist():
        prompt = before.prompt
    same = _common(done.generated.ids.tolist(), given)
    kept = min(same, fork.kept)
    parts = [before.generated[:kept]]
    rest = done.generated[kept:]
    if kept == fork.kept and same > kept and np.isnan(rest.logprobs[0]):
        known = _as_alternative(before, kept, given[kept])
        parts += [known] if known is not None else [rest[:1]]
        rest = rest[1:]
    warnings = (*done.warnings, *([fork.warning] if fork.warning else []))
    if same < min(len(given), len(done.generated)) and CUT_DIFFERENTLY not in warnings:
        warnings = (*warnings, CUT_DIFFERENTLY)
    return replace(done, prompt=prompt, generated=concatenate([*parts, rest]), warnings=warnings)


def _as_alternative(before: Completion, row: int, number: int) -> Tokens | None:
    """The token with that id as one of the alternatives at a row of the answer; None where it is not one of them."""
    if row >= len(before.generated):
        return None
    there = before.generated[row : row + 1]
    places = np.flatnonzero(there.top_ids[0] == number)
    if not len(places):
        return None
    place = int(places[0])
    larger = int((there.top_logprobs[0] > there.top_logprobs[0, place]).sum())
    return make_tokens(
        there.pieces,
        there.top_refs[0, place : place + 1],
        logprobs=there.top_logprobs[0, place : place + 1],
        ranks=np.array([1 + larger], np.int32),
        top_refs=there.top_refs,
        top_logprobs=there.top_logprobs,
        kinds=np.array([TokenKind.FORCED], np.uint8),
    )


def _common(ids: Sequence[int], others: Sequence[int]) -> int:
    """How many ids both begin with."""
    return next((i for i, (a, b) in enumerate(zip(ids, others, strict=False)) if a != b), min(len(ids), len(others)))
