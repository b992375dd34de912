"""Recognize what a file may hold instead of a response: other programs' output and other APIs' JSON."""

from __future__ import annotations

import re

import msgspec

from lib.errors import BadResponse
from lib.wire.json_fields import AN_ERROR, BROKEN, NOT_A_RESPONSE, NOT_JSON, OPEN_ANSWERED, Fields

_SAVE = "Save the response itself, as JSON."
_CALL = (
    "Call the model with InvokeModel, or with an OpenAI-compatible endpoint, ask for logprobs and save that response."
)
_DUMP = "Save what response.model_dump_json() returns."
# (pattern of a text without JSON, cause, remedy). With an empty cause, the text's own error message is the cause.
_TEXTS = (
    (rb"An error occurred \(\w+\)", "", OPEN_ANSWERED),
    (
        rb"\b(?:ChatCompletion|ChatCompletionChunk|Completion|ModelResponse\w*|Response\w*Event|Response|Choice)\(\w+=",
        "This is an object of a client library as Python prints it.",
        _DUMP,
    ),
    (
        rb"\b(?:RequestOutput|CompletionOutput|LLMResult|AIMessage\w*|SimpleNamespace|OrderedDict|defaultdict)\((?:\w+=|[\[<{])",
        "This is an object of a Python library as Python prints it.",
        "Save it as JSON, in the form that an OpenAI-compatible endpoint returns.",
    ),
    (
        rb"<(?:botocore|urllib3|aiobotocore)\.|<Response \[\d+",
        "This is a response whose body was not read.",
        "Save what .read() returns.",
    ),
    (
        rb"(?i)<!doctype html|<html",
        "This is a web page, such as the error page of a proxy.",
        "Check the address and call it again.",
    ),
    (rb"<Error>\s*<Code>", "", OPEN_ANSWERED),
    (rb"(?i)\A<\?xml", "This is XML.", _SAVE),
    (
        rb"\{\s*(?:\xe2\x80[\x9c\x9d\x98\x99])",
        "The quotes in this JSON are typographic ones.",
        "Copy it from the file as it was saved.",
    ),
    (
        rb"\{\s*[A-Za-z_$][\w$]*\s*:",
        "The names in this text have no quotes: it is what console.log prints.",
        "Save what JSON.stringify(response) returns.",
    ),
    (rb"(?m)^@\{\w+=", "This is an object as PowerShell prints it.", "Save it with ConvertTo-Json -Depth 100."),
    (rb"(?m)^(?:generation|choices|body): ", "This is YAML or text, not JSON.", _SAVE),
)
_FLATTENED = re.compile(rb'"(?:logprobs|choices|content)"\s*:\s*\[?\s*"(?:@\{|System\.)')
_SEARCHED = 100_000  # bytes at the start of a text
_TITLE = re.compile(rb"(?is)<title[^>]{0,200}>(.{0,300}?)</title>")
_S3_ERROR = re.compile(rb"(?s)<Code>(.{0,300}?)</Code>\s*(?:<Message>(.{0,300}?)</Message>)?")
_API = "This is a response of {}."
_FILE = "This is {}, not a response."
_EMBEDDING = "This is a response of an embedding model, which generates no text."
_BEFORE = "Save the response itself, before LangChain reads it."
_CONVERSE = "Converse, which returns no logprobs"
_ANTHROPIC = "the Anthropic Messages API, which returns no logprobs"
# (fields that an object has, fields that it lacks, cause, remedy).
_OBJECTS: tuple[tuple[set[str], set[str], str, str], ...] = (
    ({"stopReason", "output"}, set(), _API.format(_CONVERSE), _CALL),
    ({"completion_probabilities"}, set(), _API.format("llama.cpp's own completion endpoint"), _CALL),
    ({"content", "stop", "tokens_predicted"}, set(), _API.format("llama.cpp's own completion endpoint"), _CALL),
    ({"content", "stop", "index"}, {"role"}, _API.format("llama.cpp's own completion endpoint"), _CALL),
    ({"generated_text"}, set(), _API.format("Text Generation Inference's own endpoint"), _CALL),
    ({"results", "inputTextTokenCount"}, set(), _API.format("an Amazon Titan model, which returns no logprobs"), _CALL),
    ({"embedding"}, set(), _EMBEDDING, OPEN_ANSWERED),
    ({"embeddings"}, set(), _EMBEDDING, OPEN_ANSWERED),
    ({"type", "role", "content", "usage"}, set(), _API.format(_ANTHROPIC), _CALL),
    (
        {"completion", "stop_reason"},
        set(),
        _API.format("Anthropic's Text Completions API, which returns no logprobs"),
        _CALL,
    ),
    ({"model", "created_at", "done"}, set(), _API.format("Ollama's own endpoint"), _CALL),
    ({"candidates"}, set(), _API.format("the Gemini API"), _CALL),
    ({"text", "meta_info"}, set(), _API.format("SGLang's own endpoint"), _CALL),
    ({"finish_reason", "message", "usage"}, {"model"}, _API.format("the Cohere API"), _CALL),
    ({"generations", "prompt"}, set(), _API.format("the Cohere API"), _CALL),
    ({"generations"}, set(), _FILE.format("LangChain's own record of a call"), _BEFORE),
    ({"response_metadata", "content"}, set(), _FILE.format("a LangChain message"), _BEFORE),
    ({"cells", "nbformat"}, set(), _FILE.format("a Jupyter notebook"), "Copy the response out of its cell."),
    (
        {"added_tokens", "model", "pre_tokenizer"},
        set(),
        _FILE.format("a tokenizer"),
        "Open it as the tokenizer, and a response here.",
    ),
    (
        {"tokenizer_class"},
        {"architectures"},
        _FILE.format("a tokenizer's configuration"),
        "Open it with the tokenizer, and a response here.",
    ),
    ({"architectures"}, set(), _FILE.format("a model's configuration"), OPEN_ANSWERED),
    ({"totalRecordCount"}, set(), _FILE.format("the summary of a batch job"), "Open the .jsonl.out file beside it."),
    (
        {"recordId", "modelInput"},
        {"modelOutput", "error"},
        _FILE.format("a record of a batch job's input"),
        "Open the .jsonl.out file that the job wrote.",
    ),
    (
        {"custom_id", "method", "url", "body"},
        {"response"},
        _FILE.format("a record of a batch job's input"),
        "Open the file that the job wrote.",
    ),
    (
        {"prompt_logprobs", "logprobs"},
        {"choices", "generation"},
        _FILE.format("what Candor's own decode command writes"),
        "Open the response that it was made from.",
    ),
)
_CONVERSE_EVENTS = {"messageStart", "contentBlockDelta", "contentBlockStop", "messageStop"}
_ANTHROPIC_EVENTS = {
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
}
_ANSWER_FIELDS = {"generation", "choices", "outputs", "response", "output", "modelOutput", "body", "stop_reason"}


