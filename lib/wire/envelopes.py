"""What responses come wrapped in: log and batch records, SDK output, other APIs; and what else a file may hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from lib.errors import BadReply
from lib.wire.chunks import Group, begun_by, groups_of, head_of, joined
from lib.wire.documents import Document, decoded_bytes, documents
from lib.wire.replies import BROKEN, Fields, error_text, standard

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RESPONSES = ("response", "reply", "output", "modelOutput", "outputBodyJson", "body", "Body")
_REQUESTS = ("request", "input", "modelInput", "inputBodyJson")
_OWN = ("generation", "choices", "outputs")
_DEEPEST = 6
_SDK_ONLY = {"contentType", "performanceConfigLatency", "serviceTier", "ResponseMetadata"}
# Fields that another API's response has, and what it is.
_OTHERS = (
    ({"stopReason", "output"}, "Converse, which returns no logprobs"),
    ({"completion_probabilities"}, "llama.cpp's own completion endpoint"),
    ({"generated_text"}, "Text Generation Inference's own endpoint"),
    ({"results", "inputTextTokenCount"}, "an Amazon Titan model, which returns no logprobs"),
    ({"type", "role", "content", "usage"}, "the Anthropic Messages API, which returns no logprobs"),
    ({"model", "created_at", "done"}, "Ollama's own endpoint"),
    ({"candidates", "usageMetadata"}, "the Gemini API"),
)
_CONVERSE_EVENTS = {"messageStart", "contentBlockDelta", "contentBlockStop", "messageStop"}


class NoResponse(BadReply):
    """A record that is read and holds no response, such as one of a failed call."""


@dataclass(frozen=True)
class Part:
    """A response, or a chunk of one.

    body, request: as JSON; request is None where none was saved with it. model: the model that was called, "" where
    that is not said. place, stream: as in `Document`. cut: whether it is a stream without its end.
    """

    body: bytes
    request: bytes | None = None
    model: str = ""
    place: str = ""
    stream: int | None = None
    cut: bool = False


@dataclass(frozen=True)
class Contents:
    """The responses in a file, chunks joined, and why others of its records hold none."""

    parts: tuple[Part, ...]
    left_out: tuple[NoResponse, ...]


def contents(data: bytes) -> Contents:
    """The responses in the bytes of a file or of pasted text. Raises BadReply, also where there is none."""
    parts: list[Part] = []
    left_out: list[NoResponse] = []
    found = documents(data)
    for document in found:
        try:
            parts += _unwrapped(document, 0)
        except BadReply as error:
            if not isinstance(error, NoResponse) or len(found) == 1:
                raise _at(document.place, error) from error
            left_out.append(NoResponse(_at(document.place, error).cause, error.remedy))
    if not parts and left_out:
        raise BadReply(left_out[0].cause, left_out[0].remedy)
    return _with_joined(_without_closers(parts), tuple(left_out))


def _at(place: str, error: BadReply) -> BadReply:
    return type(error)(f"{place}: {error.cause}", error.remedy) if place else error


def placed(place: str, error: BadReply) -> BadReply:
    """The error with the place it was found at."""
    return _at(place, error)


def _without_closers(parts: list[Part]) -> list[Part]:
    """Without what the AWS CLI and SDKs write beside a body."""
    if len(parts) == 1:
        return parts
    return [part for part in parts if len(part.body) > 10_000 or not _beside(part.body)]


def _beside(body: bytes) -> bool:
    fields = _fields(body)
    return fields is not None and bool(fields) and set(fields) <= _SDK_ONLY


def _with_joined(parts: list[Part], left_out: tuple[NoResponse, ...]) -> Contents:
    if len(parts) == 1 and parts[0].stream is None:
        return Contents(tuple(parts), left_out)
    groups: list[tuple[Part, Group]] = []
    for part in parts:
        head, streamed = head_of(part.body), part.stream is not None
        if groups and part.request is None and part.stream == groups[-1][0].stream:
            group = groups[-1][1]
            if group.takes(head, streamed):
                group.add(part.body, head)
                continue
        groups.append((part, begun_by(part.body, head, streamed)))
    return Contents(tuple(_whole(part, group) for part, group in groups), left_out)


def _whole(part: Part, group: Group) -> Part:
    """The response that a group of chunks makes."""
    cut = not group.over and (len(group.bodies) > 1 or part.stream is not None)
    return replace(part, body=joined(group.bodies), cut=part.cut or cut)


def _unwrapped(document: Document, depth: int) -> list[Part]:
    data = document.data
    fields = _fields(data)
    if fields is None:
        data = standard(data)
        fields = _fields(data)
    part = Part(data, None, "", document.place, document.stream)
    if fields is None:
        raise BadReply(
            "This is JSON, but a list or a single value, not a response.",
            "A response begins with {. Of many, put each on a line of its own.",
        )
    if any(name in fields for name in _OWN) or depth > _DEEPEST:
        return [part]
    return _opened(part, fields, depth)


def _opened(part: Part, fields: Fields, depth: int) -> list[Part]:
    """What a document that is no response by itself holds."""
    if "chunk" in fields or ("bytes" in fields and set(fields) <= {"bytes", "p"}):
        inner = decoded_bytes(bytes(fields["chunk"]) if "chunk" in fields else part.body)
        return _within(replace(part, stream=part.stream or 0), inner, depth)
    if (kind := _string(fields, "type")).startswith("response."):
        return _within(part, bytes(fields["response"]), depth) if kind in _CLOSING and "response" in fields else []
    if _string(fields, "object") == "response":
        return [replace(part, body=_chat_of_responses(part.body))]
    if "events" in fields and (listed := _listed(fields["events"])) is not None:
        return [each for event in listed for each in _within(part, event, depth)]
    for name in ("message", "@message"):
        if (held := _string(fields, name)).lstrip().startswith("{"):
            return _within(part, held.encode(), depth)
    _refuse_others(fields)
    if _string(fields, "message") and not any(name in fields for name in _RESPONSES):
        raise _failed(fields)
    reply = next((fields[name] for name in _RESPONSES if name in fields and bytes(fields[name]) != b"null"), None)
    if reply is None:
        return [part]
    return _paired(part, fields, bytes(reply), depth)


_CLOSING = ("response.completed", "response.incomplete")


def _within(part: Part, data: bytes, depth: int) -> list[Part]:
    inner = _unwrapped(Document(data, part.place, part.stream), depth + 1)
    return [replace(each, request=each.request or part.request, model=each.model or part.model) for each in inner]


def _paired(part: Part, fields: Fields, reply: bytes, depth: int) -> list[Part]:
    """A response with its request, or a record that holds both."""
    body = next((bytes(fields[name]) for name in _REQUESTS if name in fields), None)
    request = None if body is None else _unquoted(body)
    if request is not None and (asked := _fields(request)) is not None and "inputBodyJson" in asked:
        request = _unquoted(bytes(asked["inputBodyJson"]))
    elif request is not None and asked is not None and {"inputContentType", "inputBodyS3Path"} & set(asked):
        request = None
    part = replace(part, request=request, model=_string(fields, "modelId"))
    reply = _unquoted(reply)
    if (own := _fields(reply)) is not None:
        _refuse_others(own)
        if "outputBodyJson" not in own and not any(name in own for name in (*_OWN, "message", "error")):
            _refuse_elsewhere(own)
        reply = _unquoted(bytes(own["outputBodyJson"])) if "outputBodyJson" in own else reply
    if reply.startswith(b"["):
        return _of_list(part, reply, depth)
    return _within(part, reply, depth)


def _of_list(part: Part, reply: bytes, depth: int) -> list[Part]:
    """A list where a response should be: the chunks of a stream, or the items of the Responses API."""
    listed = _listed(msgspec.Raw(reply))
    if not listed:
        raise NoResponse("The list of chunks is empty.", "Save the stream again.")
    inner = [each for item in listed for each in _within(replace(part, request=None), item, depth)]
    if any(_CONVERSE_EVENTS & set(_fields(each.body) or ()) for each in inner):
        raise _other("Converse, which returns no logprobs")
    groups = groups_of(each.body for each in inner)
    found = [_whole(part, group) for group in groups]
    return [found[0], *(replace(each, request=None) for each in found[1:])]


def _refuse_elsewhere(output: Fields) -> None:
    """Raise for the output of a log record whose body is not in it."""
    if path := _string(output, "outputBodyS3Path"):
        raise NoResponse(f"The log record holds no response; it is in S3 at {path}.", "Download that file and open it.")
    if "outputContentType" in output:
        raise NoResponse(
            "The log record holds no response.", "Turn on text data for model invocation logging, and log it again."
        )


def _refuse_others(fields: Fields) -> None:
    """Raise for the responses of other APIs and for records of failed calls."""
    for names, what in _OTHERS:
        if names <= set(fields):
            raise _other(what)
    if "message" in fields and set(_fields(bytes(fields["message"])) or ()) == {"role", "content"}:
        raise _other("Converse, which returns no logprobs")
    if _CONVERSE_EVENTS & set(fields):
        raise _other("Converse, which returns no logprobs")
    failed = any(name in fields for name in ("error", "Error", "errorCode", "errorMessage"))
    if failed and not any(name in fields and bytes(fields[name]) != b"null" for name in ("output", "modelOutput")):
        raise _failed(fields)


def _failed(fields: Fields) -> NoResponse:
    return NoResponse(f"This is an error, not a response: {error_text(fields)}", "Open a response that has an answer.")


def _other(what: str) -> NoResponse:
    return NoResponse(
        f"This is a response of {what}.",
        "Call the model with InvokeModel, or with an OpenAI-compatible endpoint, ask for logprobs and save that "
        "response.",
    )


def _chat_of_responses(data: bytes) -> bytes:
    """A response of the Responses API as one of Chat Completions, which says the same in other words."""
    try:
        whole: dict[str, Any] = json.loads(data)
        text, tools, scored = "", False, False
        listed: list[Any] = []
        for item in whole.get("output") or ():
            tools = tools or str(item.get("type", "")).endswith("_call")
            for part in [*(item.get("content") or ()), *(item.get("summary") or ())]:
                if item.get("type") == "message":
                    text += part.get("text") or ""
                    scored = scored or part.get("logprobs") is not None
                    listed += part.get("logprobs") or ()
        usage = whole.get("usage") or {}
        details = usage.get("output_tokens_details") or {}
        message: dict[str, Any] = {"role": "assistant", "content": text}
        # What is said of the reasoning is a summary, whose tokens are not listed.
        written = (usage.get("output_tokens") or 0) - (details.get("reasoning_tokens") or 0)
    except (AttributeError, TypeError, ValueError) as error:
        raise BadReply("The response of the Responses API is damaged.", "Save it again.") from error
    cut = (whole.get("incomplete_details") or {}).get("reason") == "max_output_tokens"
    chat = {
        "object": "chat.completion",
        "created": whole.get("created_at"),
        "model": whole.get("model") or "",
        "choices": [
            {
                "index": 0,
                "message": message | ({"tool_calls": [{}]} if tools else {}),
                "finish_reason": "length" if cut else "stop" if whole.get("status") == "completed" else None,
                "logprobs": {"content": listed} if scored else None,
            }
        ],
        "usage": {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": max(written, 0) or None},
    }
    return json.dumps(chat).encode()


def _unquoted(data: bytes) -> bytes:
    """Bodies are saved as objects, or as strings that hold them."""
    if not data.startswith(b'"'):
        return data
    try:
        return str(msgspec.json.decode(data, type=str)).strip().encode("utf-8", "surrogatepass")
    except BROKEN:
        return data


def _fields(data: bytes) -> Fields | None:
    try:
        return _FIELDS.decode(data)
    except (*BROKEN, RecursionError):
        return None


def _listed(raw: msgspec.Raw) -> list[bytes] | None:
    try:
        return [bytes(each) for each in msgspec.json.decode(raw, type=list[msgspec.Raw])]
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
