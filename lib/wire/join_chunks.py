"""Join the chunks of a stream into the response they make together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from lib.errors import BadResponse

_MOST_ANSWERS = 1_000  # in one stream


def join_chunks(chunks: Sequence[bytes]) -> bytes:
    """The response that the chunks of a stream make, as JSON. Raises BadResponse if they don't fit together."""
    if len(chunks) == 1:
        return chunks[0]
    try:
        parts = [json.loads(chunk) for chunk in chunks]
        whole = _chat_or_text(parts) if any(part.get("choices") for part in parts) else _bedrock(parts)
    except (AttributeError, TypeError, KeyError, ValueError, RecursionError) as error:
        raise BadResponse("The chunks of this stream don't fit together.", "Save the stream again.") from error
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
    return whole | _stated_once(parts)


def _stated_once(parts: list[dict[str, Any]]) -> dict[str, Any]:
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
    return whole | _stated_once(parts)


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
    """The logprobs of one answer, its lists concatenated, each padded to the number of its chunk's tokens."""
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
