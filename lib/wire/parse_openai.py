"""Parse OpenAICompletion and OpenAIChatCompletion, whole responses and chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from lib.errors import BadResponse
from lib.wire.formats import Format
from lib.wire.json_fields import (
    Fields,
    any_value,
    count_or_none,
    id_list,
    intervened,
    stop_word,
    text_or_none,
    typed_value,
)
from lib.wire.parse_logprobs import parse_logprobs
from lib.wire.parse_positions import positions_by_id
from lib.wire.positions import Positions
from lib.wire.response import Answer, Response

_MOST_ANSWERS = 1_000


@dataclass(frozen=True, eq=False)
class _Prompt:
    """What a response says about its prompt."""

    positions: Positions | None  # prompt logprobs; None if not sent
    ids: tuple[int, ...] | None  # token ids; None if not sent

    def of(self, choice: Fields, names: bool) -> _Prompt:
        """The same, with what one choice says instead."""
        positions, ids = positions_by_id(choice, "prompt_logprobs", names), id_list(choice, "prompt_token_ids")
        return _Prompt(self.positions if positions is None else positions, self.ids if ids is None else ids)


def parse_openai(fields: Fields, choices: list[dict[str, msgspec.Raw]], names: bool) -> Response:
    """A response with these choices. names: as in `parse`."""
    if len(choices) > _MOST_ANSWERS:
        raise BadResponse(
            f"The response has {len(choices):,} answers; at most {_MOST_ANSWERS:,} are opened.",
            "Split it into several responses.",
        )
    stated = any_value(fields, "usage")
    usage = stated if isinstance(stated, dict) else {}
    kind = typed_value(fields, "object", str | None) or ""
    chat = kind.startswith("chat") or any("message" in choice or "delta" in choice for choice in choices)
    shared = _Prompt(positions_by_id(fields, "prompt_logprobs", names), id_list(fields, "prompt_token_ids"))
    answers = []
    for place, choice in enumerate(choices):
        prompt, number = shared.of(choice, names), _index(choice) if "index" in choice else place
        answers.append((_chat_answer if chat else _completion_answer)(choice, number, prompt))
    return Response(
        Format.CHAT if chat else Format.OPENAI,
        tuple(answers),
        model=typed_value(fields, "model", str | None) or "",
        prompt_tokens=count_or_none(usage.get("prompt_tokens")),
        generated_tokens=count_or_none(usage.get("completion_tokens")),
        created=count_or_none(any_value(fields, "created")),
        final=any(each.stop_reason is not None for each in answers) or "amazon-bedrock-invocationMetrics" in fields,
        guarded=intervened(fields, "amazon-bedrock-guardrailAction"),
    )


def _index(choice: Fields) -> int:
    stated = any_value(choice, "index")
    number = int(stated) if isinstance(stated, int) or (isinstance(stated, str) and stated.isdecimal()) else 0
    if not 0 <= number < _MOST_ANSWERS:
        raise BadResponse(f"The response numbers an answer {number}.", "Save the response again.")
    return number


def _completion_answer(choice: Fields, number: int, prompt: _Prompt) -> Answer:
    text = typed_value(choice, "text", str | None) or ""
    found, ids = parse_logprobs(choice.get("logprobs"), text)
    return Answer(
        number,
        text,
        found,
        stop_word(choice, "finish_reason"),
        ids=id_list(choice, "token_ids") or ids,
        prompt=prompt.positions,
        prompt_ids=prompt.ids,
    )


def _chat_answer(choice: Fields, number: int, prompt: _Prompt) -> Answer:
    name = "message" if "message" in choice else "delta"
    message: Mapping[str, Any] = typed_value(choice, name, dict[str, Any] | None) or {}
    logprobs = choice.get("logprobs")
    if logprobs is None and message.get("logprobs") is not None:
        logprobs = msgspec.Raw(msgspec.json.encode(message["logprobs"]))
    text = _text_in(message.get("content")) or text_or_none(message.get("refusal")) or ""
    found, ids = parse_logprobs(logprobs, text)
    return Answer(
        number,
        text,
        found,
        stop_word(choice, "finish_reason"),
        reasoning=_reasoning_in(message),
        tools=bool(message.get("tool_calls") or message.get("function_call")),
        ids=id_list(choice, "token_ids") or ids,
        prompt=prompt.positions,
        prompt_ids=prompt.ids,
    )


def _text_in(content: Any) -> str:
    """The text of a chat's content, which may come in parts; parts with the model's thinking aren't text."""
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def _reasoning_in(message: Mapping[str, Any]) -> str:
    """The reasoning that a service split off, under any of the names that services use for it."""
    for name in ("reasoning_content", "reasoning", "thinking"):
        if text := text_or_none(message.get(name)):
            return text
    content = message.get("content")
    thoughts = [part.get("thinking") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    for name in ("reasoning_details", "thinking_blocks"):
        listed = message.get(name)
        parts = [part for part in listed if isinstance(part, dict)] if isinstance(listed, list) else []
        thoughts += [part.get("text") or part.get("thinking") for part in parts]
    return "".join(_text_in(thought) for thought in thoughts if thought is not None)
