"""Read records of calls in logs, batches and recordings: their fields, requests and errors."""

from __future__ import annotations

from itertools import islice

import msgspec

from lib.wire.documents import MOST_DOCUMENTS, too_many
from lib.wire.foreign_formats import NoResponse
from lib.wire.json_fields import AN_ERROR, BROKEN, OPEN_ANSWERED, Fields, error_text, fields_of
from lib.wire.scan import values

_SIGNS = (b"generation", b"choices", b"logprobs", b'"embedding"', b'"eyJ', b'"H4sI')

REQUESTS = ("request", "input", "modelInput", "inputBodyJson")

_FAILURES = ("error", "Error", "errorCode", "errorMessage")

SDK_ONLY = {"contentType", "performanceConfigLatency", "serviceTier", "ResponseMetadata"}


def is_response(fields: Fields) -> bool:
    """Whether these are the fields of a response, rather than of something that holds one."""
    if "choices" in fields:
        return True
    if "generation" in fields:
        return not bytes(fields["generation"]).startswith((b"{", b"["))
    if "outputs" not in fields:
        return False
    listed = listed_in(bytes(fields["outputs"]))
    first = fields_of(listed[0]) if listed else None
    return first is not None and "text" in first and not is_response(first)


def may_hold_response(raw: bytes) -> bool:
    """Whether a value may hold a response: it contains the name of a response's field, or base64 that may."""
    if not raw.startswith((b"{", b"[", b'"')):
        return False
    return any(sign in raw for sign in _SIGNS)


def is_log_event(fields: Fields) -> bool:
    """Whether these are the fields of a log event."""
    return any(name in fields for name in ("timestamp", "@timestamp", "eventId", "level", "time"))


def message_of(event: bytes) -> bytes:
    """The message of a log event if it is a string, else the event itself."""
    message = bytes((fields_of(event) or {}).get("message", event))
    return message if message.startswith(b'"') else event


def request_body(request: bytes) -> bytes | None:
    """The body of a request in a log record or an HTTP recording; None if it wasn't saved."""
    fields = fields_of(request) or {}
    if "inputBodyJson" in fields:
        return unquoted(bytes(fields["inputBodyJson"]))
    if "postData" in fields and (sent := fields_of(bytes(fields["postData"]))) is not None and "text" in sent:
        return unquoted(bytes(sent["text"]))
    outside = {"inputContentType", "inputBodyS3Path", "url", "headers"} & set(fields)
    return None if outside else request


def refuse_elsewhere(output: Fields) -> None:
    """Raise NoResponse for the output of a log record that doesn't include the body."""
    if path := string_field(output, "outputBodyS3Path"):
        raise NoResponse(f"The log record holds no response; it is in S3 at {path}.", "Download that file and open it.")
    if "outputContentType" in output:
        raise NoResponse(
            "The log record holds no response.", "Turn on text data for model invocation logging, and log it again."
        )


def refuse_failed(fields: Fields) -> None:
    """Raise NoResponse for the record of a failed call."""
    failed = any(name in fields and bytes(fields[name]) not in (b"null", b'""', b"{}") for name in _FAILURES)
    if failed and not any(name in fields and bytes(fields[name]) != b"null" for name in ("output", "modelOutput")):
        raise failed_call(fields)


def failed_call(fields: Fields) -> NoResponse:
    """The error for the record of a failed call."""
    return NoResponse(AN_ERROR.format(error_text(fields)), OPEN_ANSWERED)


def unquoted(data: bytes) -> bytes:
    """The content of a JSON string; other JSON unchanged. Bodies are saved either as objects or as strings."""
    if not data.startswith(b'"'):
        return data
    try:
        return str(msgspec.json.decode(data, type=str)).strip().encode("utf-8", "surrogatepass")
    except BROKEN:
        return data


def listed_in(data: bytes) -> list[bytes] | None:
    """The entries of a list; None if it isn't a list. Raises BadResponse if there are too many."""
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


def string_field(fields: Fields, name: str) -> str:
    """The string in a field; "" if there is none."""
    if name not in fields:
        return ""
    try:
        return str(msgspec.json.decode(fields[name], type=str))
    except BROKEN:
        return ""
