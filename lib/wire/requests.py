"""Encode requests as bodies of InvokeModel, and decode them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.core.request import MAX_K, Message, Request
from lib.errors import InvalidRequest
from lib.wire.formats import Format, asked_top

_LEAST = 1  # services refuse a request for zero tokens; one is requested, and left out of the completion
_LEAST_TOP = 1  # it isn't known whether services pass on 0, for the prompt's own tokens alone


def encode_request(
    request: Request, wire_format: Format, *, streamed: bool = False, most: int = MAX_K
) -> dict[str, Any]:
    """The body of InvokeModel for one sample.

    The seed is never sent: setting a seed has been reported to suppress logprobs.

    streamed: whether the answer is streamed. Prompt logprobs, which OpenAI's formats can't stream, aren't requested.
    most: the largest number of alternatives that the service accepts.

    Raises InvalidRequest for messages in a format that takes a prompt, and for a prompt in the chat format.
    """
    if request.prefix_ids:
        raise InvalidRequest(
            "A service is sent text, and cannot be told which tokens its answer begins with.",
            "Ask without a beginning.",
        )
    if (request.prompt is None) != (wire_format is Format.CHAT):
        raise InvalidRequest(
            f"{wire_format} takes {'messages' if wire_format is Format.CHAT else 'a prompt'}, not "
            f"{'a raw prompt' if wire_format is Format.CHAT else 'messages'}.",
            "Choose the other mode, or another format.",
        )
    length = max(request.max_tokens, _LEAST)
    body: dict[str, Any] = (
        {"prompt": request.prompt}
        if wire_format is not Format.CHAT
        else {"messages": [{"role": each.role, "content": each.content} for each in request.messages]}
    )
    body["max_gen_len" if wire_format.is_bedrock else "max_tokens"] = length
    body["temperature"] = request.temperature
    body["top_p"] = request.top_p
    if request.stop:
        body["stop"] = list(request.stop)
    top = min(asked_top(wire_format, request.k), most)
    prompt_scores = request.prompt_scores and not streamed
    if wire_format.is_bedrock:
        body["return_logprobs"] = True
    elif wire_format is Format.OPENAI:
        body["logprobs"] = top
        if prompt_scores:
            body["prompt_logprobs"] = max(min(request.k, most), _LEAST_TOP)
    else:
        body["logprobs"] = True
        body["top_logprobs"] = top
        if prompt_scores:
            body["prompt_logprobs"] = max(min(request.k, most), _LEAST_TOP)
    return body


def route(body: Mapping[str, Any]) -> Format:
    """The format that a body selects, by the service's own rules. Raises InvalidRequest if it selects none."""
    if "messages" in body:
        return Format.CHAT
    if "prompt" in body:
        return Format.OPENAI if "max_tokens" in body else Format.BEDROCK
    raise InvalidRequest("The request has neither a prompt nor messages.", 'Give "prompt" or "messages".')


def decode_request(body: Mapping[str, Any], wire_format: Format | None = None) -> Request:
    """The request in a body; unknown fields are ignored. Raises InvalidRequest for values it can't interpret.

    k becomes the larger of the numbers of alternatives requested.

    wire_format: by default the one that the body selects.
    """
    wire_format = wire_format or route(body)
    prompt = body.get("prompt")
    messages: tuple[Message, ...] = ()
    if wire_format is Format.CHAT:
        prompt, messages = None, _messages(body.get("messages"))
    elif not isinstance(prompt, str):
        raise InvalidRequest("The prompt is not a text.", 'Give "prompt" as a string.')
    names = ("max_gen_len",) if wire_format.is_bedrock else ("max_completion_tokens", "max_tokens")
    length = next((body[name] for name in names if body.get(name) is not None), None)
    prompt_k = body.get("prompt_logprobs")
    if wire_format.is_bedrock:
        k, prompt_scores = 1, wire_format is Format.EARLY and body.get("return_logprobs") is True
    else:
        own = (
            body.get("logprobs")
            if wire_format is Format.OPENAI
            else body.get("top_logprobs")
            if body.get("logprobs")
            else 0
        )
        echoed = body.get("echo") is True and wire_format is Format.OPENAI
        k = max(_whole("logprobs", own, 0), _whole("prompt_logprobs", prompt_k, 0))
        prompt_scores = prompt_k is not None or (echoed and own is not None)
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    seed = body.get("seed")
    return Request(
        prompt=prompt,
        messages=messages,
        max_tokens=_whole(
            "max_gen_len" if wire_format.is_bedrock else "max_tokens", length, 512 if wire_format.is_bedrock else 16
        ),
        temperature=_number("temperature", body.get("temperature"), 0.5 if wire_format.is_bedrock else 1.0),
        top_p=_number("top_p", body.get("top_p"), 0.9 if wire_format.is_bedrock else 1.0),
        stop=tuple(each for each in stops if isinstance(each, str) and each),
        seed=None if seed is None else _whole("seed", seed, 0),
        k=k,
        prompt_scores=prompt_scores,
        n=_whole("n", body.get("n"), 1),
    )


def _messages(turns: Any) -> tuple[Message, ...]:
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, dict) for turn in turns):
        raise InvalidRequest("The messages are not a list of turns.", 'Give [{"role": "user", "content": "…"}].')
    return tuple(Message(str(turn.get("role", "user")), _content(turn.get("content"))) for turn in turns)


def _content(content: Any) -> str:
    """The text of a turn, which may be a list of parts; images are skipped."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _number(name: str, value: Any, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"{name} is not a number.", f'Give "{name}" as a number.')
    return float(value)


def _whole(name: str, value: Any, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(f"{name} is not a whole number.", f'Give "{name}" as a whole number.')
    return value
