"""Unwrap responses from log and batch records, SDK output and the responses of other APIs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice

import msgspec

from lib.errors import BadResponse
from lib.wire.chunks import Chunk, Group, groups_of
from lib.wire.documents import MOST_DOCUMENTS, Document, TooMany, documents, single_value, too_many
from lib.wire.embedded_bytes import decode_embedded
from lib.wire.foreign_formats import NoResponse, no_response, refuse_object
from lib.wire.join_chunks import join_chunks
from lib.wire.json_fields import AN_ERROR, BROKEN, OPEN_ANSWERED, Fields, error_text, fields_of, standard
from lib.wire.responses_api import as_chat, as_chunk, refuse_unfinished
from lib.wire.scan import values
from lib.wire.top_level import TopLevel

_RESPONSES = ("response", "response", "output", "modelOutput", "outputBodyJson", "body", "Body")
_REQUESTS = ("request", "input", "modelInput", "inputBodyJson")
_EVENTS = ("chunk", "PayloadPart")  # of Bedrock, of SageMaker
_LISTS = ("events", "logEvents")
_SIGNS = (b"generation", b"choices", b"logprobs", b'"embedding"', b'"eyJ', b'"H4sI')
_ONCE = ("stop_reason", "generation_token_count", "amazon-bedrock-invocationMetrics")  # of a chunk without text
_DEEPEST = 12
_SDK_ONLY = {"contentType", "performanceConfigLatency", "serviceTier", "ResponseMetadata"}
_FAILURES = ("error", "Error", "errorCode", "errorMessage")
_CLOSING = ("response.completed", "response.incomplete")


@dataclass(frozen=True)
class Part:
    """A response, or a chunk of one."""

    body: bytes  # JSON
    request: bytes | None = None  # JSON; None if it wasn't saved
    model: str = ""  # the model that was called; "" if not stated
    place: str = ""  # as in `Document`
    stream: int | None = None  # as in `Document`
    cut: bool = False  # whether it is a stream without its end
    passing: bool = False  # whether the stream repeats it as a whole when it ends
    top: TopLevel | None = field(default=None, repr=False, compare=False)  # of `body`; None if not read yet


_Found = list[Part | NoResponse]


@dataclass(frozen=True)
class Contents:
    """The contents of a file."""

    parts: tuple[Part, ...]  # its responses, with their chunks joined
    left_out: tuple[NoResponse, ...]  # why other records have no response


def contents(data: bytes) -> Contents:
    """The responses in a file or in pasted text. Raises BadResponse if there is none or they can't be read."""
    listed = documents(data)
    found: _Found = []
    for document in listed:
        try:
            found += _unwrapped(document, 0)
        except BadResponse as error:
            if len(listed) == 1 or isinstance(error, TooMany):
                raise placed(document.place, error) from error
            found.append(_left_out(document.place, error))
        if len(found) > MOST_DOCUMENTS:
            raise too_many()
    parts = _without_closers(_settled([each for each in found if isinstance(each, Part)]))
    left_out = [each for each in found if isinstance(each, NoResponse)]
    if not parts:
        raise BadResponse(left_out[0].cause, left_out[0].remedy) if left_out else _nothing()
    whole = _with_joined(parts)
    if listed[-1].cut and left_out and whole[-1].cut:
        left_out.pop()  # the stream says that it was cut off
    return Contents(tuple(whole), tuple(left_out))


def placed(place: str, error: BadResponse) -> BadResponse:
    """The error, with the place it was found at."""
    return type(error)(f"{place}: {error.cause}", error.remedy) if place else error


def _left_out(place: str, error: BadResponse) -> NoResponse:
    return NoResponse(placed(place, error).cause, error.remedy)


def _nothing() -> BadResponse:
    return BadResponse("The file holds no response.", OPEN_ANSWERED)


def _settled(parts: list[Part]) -> list[Part]:
    """Without the pieces of a response that follows as a whole."""
    found: list[Part] = []
    for part in parts:
        if part.stream is not None and not part.passing:
            while found and found[-1].passing and found[-1].stream == part.stream:
                found.pop()
        found.append(part)
    return found


def _without_closers(parts: list[Part]) -> list[Part]:
    """Without what the AWS CLI and SDKs write beside a body."""
    if len(parts) == 1:
        return parts
    return [part for part in parts if len(part.body) > 10_000 or not _beside(part.body)]