class NoResponse(BadResponse):
    """A readable record without a response, such as the record of a failed call."""


def refuse_text(text: bytes) -> None:
    """Raise NoResponse for text without JSON in a known format."""
    start = text[:_SEARCHED]
    for pattern, cause, remedy in _TEXTS:
        if found := re.search(pattern, start):
            raise NoResponse(cause + _page_title(start) if cause else _error(start, found.start()), remedy)


def _page_title(text: bytes) -> str:
    title = _TITLE.search(text)
    return f" Its title: {_plain(title[1])}" if title else ""


def _error(text: bytes, start: int) -> str:
    found = _S3_ERROR.search(text, start)
    message = b": ".join(each for each in found.groups() if each) if found else text[start : start + 300]
    return AN_ERROR.format(_plain(message))


def _plain(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())


def refuse_object(fields: Fields) -> None:
    """Raise NoResponse for an object of another API, or of another known kind."""
    names = set(fields)
    record = bool(_ANSWER_FIELDS & names)  # may hold a response, whatever else it has
    for needed, lacking, cause, remedy in _OBJECTS:
        if needed <= names and not lacking & names and not (record and len(needed) == 1):
            raise NoResponse(cause, remedy)
    kind = bytes(fields["type"]).strip(b'"').decode("utf-8", "replace") if "type" in fields else ""
    if kind in _ANTHROPIC_EVENTS:
        raise NoResponse(_API.format(_ANTHROPIC), _CALL)
    if _CONVERSE_EVENTS & names or (not record and "message" in fields and _is_turn(bytes(fields["message"]))):
        raise NoResponse(_API.format(_CONVERSE), _CALL)


def _is_turn(message: bytes) -> bool:
    try:
        return set(msgspec.json.decode(message, type=dict[str, msgspec.Raw])) == {"role", "content"}
    except (*BROKEN, RecursionError):
        return False


def flattened(response: bytes) -> NoResponse | None:
    """The error for a response that PowerShell's ConvertTo-Json truncated for lack of -Depth; None for others."""
    if not _FLATTENED.search(response):
        return None
    return NoResponse(
        "PowerShell saved this response without its deeply nested values.",
        "Save it again with ConvertTo-Json -Depth 100.",
    )


def no_response(fields: Fields) -> NoResponse:
    """The error for an object without a response that isn't of a known kind."""
    if {"prompt", "messages", "modelInput"} & set(fields) and not _ANSWER_FIELDS & set(fields):
        return NoResponse("This is a request, without its response.", OPEN_ANSWERED)
    return NoResponse(*NOT_A_RESPONSE)


def no_json() -> BadResponse:
    """The error for text without any JSON."""
    return BadResponse(*NOT_JSON)
