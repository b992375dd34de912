"""Saved streams: which chunks belong to one answer, and the response that they make together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lib.errors import BadReply
from lib.wire.replies import BROKEN

_NULL, _EMPTY = msgspec.Raw(b"null"), msgspec.Raw(b'""')


class _Choice(msgspec.Struct):
    index: int | None = 0
    finish_reason: str | None = None
    delta: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Head(msgspec.Struct, rename={"metrics": "amazon-bedrock-invocationMetrics"}):
    """What tells a chunk from a whole response."""

    id: str | None = None
    object: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NULL
    generation: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    stop_reason: str | None = None
    prompt_token_count: int | msgspec.UnsetType | None = msgspec.UNSET
    generation_token_count: int | None = None
    metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def form(self) -> str:
        """The format: "bedrock", "chat" or "text"; "" for a chunk that only closes a stream."""
        if self.choices:
            return "chat" if (self.object or "").startswith("chat") or self.is_chunk else "text"
        return "" if self.generation is msgspec.UNSET else "bedrock"

    @property
    def is_chunk(self) -> bool:
        """Whether it is certainly no whole response."""
        return (self.object or "").endswith(".chunk") or any(
            each.delta is not msgspec.UNSET for each in self.choices or ()
        )

    @property
    def is_over(self) -> bool:
        if self.form == "bedrock":
            return self.stop_reason is not None
        return bool(self.choices) and all(each.finish_reason is not None for each in self.choices or ())


_HEAD = msgspec.json.Decoder(_Head)


@dataclass
class Group:
    """Chunks of one stream. finished: the numbers of the answers that have ended. counted: tokens so far."""

    form: str
    id: str = ""
    bodies: list[bytes] = field(default_factory=list)
    finished: set[int] = field(default_factory=set)
    whole: bool = False
    over: bool = False
    counted: int = 0

    def add(self, body: bytes, head: _Head | None) -> None:
        """Take the next chunk."""
        self.bodies.append(body)
        if head is None:
            self.whole = self.over = True
            return
        self.over = self.over or head.is_over or head.metrics is not msgspec.UNSET
        self.counted = head.generation_token_count or self.counted
        self.finished |= {each.index or 0 for each in head.choices or () if each.finish_reason is not None}

    def takes(self, head: _Head | None, streamed: bool) -> bool:
        """Whether a chunk goes on with this stream. streamed: it is known to be a part of one."""
        if head is None or self.whole:
            return False
        if head.form == "":
            return True  # it closes the stream
        if head.form != self.form:
            return False
        if self.form == "bedrock":
            return self._takes_bedrock(head, streamed)
        numbers = {each.index or 0 for each in head.choices or ()}
        same = self.id == (head.id or "") if self.id or head.id else streamed or head.is_chunk
        return same and not numbers <= self.finished

    def _takes_bedrock(self, head: _Head, streamed: bool) -> bool:
        if self.over:
            return head.generation in (_NULL, _EMPTY) and head.stop_reason is None
        if streamed:
            return True
        count = head.generation_token_count
        # The counts of a stream go up from chunk to chunk, and the first chunk alone counts the prompt.
        return count is not None and count > self.counted and (not head.prompt_token_count or self.counted > 0)


def head_of(body: bytes) -> _Head | None:
    """What tells a chunk; None for a document that is none."""
    try:
        head = _HEAD.decode(body)
    except (*BROKEN, RecursionError):
        return None
    return head if head.form or head.metrics is not msgspec.UNSET or head.choices == [] else None


def begun_by(body: bytes, head: _Head | None, streamed: bool) -> Group:
    """The group that a document begins."""
    group = Group("" if head is None else head.form, "" if head is None else head.id or "")
    group.add(body, head)
    if head is not None and not streamed and not head.is_chunk:
        # A response in one piece: only chunks come without their usage or the reason of their end.
        counted = head.form == "bedrock" or head.usage != _NULL
        group.whole = group.whole or (head.is_over and counted)
    return group


def groups_of(bodies: Iterable[bytes]) -> list[Group]:
    """The streams in a list of chunks that is known to be one."""
    found: list[Group] = []
    for body in bodies:
        head = head_of(body)
        if found and found[-1].takes(head, True):
            found[-1].add(body, head)
        else:
            found.append(begun_by(body, head, True))
    return found


def joined(chunks: Sequence[bytes]) -> bytes:
    """One response made of the chunks of a stream, as JSON. Raises BadReply for chunks that do not go together."""
    if len(chunks) == 1:
        return chunks[0]
    try:
        parts = [json.loads(chunk) for chunk in chunks]
        whole = _chat_or_text(parts) if any(part.get("choices") for part in parts) else _bedrock(parts)
    except (AttributeError, TypeError, KeyError, ValueError, RecursionError) as error:
        raise BadReply("The chunks of this stream do not go together.", "Save the stream again.") from error
    return json.dumps(whole).encode()


def _bedrock(parts: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "generation": _text(part.get("generation") for part in parts),
        "prompt_token_count": _first(part.get("prompt_token_count") for part in parts),
        "generation_token_count": _first(part.get("generation_token_count") for part in reversed(parts)),
        "stop_reason": _first(part.get("stop_reason") for part in reversed(parts)),
    }
    if any(part.get("logprobs") is not None for part in parts):
        whole["logprobs"] = [row for part in parts for row in part.get("logprobs") or ()]
    return whole | _carried(parts)


def _carried(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The fields that a stream states once."""
    names = ("prompt_logprobs", "amazon-bedrock-invocationMetrics", "amazon-bedrock-guardrailAction")
    found = {name: _first(part.get(name) for part in reversed(parts)) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _chat_or_text(parts: list[dict[str, Any]]) -> dict[str, Any]:
    chat = any("delta" in choice or "message" in choice for part in parts for choice in part.get("choices") or ())
    numbers = dict.fromkeys(choice.get("index") or 0 for part in parts for choice in part.get("choices") or ())
    whole = {
        name: value
        for name in ("id", "created", "model", "usage", "prompt_token_ids")
        if (value := _first(part.get(name) for part in parts)) is not None
    }
    if (usage := _first(part.get("usage") for part in reversed(parts))) is not None:
        whole["usage"] = usage
    whole["object"] = "chat.completion" if chat else "text_completion"
    whole["choices"] = [_choice(parts, number, chat) for number in numbers]
    return whole | _carried(parts)


def _choice(parts: list[dict[str, Any]], number: int, chat: bool) -> dict[str, Any]:
    own = [each for part in parts for each in part.get("choices") or () if (each.get("index") or 0) == number]
    choice: dict[str, Any] = {
        "index": number,
        "finish_reason": _first(each.get("finish_reason") for each in reversed(own)),
        "logprobs": _logprobs([each["logprobs"] for each in own if each.get("logprobs") is not None]),
    }
    for name in ("prompt_token_ids", "prompt_logprobs"):
        if (value := _first(each.get(name) for each in own)) is not None:
            choice[name] = value
    if any(each.get("token_ids") is not None for each in own):
        choice["token_ids"] = [one for each in own for one in each.get("token_ids") or ()]
    if not chat:
        return choice | {"text": _text(each.get("text") for each in own)}
    deltas = [each.get("delta") or each.get("message") or {} for each in own]
    message: dict[str, Any] = {"role": "assistant", "content": _text(each.get("content") for each in deltas)}
    for name in ("reasoning_content", "reasoning"):
        if any(each.get(name) for each in deltas):
            message[name] = _text(each.get(name) for each in deltas)
    for name in ("tool_calls", "function_call"):
        if (value := _first(each.get(name) or None for each in deltas)) is not None:
            message[name] = value
    return choice | {"message": message}


def _logprobs(parts: list[Any]) -> Any:
    """The logprobs of one answer, its lists end to end."""
    if not parts:
        return None
    whole: dict[str, list[Any]] = {}
    for part in parts:
        for name, rows in part.items():
            if isinstance(rows, list):
                whole.setdefault(name, []).extend(rows)
    return whole


def _text(parts: Iterable[Any]) -> str:
    return "".join(part for part in parts if isinstance(part, str))


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value is not None), None)