def _beside(body: bytes) -> bool:
    fields = fields_of(body)
    return fields is not None and bool(fields) and set(fields) <= _SDK_ONLY


def _with_joined(parts: list[Part]) -> list[Part]:
    """The responses, each with its chunks joined."""
    if len(parts) == 1 and parts[0].stream is None:
        return parts
    groups = groups_of(Chunk(part.body, part.stream, part.request is not None) for part in parts)
    return [_whole(parts[group.first], group) for group in groups]


def _whole(part: Part, group: Group) -> Part:
    """The response that a group of chunks makes."""
    cut = not group.over and (len(group.bodies) > 1 or part.stream is not None)
    return replace(
        part, body=join_chunks(group.bodies), cut=part.cut or cut, top=part.top if len(group.bodies) == 1 else None
    )


def _unwrapped(document: Document, depth: int) -> _Found:
    if document.problem is not None:
        raise document.problem
    data = document.data
    fields = fields_of(data) if document.top is None else document.top.fields
    if fields is None:
        data = standard(data)
        fields = fields_of(data)
    part = Part(data, None, "", document.place, document.stream)
    if fields is None:
        raise single_value()
    is_openai = document.top is not None and document.top.choices is not None
    if not is_openai and not _is_own(fields) and depth <= _DEEPEST:
        return _opened(part, fields, depth)
    # Choices that aren't a list of objects are read again, for the error to say so.
    return [replace(part, top=document.top if is_openai or "choices" not in fields else None)]


def _is_own(fields: Fields) -> bool:
    """Whether these are the fields of a response, rather than of something that holds one."""
    if "choices" in fields:
        return True
    if "generation" in fields:
        return not bytes(fields["generation"]).startswith((b"{", b"["))
    if "outputs" not in fields:
        return False
    listed = _listed(bytes(fields["outputs"]))
    first = fields_of(listed[0]) if listed else None
    return first is not None and "text" in first and not _is_own(first)


def _opened(part: Part, fields: Fields, depth: int) -> _Found:
    """What a document that is no response by itself holds."""
    if (event := next((name for name in _EVENTS if name in fields), "")) or set(fields) in ({"bytes"}, {"bytes", "p"}):
        return _of_event(part, bytes(fields.get(event, part.body)), depth)
    if _string(fields, "type").startswith("response."):
        return _of_responses_event(part, fields, depth)
    if _string(fields, "object") == "response":
        refuse_unfinished(part.body)
        return [replace(part, body=as_chat(part.body))]
    for name in _LISTS:
        if name in fields and (listed := _listed(bytes(fields[name]))) is not None:
            return _each(part, [_message_of(event) for event in listed], "Event", depth)
    for name in ("message", "@message"):
        if _string(fields, name).lstrip().startswith("{"):
            return _within(part, _unquoted(bytes(fields[name])), depth)
    refuse_object(fields)
    _refuse_failed(fields)
    return _held(part, fields, depth)


def _held(part: Part, fields: Fields, depth: int) -> _Found:
    """The responses that the fields of a record hold, under the usual names or under others."""
    named = [name for name in _RESPONSES if name in fields and bytes(fields[name]) != b"null"]
    if named:
        return _paired(part, fields, bytes(fields[named[0]]), depth)
    if any(name in fields for name in _ONCE):
        return [part]
    if set(fields) <= _SDK_ONLY and fields:
        return [part]
    held = [bytes(raw) for name, raw in fields.items() if name not in _REQUESTS and _may_hold(bytes(raw))]
    inner = decode_embedded(part.body)
    if inner is not None and inner != part.body:
        return _within(part, inner, depth)
    if not held:
        raise _failed(fields) if "message" in fields and not _is_logged(fields) else no_response(fields)
    if len(held) == 1:
        return _paired(part, fields, held[0], depth, streamed=False)
    return _each(part, held, "Field", depth)


def _may_hold(raw: bytes) -> bool:
    """Whether a value is worth a look: it holds the name of a response's field, or base64 that may."""
    if not raw.startswith((b"{", b"[", b'"')):
        return False
    return any(sign in raw for sign in _SIGNS)


