"""Convert responses of the Responses API to the equivalent Chat Completions responses."""

from __future__ import annotations

import json
from typing import Any

from lib.errors import BadResponse
from lib.wire.foreign_formats import NoResponse
from lib.wire.json_fields import AN_ERROR, OPEN_ANSWERED

_TEXT_DELTA = "response.output_text.delta"
_REFUSAL_DELTA = "response.refusal.delta"


def as_chat(data: bytes) -> bytes:
    """Convert a whole response. Raises BadResponse if it is damaged."""
    try:
        whole: dict[str, Any] = json.loads(data)
        message, logprobs, tools = _message_of(whole.get("output") or ())
        usage = whole.get("usage") or {}
        details = usage.get("output_tokens_details") or {}
        # The reasoning comes only as a summary, and its tokens aren't listed.
        generated = (usage.get("output_tokens") or 0) - (details.get("reasoning_tokens") or 0)
        cut = (whole.get("incomplete_details") or {}).get("reason") == "max_output_tokens"
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise _damaged() from error
    chat = {
        "object": "chat.completion",
        "created": whole.get("created_at"),
        "model": whole.get("model") or "",
        "choices": [
            {
                "index": 0,
                "message": message | ({"tool_calls": [{}]} if tools else {}),
                "finish_reason": "length" if cut else "stop" if whole.get("status") == "completed" else None,
                "logprobs": None if logprobs is None else {"content": logprobs},
            }
        ],
        "usage": {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": max(generated, 0) or None},
    }
    return json.dumps(chat).encode()


def _message_of(output: Any) -> tuple[dict[str, Any], list[Any] | None, bool]:
    """(the message in a list of output items, its logprobs or None if not sent, whether a tool was called)."""
    text = refusal = ""
    logprobs: list[Any] | None = None
    tools = False
    for item in output:
        tools = tools or str(item.get("type", "")).endswith("_call")
        for part in (item.get("content") or ()) if item.get("type") == "message" else ():
            text += part.get("text") or ""
            refusal += part.get("refusal") or ""
            if part.get("logprobs") is not None:
                logprobs = [*(logprobs or ()), *part["logprobs"]]
    message: dict[str, Any] = {"role": "assistant", "content": text}
    return message | ({"refusal": refusal} if refusal else {}), logprobs, tools


def as_chunk(kind: str, data: bytes) -> bytes | None:
    """Convert a stream event to a Chat Completions chunk; None if it adds no text to the answer."""
    if kind not in (_TEXT_DELTA, _REFUSAL_DELTA):
        return None
    try:
        event: dict[str, Any] = json.loads(data)
        listed = event.get("logprobs")
        choice = {
            "index": 0,
            "delta": {"content" if kind == _TEXT_DELTA else "refusal": str(event.get("delta") or "")},
            "finish_reason": None,
            "logprobs": {"content": listed} if isinstance(listed, list) else None,
        }
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise _damaged() from error
    return json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode()


def refuse_unfinished(data: bytes) -> None:
    """Raise NoResponse for a response that failed or isn't finished."""
    try:
        whole: dict[str, Any] = json.loads(data)
        status, error = whole.get("status"), whole.get("error") or {}
    except (AttributeError, ValueError, RecursionError) as broken:
        raise _damaged() from broken
    if status in ("failed", "cancelled"):
        message = error.get("message") or error.get("code") if isinstance(error, dict) else error
        raise NoResponse(AN_ERROR.format(str(message or status)[:300]), OPEN_ANSWERED)
    if status in ("queued", "in_progress") and not whole.get("output"):
        raise NoResponse(f"The response isn't finished: its status is {status}.", "Fetch it again when it is done.")


def _damaged() -> BadResponse:
    return BadResponse("The response of the Responses API is damaged.", "Save it again.")
