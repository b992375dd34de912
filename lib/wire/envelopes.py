"""Unwrap responses from log and batch records, SDK output and the responses of other APIs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lib.errors import BadResponse
from lib.wire.documents import MOST_DOCUMENTS, Document, TooMany, documents, single_value, too_many
from lib.wire.embedded_bytes import decode_embedded
from lib.wire.foreign_formats import NoResponse, no_response, refuse_object
from lib.wire.json_fields import OPEN_ANSWERED, Fields, fields_of, standard
from lib.wire.parts import Found, Part, answers_in, inheriting, joined, without_metadata, without_repeats
from lib.wire.records import (
    REQUESTS,
    SDK_ONLY,
    failed_call,
    is_log_event,
    is_response,
    listed_in,
    may_hold_response,
    message_of,
    refuse_elsewhere,
    refuse_failed,
    request_body,
    string_field,
    unquoted,
)
from lib.wire.responses_api import as_chat, as_chunk, refuse_unfinished

_RESPONSES = ("response", "response", "output", "modelOutput", "outputBodyJson", "body", "Body")

_EVENTS = ("chunk", "PayloadPart")  # of Bedrock, of SageMaker

_LISTS = ("events", "logEvents")

_ONCE = ("stop_reason", "generation_token_count", "amazon-bedrock-invocationMetrics")  # of a chunk without text

_DEEPEST = 12

_CLOSING = ("response.completed", "response.incomplete")


@dataclass(frozen=True)
class Contents:
    """The contents of a file."""

    parts: tuple[Part, ...]  # its responses, with their chunks joined
    left_out: tuple[NoResponse, ...]  # why other records have no response


def contents(data: bytes) -> Contents:
    """The responses in a file or in pasted text. Raises BadResponse if there is none or they can't be read."""
    listed = documents(data)
    found: Found = []
    for document in listed:
        try:
            found += _unwrapped(document, 0)
        except BadResponse as error:
            if len(listed) == 1 or isinstance(error, TooMany):
                raise placed(document.place, error) from error
            found.append(_left_out(document.place, error))
        if len(found) > MOST_DOCUMENTS:
            raise too_many()
    parts = without_metadata(without_repeats([each for each in found if isinstance(each, Part)]))
    left_out = [each for each in found if isinstance(each, NoResponse)]
    if not parts:
        raise BadResponse(left_out[0].cause, left_out[0].remedy) if left_out else _nothing()
    whole = joined(parts)
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


def _unwrapped(document: Document, depth: int) -> Found:
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
    if not is_openai and not is_response(fields) and depth <= _DEEPEST:
        return _opened(part, fields, depth)
    # Without `top`, malformed choices are read again later, and the error then says what is wrong.
    return [replace(part, top=document.top if is_openai or "choices" not in fields else None)]


def _opened(part: Part, fields: Fields, depth: int) -> Found:
    """Find the responses in a document that isn't a response itself."""
    if (event := next((name for name in _EVENTS if name in fields), "")) or set(fields) in ({"bytes"}, {"bytes", "p"}):
        return _of_event(part, bytes(fields.get(event, part.body)), depth)
    if string_field(fields, "type").startswith("response."):
        return _of_responses_event(part, fields, depth)
    if string_field(fields, "object") == "response":
        refuse_unfinished(part.body)
        return [replace(part, body=as_chat(part.body))]
    for name in _LISTS:
        if name in fields and (listed := listed_in(bytes(fields[name]))) is not None:
            return _each(part, [message_of(event) for event in listed], "Event", depth)
    for name in ("message", "@message"):
        if string_field(fields, name).lstrip().startswith("{"):
            return _within(part, unquoted(bytes(fields[name])), depth)
    refuse_object(fields)
    refuse_failed(fields)
    return _held(part, fields, depth)


def _held(part: Part, fields: Fields, depth: int) -> Found:
    """Find the responses in a record's fields, under the usual names or any other."""
    named = [name for name in _RESPONSES if name in fields and bytes(fields[name]) != b"null"]
    if named:
        return _paired(part, fields, bytes(fields[named[0]]), depth)
    if any(name in fields for name in _ONCE):
        return [part]
    if set(fields) <= SDK_ONLY and fields:
        return [part]
    held = [bytes(raw) for name, raw in fields.items() if name not in REQUESTS and may_hold_response(bytes(raw))]
    inner = decode_embedded(part.body)
    if inner is not None and inner != part.body:
        return _within(part, inner, depth)
    if not held:
        raise failed_call(fields) if "message" in fields and not is_log_event(fields) else no_response(fields)
    if len(held) == 1:
        return _paired(part, fields, held[0], depth, streamed=False)
    return _each(part, held, "Field", depth)


