"""Read the body of an InvokeModel call as a JSON object, and select the format it is written in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from lib.engines.local.engine import LocalEngine
from lib.serve.behaviours import Behaviours
from lib.serve.models import ImportedModel
from lib.serve.service_errors import Refusal
from lib.wire.formats import Format

_REQUEST_NAMES = {
    Format.CHAT: "ChatCompletionRequest",
    Format.BEDROCK: "BedrockMetaCompletionRequest",
    Format.OPENAI: "CompletionRequest",
}


@dataclass(frozen=True)
class RunningModel:
    """An imported model, the engine that runs it, and the behaviours in force."""

    model: ImportedModel
    engine: LocalEngine
    behaviours: Behaviours


def body_object(data: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises Refusal."""
    try:
        body = msgspec.json.decode(data or b"{}")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise malformed(str(error)[:200]) from error
    if not isinstance(body, dict):
        raise malformed("expected type: JSONObject")
    return body


def malformed(what: str) -> Refusal:
    """The service's error for a body that does not have the shape of a request."""
    text = f"Malformed input request: {what}, please reformat your input and try again."
    return Refusal("ValidationException", text)


def formats_of(running: RunningModel) -> tuple[Format, ...]:
    """The formats that a model answers in. Chat needs the model's own template."""
    if not running.model.has_three_formats:
        return (Format.EARLY,)
    chat = (Format.CHAT,) if running.engine.loaded.has_chat_template else ()
    return (*chat, Format.BEDROCK, Format.OPENAI)


def select_format(body: Mapping[str, Any], running: RunningModel) -> Format:
    """The format that a body is written in. Raises Refusal if the model does not have it."""
    available, behaviours = formats_of(running), running.behaviours
    if available == (Format.EARLY,):
        if "prompt" not in body:
            raise malformed("#: required key [prompt] not found")
        return Format.EARLY
    has_messages, has_prompt = "messages" in body, "prompt" in body
    if has_messages and has_prompt:
        if behaviours["both-inputs"] == "reject":
            raise Refusal("ValidationException", "Only one of messages and prompt may be given.")
        has_messages = behaviours["both-inputs"] == "chat"
    if has_messages and Format.CHAT in available:
        return Format.CHAT
    if has_messages or not has_prompt:
        names = ", ".join(_REQUEST_NAMES[each] for each in available)
        lead = "Invalid request body." if Format.CHAT in available else "`prompt` must be provided."
        raise Refusal("ValidationException", f"{lead} Available for this model: {names}")
    if "max_tokens" in body and "max_gen_len" in body:
        if behaviours["both-lengths"] == "reject":
            raise Refusal("ValidationException", "Only one of max_tokens and max_gen_len may be given.")
        return Format.OPENAI if behaviours["both-lengths"] == "openai" else Format.BEDROCK
    return Format.OPENAI if "max_tokens" in body else Format.BEDROCK
