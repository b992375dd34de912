"""Saved streams: which chunks belong to one answer, and the response that they make together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lib.errors import BadResponse
from lib.wire.json_fields import BROKEN

_MOST_ANSWERS = 1_000  # in one stream
_SILENT = (b"null", b'""', b"[]", b"{}")
_Name = str | int | float | None
_UNSENT = msgspec.Raw(b"null")


class _Choice(msgspec.Struct):
    index: int | str | None = 0
    finish_reason: msgspec.Raw = _UNSENT
    delta: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: msgspec.Raw = _UNSENT
    logprobs: msgspec.Raw = _UNSENT

    @property
    def is_over(self) -> bool:
        return bytes(self.finish_reason) not in _SILENT

    @property
    def is_silent(self) -> bool:
        """Whether it adds neither text nor scores."""
        delta = msgspec.Raw(b"null") if self.delta is msgspec.UNSET else self.delta
        return bytes(self.text) in _SILENT and _is_empty(self.logprobs) and _is_empty(delta, but=("role",))


def _is_empty(raw: msgspec.Raw, but: tuple[str, ...] = ()) -> bool:
    """Whether a value or, but for those, all fields of an object say nothing."""
    if bytes(raw) in _SILENT:
        return True
    try:
        fields = _FIELDS.decode(raw)
    except (*BROKEN, RecursionError):
        return False
    return all(bytes(value) in _SILENT for name, value in fields.items() if name not in but)


_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Head(msgspec.Struct, rename={"metrics": "amazon-bedrock-invocationMetrics"}):
    """What tells a chunk from a whole response."""

    id: _Name = None
    object: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _UNSENT
    generation: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    stop_reason: msgspec.Raw = _UNSENT
    prompt_token_count: int | msgspec.UnsetType | None = msgspec.UNSET
    generation_token_count: int | None = None
    metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def family(self) -> str:
        """The format: "bedrock", "chat" or "text"; "" for a chunk that opens or closes a stream."""
        if self.choices:
            return "chat" if (self.object or "").startswith("chat") or self.is_chunk else "text"
        return "" if self.generation is msgspec.UNSET else "bedrock"

    @property
    def name(self) -> str:
        """The id of the stream, "" where none was sent."""
        return "" if self.id is None else str(self.id)

    @property
    def is_chunk(self) -> bool:
        """Whether it is certainly no whole response."""
        return (self.object or "").endswith(".chunk") or any(
            each.delta is not msgspec.UNSET for each in self.choices or ()
        )

    @property
    def is_over(self) -> bool:
        if self.family == "bedrock":
            return bytes(self.stop_reason) not in _SILENT
        return bool(self.choices) and all(each.is_over for each in self.choices or ())

    @property
    def is_silent(self) -> bool:
        """Whether it adds neither text nor scores."""
        return all(each.is_silent for each in self.choices or ())


_HEAD = msgspec.json.Decoder(_Head)


@dataclass
class Group:
    """Chunks of one stream.

    first: the number of the document that opened it. family, id: of the stream. used: chunks that had its id.
    seen, finished: the numbers of its answers, and of those that have ended. whole: a response in one piece. over:
    ended. counted: tokens so far.
    """

    first: int
    family: str
    id: str = ""
    used: int = 0
    bodies: list[bytes] = field(default_factory=list)
    seen: set[int | str] = field(default_factory=set)
    finished: set[int | str] = field(default_factory=set)
    whole: bool = False
    over: bool = False
    counted: int = 0

    def add(self, body: bytes, head: _Head | None) -> None:
        """Take the next chunk."""
        if head is None:
            self.bodies.append(body)
            self.whole = self.over = True
            return
        if not (self.whole and not head.family):
            self.bodies.append(body)
        self.id = self.id or head.name
        self.used += bool(head.name) and head.name == self.id
        self.counted = head.generation_token_count or self.counted
        self.seen |= {each.index or 0 for each in head.choices or ()}
        self.finished |= {each.index or 0 for each in head.choices or () if each.is_over}
        ended = self.seen <= self.finished if self.seen else head.is_over
        self.over = ended or head.metrics is not msgspec.UNSET or (self.over and not self.seen)

    def takes(self, head: _Head, streamed: bool) -> bool:
        """Whether a chunk goes on with this stream. streamed: both are known to be parts of one."""
        if not head.family:
            return True  # it closes the stream
        if self.family != "bedrock" != head.family and head.is_silent and (streamed or head.is_chunk):
            another = self.over and head.is_over and not head.is_chunk  # one without text
            return not another and not self._is_other(head, streamed)
        if self.whole or head.family != self.family:
            return False
        if self.family == "bedrock":
            return self._takes_bedrock(head, streamed)
        if self._is_other(head, streamed):
            return False
        return not {each.index or 0 for each in head.choices or ()} <= self.finished or head.is_silent

    def _is_other(self, head: _Head, streamed: bool) -> bool:
        """Whether the chunk's id is another stream's. Some servers give every chunk of a stream an id of its own."""
        if streamed:
            return bool(head.name) and head.name != self.id and self.used > 1
        if head.name and self.id:
            return head.name != self.id
        unnamed = head.id == "" and not self.id and head.usage == _UNSENT  # as Text Generation Inference sends them
        return not head.is_chunk and not unnamed

    def _takes_bedrock(self, head: _Head, streamed: bool) -> bool:
        if self.over:
            return bytes(head.generation or b"null") in _SILENT and not head.is_over
        if streamed:
            return True
        count = head.generation_token_count
        if count is None or (head.prompt_token_count and not self.counted):
            return False
        # The counts of a stream go up from chunk to chunk, and the first chunk alone counts the prompt.
        silent = head.generation is msgspec.UNSET or bytes(head.generation) in _SILENT
        return count > self.counted or (count == self.counted and silent)


@dataclass(frozen=True)
class Chunk:
    """A document that may be a chunk. stream: as in `Document`. alone: whether it is known to begin a response."""

    body: bytes
    stream: int | None = None
    alone: bool = False


def groups_of(chunks: Iterable[Chunk]) -> list[Group]:
    """The streams that the chunks make, each in the order of its first chunk."""
    streams = _Streams()
    listed = list(chunks)
    heads = [_head_of(chunk.body) for chunk in listed]
    _forget_single_ids(heads)
    for number, (chunk, head) in enumerate(zip(listed, heads, strict=True)):
        streams.add(number, chunk, head)
    return streams.found or [_begun_by(*each, None) for rest in streams.opening.values() for each in rest]


def _forget_single_ids(heads: Sequence[_Head | None]) -> None:
    """Take away the ids of chunks where no two have the same: some servers number chunks rather than streams."""
    chunks = [head for head in heads if head is not None and head.is_chunk and head.name]
    if len(chunks) > 2 and len({head.name for head in chunks}) == len(chunks):
        for head in chunks:
            head.id = None


class _Streams:
    """The streams that have begun, and chunks without choices that came before any other of theirs."""

    def __init__(self) -> None:
        self.found: list[Group] = []
        self.opening: dict[int | None, list[tuple[int, Chunk]]] = {}
        self._last: dict[int | None, Group] = {}  # by the number of the stream
        self._named: dict[str, Group] = {}  # by id, where a chunk is not known to be of one stream

    def add(self, number: int, chunk: Chunk, head: _Head | None) -> None:
        """Take the next chunk."""
        streamed = chunk.stream is not None
        if head is not None and not chunk.alone:
            group = self._last.get(chunk.stream)
            group = self._named.get(head.name, group) if head.name and not streamed else group
            if group is not None and group.takes(head, streamed):
                group.add(chunk.body, head)
                return
            if not head.family and head.metrics is msgspec.UNSET:
                self.opening.setdefault(chunk.stream, []).append((number, chunk))
                return
        self._begin(number, chunk, head)

    def _begin(self, number: int, chunk: Chunk, head: _Head | None) -> None:
        group = _begun_by(number, chunk, head)
        opening = self.opening.pop(chunk.stream, [])
        if not group.whole:
            group.bodies[:0] = [each.body for _, each in opening]
        self.found.append(group)
        self._last[chunk.stream] = group
        if group.id and chunk.stream is None:
            self._named[group.id] = group


def _head_of(body: bytes) -> _Head | None:
    """What tells a chunk; None for a document that is none."""
    try:
        head = _HEAD.decode(body)
    except (*BROKEN, RecursionError):
        return None
    return head if head.family or head.metrics is not msgspec.UNSET or head.choices == [] else None


def _begun_by(number: int, chunk: Chunk, head: _Head | None) -> Group:
    """The group that a document begins."""
    group = Group(number, "" if head is None else head.family)
    group.add(chunk.body, head)
    if head is not None and chunk.stream is None and not head.is_chunk:
        # A response in one piece: only chunks come without their usage or the reason of their end.
        counted = head.family == "bedrock" or head.usage != _UNSENT
        group.whole = group.whole or (head.is_over and counted)
    return group


def joined(chunks: Sequence[bytes]) -> bytes:
    """One response made of the chunks of a stream, as JSON. Raises BadResponse for chunks that do not go together."""
    if len(chunks) == 1:
        return chunks[0]
    try:
        parts = [json.loads(chunk) for chunk in chunks]
        whole = _chat_or_text(parts) if any(part.get("choices") for part in parts) else _bedrock(parts)
    except (AttributeError, TypeError, KeyError, ValueError, RecursionError) as error:
        raise BadResponse("The chunks of this stream do not go together.", "Save the stream again.") from error
    return json.dumps(whole).encode()


def _bedrock(parts: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "generation": _text(part.get("generation") for part in parts),
        "prompt_token_count": _first(part.get("prompt_token_count") for part in parts),
        "generation_token_count": _first(part.get("generation_token_count") for part in reversed(parts)),
        "stop_reason": _first(part.get("stop_reason") or None for part in reversed(parts)),
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
    own: dict[int, list[dict[str, Any]]] = {}  # the choices of each answer
    for part in parts:
        for choice in part.get("choices") or ():
            own.setdefault(int(choice.get("index") or 0), []).append(choice)
            if len(own) > _MOST_ANSWERS:
                raise BadResponse(f"The stream has more than {_MOST_ANSWERS:,} answers.", "Cut it into several files.")
    chat = any("delta" in choice or "message" in choice for choices in own.values() for choice in choices)
    whole = {
        name: value
        for name in ("id", "created", "model", "prompt_token_ids")
        if (value := _first(part.get(name) or None for part in parts)) is not None
    }
    if (usage := _first(part.get("usage") for part in reversed(parts))) is not None:
        whole["usage"] = usage
    whole["object"] = "chat.completion" if chat else "text_completion"
    whole["choices"] = [_choice(choices, number, chat) for number, choices in sorted(own.items())]
    return whole | _carried(parts)


def _choice(own: list[dict[str, Any]], number: int, chat: bool) -> dict[str, Any]:
    """One answer of a stream. own: its choices, in order."""
    choice: dict[str, Any] = {
        "index": number,
        "finish_reason": _first(each.get("finish_reason") or None for each in reversed(own)),
        "logprobs": _logprobs([each["logprobs"] for each in own if each.get("logprobs") is not None]),
    }
    for name in ("prompt_token_ids", "prompt_logprobs"):
        if (value := _first(each.get(name) for each in own)) is not None:
            choice[name] = value
    if any(each.get("token_ids") is not None for each in own):
        choice["token_ids"] = [one for each in own for one in each.get("token_ids") or ()]
    if not chat:
        return choice | {"text": _text(each.get("text") for each in own)}
    return choice | {"message": _message([each.get("delta") or each.get("message") or {} for each in own])}


def _message(deltas: list[dict[str, Any]]) -> dict[str, Any]:
    content = [each.get("content") for each in deltas]
    message: dict[str, Any] = {"role": "assistant", "content": _text(content)}
    if any(isinstance(each, list) for each in content):
        message["content"] = [part for each in content for part in _parts(each)]
    for name in ("reasoning_content", "reasoning", "refusal", "thinking"):
        if any(each.get(name) for each in deltas):
            message[name] = _text(each.get(name) for each in deltas)
    if details := [one for each in deltas for one in each.get("reasoning_details") or ()]:
        message["reasoning_details"] = details
    for name in ("tool_calls", "function_call"):
        if (value := _first(each.get(name) or None for each in deltas)) is not None:
            message[name] = value
    return message


def _parts(content: Any) -> list[Any]:
    """A chunk's content as parts, where some chunks send parts and others text."""
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _logprobs(parts: list[Any]) -> Any:
    """The logprobs of one answer, its lists end to end, each as long as the tokens of its chunk."""
    if not parts:
        return None
    if all(isinstance(part, list) for part in parts):
        return [row for part in parts for row in part]
    names = {name for part in parts for name, rows in part.items() if isinstance(rows, list)}
    whole: dict[str, list[Any]] = {name: [] for name in names}
    for part in parts:
        count = len(part.get("tokens") or ())
        for name, rows in whole.items():
            own = part.get(name)
            rows += own if isinstance(own, list) else [None] * (count if name in _PER_TOKEN else 0)
    return whole


_PER_TOKEN = ("token_logprobs", "top_logprobs", "text_offset")


def _text(parts: Iterable[Any]) -> str:
    return "".join(part for part in parts if isinstance(part, str))


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value is not None), None)
