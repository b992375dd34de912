"""Branches of an answer: keep its beginning, force some tokens, and let the model continue from there.

A branch is a completion like any other. Its answer starts with the kept tokens, which keep their scores, and the forced
tokens, of kind FORCED, which are excluded from all means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lib.core.arrays import common_prefix_length
from lib.core.completion import Completion
from lib.core.pieces import Pieces
from lib.core.request import Request
from lib.core.tokens import TokenKind, Tokens, concatenate, make_tokens
from lib.errors import InvalidRequest

CUT_ALONE = (
    "The inserted text is tokenized separately from the text before it, because the tokens before it are kept. As one "
    "text, they would have been tokenized differently."
)
CUT_DIFFERENTLY = (
    "The model received text and tokenized it again, so the tokens where the branch starts differ from the original "
    "ones. The map shows the tokens the model read."
)


@dataclass(frozen=True, eq=False)
class Fork:
    """The point where a branch leaves an answer."""

    before: Completion  # the completion it branches from
    kept: int  # tokens of that answer to keep
    forced: tuple[int, ...]  # ids to put after them; empty to resample
    text: str  # the forced text as shown to the user
    asked: Request  # the request the user typed, at the root of all branches
    warning: str = ""  # shown with the branch; "" for none

    @property
    def prefix_ids(self) -> tuple[int, ...]:
        """The ids the branch's answer starts with: kept, then forced."""
        return (*self.before.generated.ids[: self.kept].tolist(), *self.forced)


def fork_of(
    before: Completion, row: int, forced: Sequence[int], text: str, parameters: Request, asked: Request
) -> tuple[Fork, Request]:
    """A branch at a token, and the request that generates it.

    A branch inside the prompt starts an answer there: the text before the token, control tokens included, is sent as a
    raw prompt. Raises InvalidRequest if no branch is possible.

    row: the token to replace, counted over prompt and answer.
    forced: ids to insert instead; empty to resample.
    text: the forced text as shown to the user.
    parameters: sampling settings of the branch; its prompt is ignored.
    asked: the request the user typed, at the root of all branches.
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
    """Why no model can branch at this token; None if one can."""
    read = len(before.prompt)
    if before.request is None:
        return InvalidRequest(
            "The request of this response is unknown, so no model can continue it.",
            "Open the response with its request.",
        )
    if row == 0:
        return InvalidRequest("There is nothing before the first token to continue from.", "Edit the prompt instead.")
    kept = before.prompt[:row] if row < read else before.generated[: row - read]
    if (kept.ids < 0).any():
        return InvalidRequest(
            "Some tokens before this one have no known id.", "Open the response with the model's tokenizer."
        )
    if row < read and text_of(before.prompt[:row], errors="ignore").strip() == "":
        return InvalidRequest("There is no text before this token to continue from.", "Edit the prompt instead.")
    if row < read and not ends_whole(spelled(before.prompt[:row])):
        return inside_a_character()
    return None


def inside_a_character() -> InvalidRequest:
    """The error for a beginning that ends inside a character."""
    return InvalidRequest(
        "The text before this token ends inside a character, so it cannot be sent as text.",
        "Choose the token before or after it.",
    )


def spelled(tokens: Tokens) -> bytes:
    """The bytes of all tokens, control tokens included. An unknown token has none."""
    return b"".join(tokens.pieces.bytes_of(int(ref)) for ref in tokens.refs)


def text_of(tokens: Tokens, errors: str = "strict") -> str:
    """The text of all tokens, control tokens included. Raises InvalidRequest if the bytes are not valid text."""
    try:
        return spelled(tokens).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise inside_a_character() from error


def ends_whole(data: bytes) -> bool:
    """Whether the bytes are valid UTF-8 that ends with a complete character."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def as_text(done: Completion) -> Request | None:
    """The request as a single raw prompt that includes the answer's given beginning, for engines that only take text.

    None if that text is unknown.
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
    """Whether the first token is added to every raw prompt, and so is not part of its text."""
    if len(prompt) < 2 or prompt.refs[0] < 0 or not prompt.pieces.special[prompt.refs[0]]:
        return False
    if request.prompt is not None:
        return not request.prompt.startswith(prompt.pieces.text_of(int(prompt.refs[0])))
    return int((prompt.refs == prompt.refs[0]).sum()) == 1  # role markers occur several times in a chat


def tokens_after(
    encode: Callable[[str], list[int]], pieces: Pieces, before: str, read: Sequence[int], text: str
) -> tuple[tuple[int, ...], bool]:
    """Ids of a text after another, and whether a model that receives both as one text reads different tokens.

    Raises InvalidRequest if the tokenizer cannot encode the text on its own.

    encode: ids of a text, without added special tokens.
    pieces: row i is id i.
    before: the text so far.
    read: its ids as the model read them.
    text: the text to encode.
    """
    whole, first = encode(before + text), encode(before)
    if first and whole[: len(first)] == first == list(read)[-len(first) :]:
        return tuple(whole[len(first) :]), False
    for lead in ("", "\n"):  # some tokenizers prepend a space to a text, but not after a line break
        ids, skipped = encode(lead + text), encode(lead) if lead else []
        rest = ids[len(skipped) :]
        if ids[: len(skipped)] == skipped and bytes_of_ids(pieces, rest) == text.encode():
            return tuple(rest), True
    raise InvalidRequest(
        "The model's tokenizer cannot encode this text on its own.", "Start it with a space or a word."
    )


def bytes_of_ids(pieces: Pieces, ids: Sequence[int]) -> bytes:
    """The bytes of these ids. pieces: row i is id i."""
    return b"".join(pieces.bytes_of(number) for number in ids)


def merge_into_parent(done: Completion, fork: Fork) -> Completion:
    """Complete a branch from an engine with what its parent already knows.

    Kept tokens keep their scores. A forced token that the engine did not score gets the score it had as an alternative.
    Where the engine read different tokens, those are shown, with a warning.
    """
    before, given = fork.before, fork.prefix_ids
    prompt = done.prompt
    if np.isnan(prompt.logprobs).all() and prompt.ids.tolist() == before.prompt.ids.tolist():
        prompt = before.prompt
    same = common_prefix_length(done.generated.ids, np.array(given, np.int32))
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
    """The alternative with this id at a row of the answer, as a forced token; None if it is not listed."""
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