def _is_logged(fields: Fields) -> bool:
    return any(name in fields for name in ("timestamp", "@timestamp", "eventId", "level", "time"))


def _message_of(event: bytes) -> bytes:
    """The message of an event of a log, where it is a string; else the event."""
    message = bytes((fields_of(event) or {}).get("message", event))
    return message if message.startswith(b'"') else event


def _of_event(part: Part, chunk: bytes, depth: int) -> _Found:
    """The chunk in an event of a stream: as base64, as a buffer, or as it is."""
    fields = fields_of(chunk) or {}
    inner = decode_embedded(bytes(fields.get("bytes", fields.get("Bytes", chunk))))
    if inner is None:
        raise no_response(fields)
    if b"{" not in inner:
        return []  # such as the [DONE] of server-sent events
    return _within(replace(part, stream=part.stream or 0), inner, depth)


def _of_responses_event(part: Part, fields: Fields, depth: int) -> _Found:
    """What an event of the Responses API holds: a piece of the text, or at the end the whole response."""
    kind = _string(fields, "type")
    part = replace(part, stream=part.stream or 0)
    if "response" in fields and kind in _CLOSING:
        return _within(part, bytes(fields["response"]), depth)
    if kind == "response.failed" and "response" in fields:
        refuse_unfinished(bytes(fields["response"]))
    chunk = as_chunk(kind, part.body)
    return [] if chunk is None else [replace(part, body=chunk, passing=True)]


def _each(part: Part, items: list[bytes], word: str, depth: int) -> _Found:
    """What each entry of a list holds. Entries without a response are named; the first is raised where all are."""
    found: _Found = []
    first: BadResponse | None = None
    for number, item in enumerate(items, 1):
        place = f"{part.place}, {word.lower()} {number}" if part.place else f"{word} {number}"
        own = part if len(items) == 1 else replace(part, place=place)
        try:
            found += _within(own, item, depth)
        except TooMany:
            raise
        except BadResponse as error:
            first = first or placed("" if len(items) == 1 else f"{word} {number}", error)
            found.append(_left_out(own.place, error))
        if len(found) > MOST_DOCUMENTS:
            raise too_many()
    if not any(isinstance(each, Part) for each in found):
        raise first or NoResponse(
            "The list of events is empty." if word == "Event" else "The list is empty.",
            "Widen the filter, and save it again.",
        )
    return found


def _within(part: Part, data: bytes, depth: int) -> _Found:
    """What a value within a record holds: an object, a list, or text that may be anything a file may be."""
    if depth > _DEEPEST:
        raise no_response({})
    if data.startswith(b"["):
        listed = _listed(data) or []
        # The rows of CloudWatch Logs Insights are lists of fields, of which one is the message.
        rows = [item for item in listed if b'"field"' not in item or _may_hold(item)]
        return _each(part, rows or listed, "Entry", depth + 1)
    if data.startswith(b'"'):
        data = decode_embedded(data) or b""
    if not data.startswith(b"{") or fields_of(data) is None:
        return _of_text(part, data, depth)
    inner = _unwrapped(Document(data, part.place, part.stream), depth + 1)
    return [each if isinstance(each, NoResponse) else _inheriting(each, part) for each in inner]


def _inheriting(inner: Part, part: Part) -> Part:
    return replace(inner, request=inner.request or part.request, model=inner.model or part.model)


def _of_text(part: Part, data: bytes, depth: int) -> _Found:
    """What a text within a record holds, such as server-sent events."""
    if b"{" not in data and not data.startswith(b"\x1f\x8b"):
        raise NoResponse("The response in this record is plain text, without logprobs.", "Open the response as JSON.")
    found: _Found = []
    bare = replace(part, request=None, model="")
    for document in documents(data):
        stream = part.stream if document.stream is None else document.stream
        found += _unwrapped(replace(document, place=bare.place, stream=stream), depth + 1)
    return _as_one(part, found)


def _as_one(part: Part, found: _Found) -> _Found:
    """The answers in a value of a record, chunks joined; the first has the request of the record."""
    if part.stream is not None:
        return [each if isinstance(each, NoResponse) else _inheriting(each, part) for each in found]
    inner = _settled([each for each in found if isinstance(each, Part)])
    groups = groups_of(Chunk(each.body, each.stream, each.request is not None) for each in inner)
    whole = [replace(_whole(inner[group.first], group), stream=None) for group in groups]
    first = [_inheriting(each, part) for each in whole[:1]]
    others = [_inheriting(each, replace(part, request=None)) for each in whole[1:]]
    return [*first, *others, *(each for each in found if isinstance(each, NoResponse))]


