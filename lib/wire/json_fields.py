"""Read the fields of a JSON object one by one, and report JSON that can't be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from lib.errors import BadResponse
from lib.segmentation.char_classes import encodable
from lib.wire.positions import ABSENT, MAX_ID

MAX_BYTES = 100_000_000  # four times what InvokeModel may return
BROKEN = (msgspec.DecodeError, UnicodeDecodeError)  # raised on bytes that aren't JSON
Fields = Mapping[str, msgspec.Raw]

# Causes and remedies that several readers share.
PASTE_WHOLE = "Paste the whole response, from its first { to its last }, as Bedrock sent it."
OPEN_UNCHANGED = "Open the response itself, as Bedrock sent it."
OPEN_ANSWERED = "Open a response that has an answer."
NOT_JSON = ("This is not JSON.", PASTE_WHOLE)
ENDS_EARLY = ("This JSON ends too early.", PASTE_WHOLE)
TOO_DEEP = ("This JSON is nested too deeply for a response.", OPEN_UNCHANGED)
INFINITY = ("The response holds Infinity where a logprob should be.", "Save the response again.")
NOT_A_RESPONSE = (
    "This is JSON, but not a Custom Model Import response.",
    (
        'A response has "generation" or "choices" at its top level. Paste it as Bedrock sent it, or with its request '
        'as {"request": …, "response": …}.'
    ),
)
AN_ERROR = "This is an error, not a response: {}"

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check_size(size: int) -> None:
    """Raise BadResponse for more bytes than any response has."""
    if size > MAX_BYTES:
        raise BadResponse(
            f"This has {size / 1e6:,.0f} MB; a Bedrock response has at most 25 MB.",
            "Open the response itself, or split a long list of responses into several files.",
        )


def standard(data: bytes) -> bytes:
    """Rewrite JSON without Python's constants and lone surrogates. Raises BadResponse if it isn't JSON."""

    def constant(name: str) -> float | None:
        if name == "Infinity":
            raise BadResponse(*INFINITY)
        return ABSENT if name == "-Infinity" else None

    try:
        text = data.decode("utf-8", "surrogatepass")
        return encodable(json.dumps(json.loads(text, parse_constant=constant), ensure_ascii=False)).encode()
    except RecursionError as deep:
        raise BadResponse(*TOO_DEEP) from deep
    except UnicodeDecodeError as error:
        raise BadResponse(f"The text is not UTF-8 (byte {error.start + 1:,}).", "Save it again as UTF-8.") from error
    except ValueError as broken:
        at_end = isinstance(broken, json.JSONDecodeError) and broken.pos >= len(text.rstrip())
        truncated = at_end or str(broken).startswith("Unterminated string")
        early = truncated and text.lstrip().startswith(("{", "["))
        raise BadResponse(*(ENDS_EARLY if early else NOT_JSON)) from broken


def fields_of(data: bytes | msgspec.Raw) -> Fields | None:
    """The fields of a JSON object; None for anything else."""
    try:
        return _FIELDS.decode(data)
    except (*BROKEN, RecursionError):
        return None


def object_fields(data: bytes) -> Fields:
    """The fields of a JSON object. Raises BadResponse for other JSON, and one of BROKEN for bytes that aren't JSON."""
    try:
        return _FIELDS.decode(data)
    except msgspec.ValidationError as error:
        raise BadResponse(
            "This is JSON, but not an object: a response begins with {.", "Open a single response."
        ) from error


def error_text(fields: Fields) -> str:
    """The message of an error, under any of the names services and SDKs use; its code if it has no message."""
    for name in ("message", "errorMessage", "error", "Error", "Message", "errorCode"):
        value = any_value(fields, name)
        if isinstance(value, dict):
            names = ("message", "errorMessage", "Message", "errorCode", "Code", "code", "type")
            value = next((value[key] for key in names if value.get(key)), None)
        if value:
            return str(value)[:300]
    return "it has no message."


def is_null(raw: msgspec.Raw) -> bool:
    """Whether a raw value is null, without decoding it."""
    return bytes(memoryview(raw)[:4]) == b"null"


def any_value(fields: Fields, name: str) -> Any:
    """The value of a field, whatever its type; None if it is absent or can't be read."""
    try:
        return msgspec.json.decode(fields[name]) if name in fields else None
    except BROKEN:
        return None


def typed_value(fields: Fields, name: str, kind: Any, default: Any = None) -> Any:
    """The value of a field, decoded as `kind`; `default` if it is absent."""
    return msgspec.json.decode(fields[name], type=kind) if name in fields else default


def stop_word(fields: Fields, name: str) -> str | None:
    """The reason an answer ended; some servers send an object that names it."""
    value = any_value(fields, name)
    value = value.get("type") if isinstance(value, dict) else value
    return value or None if isinstance(value, str) else None


def id_list(fields: Fields, name: str) -> tuple[int, ...] | None:
    """A list of token ids; None if it is absent or null. Raises BadResponse for impossible ids."""
    ids = typed_value(fields, name, list[int] | None)
    if ids is None:
        return None
    if any(not 0 <= number <= MAX_ID for number in ids):
        raise BadResponse("The response holds a token id that no vocabulary has.", "Save the response again.")
    return tuple(ids)


def count_or_none(value: Any) -> int | None:
    """A count of tokens, or None if the value isn't one."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text_or_none(value: Any) -> str | None:
    """The value if it is a string, else None."""
    return value if isinstance(value, str) else None


def intervened(fields: Fields, name: str) -> bool:
    """Whether a field says that a guardrail intervened."""
    return str(any_value(fields, name) or "").upper() not in ("", "NONE")