def _of_event(part: Part, chunk: bytes, depth: int) -> Found:
    """Find the chunk in a stream event: as base64, as a buffer or as plain JSON."""
    fields = fields_of(chunk) or {}
    inner = decode_embedded(bytes(fields.get("bytes", fields.get("Bytes", chunk))))
    if inner is None:
        raise no_response(fields)
    if b"{" not in inner:
        return []  # such as the [DONE] of server-sent events
    return _within(replace(part, stream=part.stream or 0), inner, depth)


def _of_responses_event(part: Part, fields: Fields, depth: int) -> Found:
    """Convert an event of the Responses API: part of the text, or at the end the whole response."""
    kind = string_field(fields, "type")
    part = replace(part, stream=part.stream or 0)
    if "response" in fields and kind in _CLOSING:
        return _within(part, bytes(fields["response"]), depth)
    if kind == "response.failed" and "response" in fields:
        refuse_unfinished(bytes(fields["response"]))
    chunk = as_chunk(kind, part.body)
    return [] if chunk is None else [replace(part, body=chunk, passing=True)]


def _each(part: Part, items: list[bytes], word: str, depth: int) -> Found:
    """Find the responses in each entry of a list.

    An entry without a response becomes a NoResponse. If no entry has one, the first error is raised.
    """
    found: Found = []
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


def _within(part: Part, data: bytes, depth: int) -> Found:
    """Find the responses in a value of a record: an object, a list, or text in any form that a file may have."""
    if depth > _DEEPEST:
        raise no_response({})
    if data.startswith(b"["):
        listed = listed_in(data) or []
        # A row of CloudWatch Logs Insights is a list of fields, one of which is the message.
        rows = [item for item in listed if b'"field"' not in item or may_hold_response(item)]
        return _each(part, rows or listed, "Entry", depth + 1)
    if data.startswith(b'"'):
        data = decode_embedded(data) or b""
    if not data.startswith(b"{") or fields_of(data) is None:
        return _of_text(part, data, depth)
    inner = _unwrapped(Document(data, part.place, part.stream), depth + 1)
    return [each if isinstance(each, NoResponse) else inheriting(each, part) for each in inner]


def _of_text(part: Part, data: bytes, depth: int) -> Found:
    """Find the responses in a text within a record, such as server-sent events."""
    if b"{" not in data and not data.startswith(b"\x1f\x8b"):
        raise NoResponse("The response in this record is plain text, without logprobs.", "Open the response as JSON.")
    found: Found = []
    bare = replace(part, request=None, model="")
    for document in documents(data):
        stream = part.stream if document.stream is None else document.stream
        found += _unwrapped(replace(document, place=bare.place, stream=stream), depth + 1)
    return answers_in(part, found)


def _paired(part: Part, fields: Fields, response: bytes, depth: int, *, streamed: bool = True) -> Found:
    """Find the responses in a record and pair them with its request. streamed: whether a list holds chunks for sure."""
    body = next((bytes(fields[name]) for name in REQUESTS if name in fields), None)
    request = None if body is None else request_body(unquoted(body))
    part = replace(part, request=request, model=string_field(fields, "modelId") or part.model)
    return _of_response(part, decode_embedded(response) or b"", depth, streamed)


def _of_response(part: Part, response: bytes, depth: int, streamed: bool) -> Found:
    """Find the responses in the field of a record that holds them."""
    if (own := fields_of(response)) is not None and not is_response(own):
        refuse_object(own)
        if "outputBodyJson" in own:
            return _of_response(part, unquoted(bytes(own["outputBodyJson"])), depth + 1, True)
        refuse_elsewhere(own)
    if not response.startswith(b"["):
        return _within(part, response, depth)
    listed = listed_in(response)
    if not listed:
        raise NoResponse("The list of chunks is empty.", "Save the stream again.")
    stream = 0 if streamed and part.stream is None else part.stream
    return answers_in(part, _each(replace(part, request=None, model="", stream=stream), listed, "Entry", depth))
