"""Responses of the Responses API as those of Chat Completions, which say the same in other words."""

from __future__ import annotations

import json
from typing import Any

from lib.errors import BadResponse
from lib.wire.foreign_formats import NoResponse
from lib.wire.json_fields import AN_ERROR, OPEN_ANSWERED

_WRITTEN = "response.output_text.delta"
_REFUSED = "response.refusal.delta"


def as_chat(data: bytes) -> bytes:
    """A whole response as one of Chat Completions. Raises BadResponse for one that is damaged."""
    try:
        whole: dict[str, Any] = json.loads(data)
        message, listed, tools = _written(whole.get("output") or ())
        usage = whole.get("usage") or {}
        details = usage.get("output_tokens_details") or {}
        # What is said of the reasoning is a summary, whose tokens are not listed.
        written = (usage.get("output_tokens") or 0) - (details.get("reasoning_tokens") or 0)
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
                "logprobs": None if listed is None else {"content": listed},
            }
        ],
        "usage": {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": max(written, 0) or None},
    }
    return json.dumps(chat).encode()


def _written(output: Any) -> tuple[dict[str, Any], list[Any] | None, bool]:
    """The message in a list of items, its logprobs if any were sent, and whether a tool was called."""
    text = refusal = ""
    listed: list[Any] | None = None
    tools = False
    for item in output:
        tools = tools or str(item.get("type", "")).endswith("_call")
        for part in (item.get("content") or ()) if item.get("type") == "message" else ():
            text += part.get("text") or ""
            refusal += part.get("refusal") or ""
            if part.get("logprobs") is not None:
                listed = [*(listed or ()), *part["logprobs"]]
    message: dict[str, Any] = {"role": "assistant", "content": text}
    return message | ({"refusal": refusal} if refusal else {}), listed, tools


def as_chunk(kind: str, data: bytes) -> bytes | None:
    """An event of a stream as a chunk of Chat Completions; None for one without text of the answer."""
    if kind not in (_WRITTEN, _REFUSED):
        return None
    try:
        event: dict[str, Any] = json.loads(data)
        listed = event.get("logprobs")
        choice = {
            "index": 0,
            "delta": {"content" if kind == _WRITTEN else "refusal": str(event.get("delta") or "")},
            "finish_reason": None,
            "logprobs": {"content": listed} if isinstance(listed, list) else None,
        }
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise _damaged() from error
    return json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode()


def refuse_unfinished(data: bytes) -> None:
    """Raise NoResponse for a response that failed, or that has not been written yet."""
    try:
        whole: dict[str, Any] = json.loads(data)
        status, error = whole.get("status"), whole.get("error") or {}
    except (AttributeError, ValueError, RecursionError) as broken:
        raise _damaged() from broken
    if status in ("failed", "cancelled"):
        said = error.get("message") or error.get("code") if isinstance(error, dict) else error
        raise NoResponse(AN_ERROR.format(str(said or status)[:300]), OPEN_ANSWERED)
    if status in ("queued", "in_progress") and not whole.get("output"):
        raise NoResponse(f"The response is not written yet: its status is {status}.", "Fetch it again when it is done.")


def _damaged() -> BadResponse:
    return BadResponse("The response of the Responses API is damaged.", "Save it again.")
