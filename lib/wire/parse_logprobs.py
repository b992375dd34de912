"""Parse the logprobs of an answer in OpenAI's formats, which key tokens by string.

OpenAICompletion sends parallel lists, and a chat sends a list of entries. Some servers send one in the other's place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from lib.core.pieces import offsets_of
from lib.errors import BadResponse
from lib.wire.json_fields import is_null
from lib.wire.position_columns import REPLACEMENT, Entries, check_density, to_columns
from lib.wire.positions import ABSENT, MAX_ID, UNDECIDED, Positions

# A token's string or bytes, its logprob in nats, and its id or -1.
_Entry = tuple[str | bytes | None, float | None, int]


class _Score(msgspec.Struct, gc=False):
    """A logprob that is sent as an object."""

    logprob: float | None = None


class _ChatEntry(msgspec.Struct, gc=False):
    """A token of a chat."""

    id: int | str | None = None  # sent by llama.cpp
    token: str | None = None
    logprob: float | None = None  # nats
    bytes: list[int] | None = None
    top_logprobs: list[_ChatEntry] | dict[str, float | None] | None = None  # some servers key it by string
    prob: float | None = None  # sent by llama.cpp instead of `logprob`
    top_probs: list[_ChatEntry] | None = None  # sent by llama.cpp instead of `top_logprobs`


class _Logprobs(msgspec.Struct, gc=False):
    """The logprobs of an answer, whole or a chunk of it: the lists of OpenAICompletion, or the lists of a chat."""

    tokens: list[str | int | None] | None = None
    token_logprobs: list[float | None] | None = None  # nats
    top_logprobs: list[dict[str, float | _Score | None] | None] | None = None
    token_ids: list[int] | None = None
    text_offset: list[int] | None = None  # characters from the start of the text
    reasoning_content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    content: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    refusal: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_LOGPROBS = msgspec.json.Decoder(_Logprobs)
_CHAT = msgspec.json.Decoder(list[_ChatEntry] | None)


def parse_logprobs(logprobs: msgspec.Raw | None, text: str) -> tuple[Positions | None, tuple[int, ...] | None]:
    """(positions, token ids) of an answer, each None if it wasn't sent.

    text: the answer's text, which the tokens are sliced from if only their offsets are sent.
    """
    if logprobs is None or is_null(logprobs):
        return None, None
    check_density(logprobs)
    if bytes(memoryview(logprobs)[:1]) == b"[":  # a bare list is a chat's
        return _from_chat(_CHAT.decode(logprobs) or []), None
    sent = _LOGPROBS.decode(logprobs)
    ids = tuple(sent.token_ids) if sent.token_ids else None
    parts = [sent.reasoning_content, sent.content, sent.refusal]
    chats = [part for part in parts if part is not msgspec.UNSET and not is_null(part)]
    if chats:
        return _from_chat(entry for part in chats for entry in _CHAT.decode(part) or ()), ids
    if sent.tokens is None and sent.text_offset and sent.token_logprobs:
        ends = [*sent.text_offset[1:], len(text)]
        sent.tokens = [text[start:end] for start, end in zip(sent.text_offset, ends, strict=True)]
    if sent.tokens is None and sent.token_logprobs is None and sent.top_logprobs is None:
        return None, ids
    return _from_lists(sent), ids


def _from_lists(sent: _Logprobs) -> Positions:
    """The lists of an OpenAICompletion: each position's own token first, then the alternatives as sent.

    An empty list counts as not sent if another list isn't empty. Without tokens only the alternatives are known.
    """
    length = max(len(each or ()) for each in (sent.tokens, sent.token_logprobs, sent.top_logprobs))
    names = [f"token_id:{name}" if isinstance(name, int) else name for name in sent.tokens or [None] * length]
    scores: list[float | None] = list((sent.tokens and sent.token_logprobs) or [None] * length)
    lists: list[dict[str, float | _Score | None] | None] = list(sent.top_logprobs or [None] * length)
    if not len(names) == len(scores) == len(lists):
        raise BadResponse(
            f"The lists of logprobs differ in length: {len(names):,} tokens, {len(scores):,} logprobs and "
            f"{len(lists):,} lists of alternatives.",
            "The response is truncated or was edited: save it again.",
        )
    rows: list[list[_Entry]] = []
    for name, score, listed in zip(names, scores, lists, strict=True):
        # An entry with the token's own string but another logprob is another token with the same string.
        own = {text: p.logprob if isinstance(p, _Score) else p for text, p in (listed or {}).items()}
        others = [(text, p, -1) for text, p in own.items() if text != name or not _same(p, score)]
        known = name is not None or score is not None or not sent.tokens
        rows.append([(name, score, -1), *others] if known else [])
    if not sent.tokens:
        return _by_string([row[1:] for row in rows], own_first=False)
    return _by_string(rows)


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isclose(one, other, abs_tol=1e-6))


def _from_chat(listed: Iterable[_ChatEntry]) -> Positions:
    rows: list[list[_Entry]] = []
    for sent in listed:
        own = _entry(sent)
        others = _alternatives(sent)
        repeated = next((i for i, other in enumerate(others) if other[0] == own[0] and _same(other[1], own[1])), None)
        if repeated is not None:
            del others[repeated]
        rows.append([own, *others])
    return _by_string(rows)


def _alternatives(sent: _ChatEntry) -> list[_Entry]:
    """The alternatives at a position, including the token itself."""
    if isinstance(sent.top_logprobs, dict):
        return [(name, logprob, -1) for name, logprob in sent.top_logprobs.items()]
    return [_entry(other) for other in sent.top_logprobs or sent.top_probs or ()]


def _entry(sent: _ChatEntry) -> _Entry:
    logprob = sent.logprob
    if logprob is None and sent.prob is not None:
        logprob = math.log(sent.prob) if sent.prob > 0 else ABSENT
    return _name(sent), logprob, sent.id if isinstance(sent.id, int) else -1


def _name(sent: _ChatEntry) -> str | bytes | None:
    """The bytes of a token if the service knows them, else its string."""
    if sent.bytes and all(0 <= byte < 256 for byte in sent.bytes):
        blob = bytes(sent.bytes)
        if REPLACEMENT not in blob:
            return blob
    return sent.token


def _by_string(rows: Sequence[Sequence[_Entry]], *, own_first: bool = True) -> Positions:
    """Positions keyed by string; "token_id:123" is an id.

    own_first: whether the first entry of each is the position's own token, rather than an alternative.
    """
    found = Entries(counts=[len(row) for row in rows])
    # A token may have such a string itself, but a service sends ids for all tokens or for none.
    in_ids = all(_names_id(row[0][0]) for row in rows if row)
    for row in rows:
        for name, _, own in row:
            blob = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name or b""
            is_id = in_ids and _names_id(blob)
            known = own if 0 <= own <= MAX_ID else -1
            found.ids.append(int(blob.removeprefix(b"token_id:")) if is_id else known)
            found.literals.append(b"" if is_id else blob)
    found.logprobs = [math.nan if p is None else p for row in rows for _, p, _ in row]
    found.ranks = [-1] * len(found.ids)
    counts = np.array(found.counts, np.int32)
    return to_columns(found, np.where((counts > 0) & own_first, offsets_of(counts)[:-1], UNDECIDED))


def _names_id(name: str | bytes | None) -> bool:
    blob = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name or b""
    number = blob.removeprefix(b"token_id:")
    return blob.startswith(b"token_id:") and number.isdigit() and len(number) < 10
