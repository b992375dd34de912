"""Group the chunks of saved streams by the answer they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from lib.wire.json_fields import BROKEN

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
        """Whether it adds neither text nor logprobs."""
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
    """The fields that distinguish a chunk from a whole response."""

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
        """The id of the stream; "" if not sent."""
        return "" if self.id is None else str(self.id)

    @property
    def is_chunk(self) -> bool:
        """Whether it is certainly not a whole response."""
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
        """Whether it adds neither text nor logprobs."""
        return all(each.is_silent for each in self.choices or ())


_HEAD = msgspec.json.Decoder(_Head)


@dataclass
class Group:
    """The chunks of one stream."""

    first: int  # number of the document that opened it
    family: str  # as in `_Head`
    id: str = ""  # of the stream; "" if not sent
    used: int = 0  # chunks with that id
    bodies: list[bytes] = field(default_factory=list)  # JSON of each chunk
    seen: set[int | str] = field(default_factory=set)  # numbers of its answers
    finished: set[int | str] = field(default_factory=set)  # numbers of the answers that have ended
    whole: bool = False  # whether it is a response in one piece
    over: bool = False  # whether it has ended
    counted: int = 0  # tokens so far, as the service counts them

    def add(self, body: bytes, head: _Head | None) -> None:
        """Add the next chunk."""
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
        """Whether a chunk continues this stream. streamed: whether both are known to be parts of one."""
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
        """Whether the chunk's id is another stream's. Some servers give every chunk of a stream a different id."""
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
        # The counts of a stream increase from chunk to chunk, and only the first chunk counts the prompt.
        silent = head.generation is msgspec.UNSET or bytes(head.generation) in _SILENT
        return count > self.counted or (count == self.counted and silent)


@dataclass(frozen=True)
class Chunk:
    """A document that may be a chunk."""

    body: bytes  # JSON
    stream: int | None = None  # as in `Document`
    alone: bool = False  # whether it is known to start a response


def groups_of(chunks: Iterable[Chunk]) -> list[Group]:
    """The streams that the chunks make, in the order of their first chunks."""
    streams = _Streams()
    listed = list(chunks)
    heads = [_head_of(chunk.body) for chunk in listed]
    _forget_single_ids(heads)
    for number, (chunk, head) in enumerate(zip(listed, heads, strict=True)):
        streams.add(number, chunk, head)
    return streams.found or [_group_of(*each, None) for rest in streams.opening.values() for each in rest]


def _forget_single_ids(heads: Sequence[_Head | None]) -> None:
    """Remove the ids of chunks if no two share one: some servers number chunks rather than streams."""
    chunks = [head for head in heads if head is not None and head.is_chunk and head.name]
    if len(chunks) > 2 and len({head.name for head in chunks}) == len(chunks):
        for head in chunks:
            head.id = None


class _Streams:
    """The streams that have started, and chunks without choices that precede all others of their stream."""

    def __init__(self) -> None:
        self.found: list[Group] = []
        self.opening: dict[int | None, list[tuple[int, Chunk]]] = {}
        self._last: dict[int | None, Group] = {}  # by the number of the stream
        self._named: dict[str, Group] = {}  # by id, where a chunk is not known to be of one stream

    def add(self, number: int, chunk: Chunk, head: _Head | None) -> None:
        """Add the next chunk."""
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
        group = _group_of(number, chunk, head)
        opening = self.opening.pop(chunk.stream, [])
        if not group.whole:
            group.bodies[:0] = [each.body for _, each in opening]
        self.found.append(group)
        self._last[chunk.stream] = group
        if group.id and chunk.stream is None:
            self._named[group.id] = group


def _head_of(body: bytes) -> _Head | None:
    """The head of a chunk; None for a document that isn't one."""
    try:
        head = _HEAD.decode(body)
    except (*BROKEN, RecursionError):
        return None
    return head if head.family or head.metrics is not msgspec.UNSET or head.choices == [] else None


def _group_of(number: int, chunk: Chunk, head: _Head | None) -> Group:
    """The group that a document starts."""
    group = Group(number, "" if head is None else head.family)
    group.add(chunk.body, head)
    if head is not None and chunk.stream is None and not head.is_chunk:
        # A response in one piece: only chunks come without their usage or the reason of their end.
        counted = head.family == "bedrock" or head.usage != _UNSENT
        group.whole = group.whole or (head.is_over and counted)
    return group