def _paired(part: Part, fields: Fields, response: bytes, depth: int, *, streamed: bool = True) -> _Found:
    """A response with its request, or a record that holds both. streamed: whether a list is known to be of chunks."""
    body = next((bytes(fields[name]) for name in _REQUESTS if name in fields), None)
    request = None if body is None else _asked(_unquoted(body))
    part = replace(part, request=request, model=_string(fields, "modelId") or part.model)
    return _of_response(part, decode_embedded(response) or b"", depth, streamed)


def _asked(request: bytes) -> bytes | None:
    """The body of a request, which a log record or a recording of HTTP holds; None where that was not kept."""
    fields = fields_of(request) or {}
    if "inputBodyJson" in fields:
        return _unquoted(bytes(fields["inputBodyJson"]))
    if "postData" in fields and (sent := fields_of(bytes(fields["postData"]))) is not None and "text" in sent:
        return _unquoted(bytes(sent["text"]))
    outside = {"inputContentType", "inputBodyS3Path", "url", "headers"} & set(fields)
    return None if outside else request


def _of_response(part: Part, response: bytes, depth: int, streamed: bool) -> _Found:
    """The responses in the value of a record that holds them."""
    if (own := fields_of(response)) is not None and not _is_own(own):
        refuse_object(own)
        if "outputBodyJson" in own:
            return _of_response(part, _unquoted(bytes(own["outputBodyJson"])), depth + 1, True)
        _refuse_elsewhere(own)
    if not response.startswith(b"["):
        return _within(part, response, depth)
    listed = _listed(response)
    if not listed:
        raise NoResponse("The list of chunks is empty.", "Save the stream again.")
    stream = 0 if streamed and part.stream is None else part.stream
    return _as_one(part, _each(replace(part, request=None, model="", stream=stream), listed, "Entry", depth))


def _refuse_elsewhere(output: Fields) -> None:
    """Raise for the output of a log record whose body is not in it."""
    if path := _string(output, "outputBodyS3Path"):
        raise NoResponse(f"The log record holds no response; it is in S3 at {path}.", "Download that file and open it.")
    if "outputContentType" in output:
        raise NoResponse(
            "The log record holds no response.", "Turn on text data for model invocation logging, and log it again."
        )


def _refuse_failed(fields: Fields) -> None:
    """Raise for a record of a failed call."""
    failed = any(name in fields and bytes(fields[name]) not in (b"null", b'""', b"{}") for name in _FAILURES)
    if failed and not any(name in fields and bytes(fields[name]) != b"null" for name in ("output", "modelOutput")):
        raise _failed(fields)


def _failed(fields: Fields) -> NoResponse:
    return NoResponse(AN_ERROR.format(error_text(fields)), OPEN_ANSWERED)


def _unquoted(data: bytes) -> bytes:
    """Bodies are saved as objects, or as strings that hold them."""
    if not data.startswith(b'"'):
        return data
    try:
        return str(msgspec.json.decode(data, type=str)).strip().encode("utf-8", "surrogatepass")
    except BROKEN:
        return data


def _listed(data: bytes) -> list[bytes] | None:
    """The entries of a list; None if it isn't a list. Raises BadResponse for more than are looked at."""
    if not data.startswith(b"["):
        return None
    if data.count(b",") > MOST_DOCUMENTS:
        objects = sum(1 for _ in islice(values(data), MOST_DOCUMENTS + 1))
        if not 0 < objects <= MOST_DOCUMENTS:
            raise too_many()
    try:
        return [bytes(each) for each in msgspec.json.decode(data, type=list[msgspec.Raw])]
    except (*BROKEN, RecursionError):
        return None


def _string(fields: Fields, name: str) -> str:
    if name not in fields:
        return ""
    try:
        return str(msgspec.json.decode(fields[name], type=str))
    except BROKEN:
        return ""


__all__ = ["Contents", "NoResponse", "Part", "contents", "placed"]
