"""Parse BedrockCompletion, and what vLLM's own `generate` returns: both list tokens by id."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from lib.wire.chosen_token import by_ids
from lib.wire.formats import Format
from lib.wire.json_fields import (
    BROKEN,
    Fields,
    any_value,
    count_or_none,
    id_list,
    intervened,
    stop_word,
    text_or_none,
    typed_value,
)
from lib.wire.parse_positions import positions_by_id
from lib.wire.response import Answer, Response


def parse_bedrock(fields: Fields, names: bool) -> Response:
    """A response in either generation of BedrockCompletion. names: as in `parse`."""
    text = typed_value(fields, "generation", str | None)
    stop = stop_word(fields, "stop_reason")
    if text is None and "outputs" in fields:
        outputs = typed_value(fields, "outputs", list[dict[str, Any]])
        first = outputs[0] if outputs else {}
        text, stop = text_or_none(first.get("text")), text_or_none(first.get("stop_reason")) or stop
    prompt = positions_by_id(fields, "prompt_logprobs", names)
    answer = Answer(0, text or "", positions_by_id(fields, "logprobs", names), stop, prompt=prompt)
    return Response(
        Format.BEDROCK if prompt is None else Format.EARLY,
        (answer,),
        prompt_tokens=count_or_none(any_value(fields, "prompt_token_count")),
        generated_tokens=count_or_none(any_value(fields, "generation_token_count")),
        final=stop is not None or "amazon-bedrock-invocationMetrics" in fields,
        guarded=intervened(fields, "amazon-bedrock-guardrailAction"),
    )


def parse_vllm(fields: Fields, names: bool) -> Response | None:
    """What vLLM's own `generate` returns, as JSON; None for another service's outputs."""
    outputs = _objects(fields["outputs"])
    if not outputs or not all("token_ids" in each and "logprobs" in each for each in outputs):
        return None
    prompt = positions_by_id(fields, "prompt_logprobs", names)
    answers = []
    for number, output in enumerate(outputs):
        ids, found = id_list(output, "token_ids"), positions_by_id(output, "logprobs", names)
        if found is not None and ids is not None and (chosen := by_ids(found, ids)) is not None and (chosen >= 0).all():
            found = replace(found, chosen=chosen)
        answers.append(
            Answer(
                number,
                typed_value(output, "text", str | None) or "",
                found,
                stop_word(output, "finish_reason"),
                ids=ids,
                prompt=prompt,
                prompt_ids=id_list(fields, "prompt_token_ids"),
            )
        )
    return Response(Format.OPENAI, tuple(answers), final=True)


def _objects(raw: msgspec.Raw) -> list[Fields]:
    """The objects of a list; empty for anything else."""
    try:
        return list(msgspec.json.decode(raw, type=list[dict[str, msgspec.Raw]]))
    except BROKEN:
        return []
