"""The top level of a response: its fields, and its choices in one of OpenAI's formats, read in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lib.errors import BadResponse
from lib.wire.json_fields import BROKEN, Fields, fields_of, object_fields


class _OpenAITop(
    msgspec.Struct,
    rename={"metrics": "amazon-bedrock-invocationMetrics", "guardrail": "amazon-bedrock-guardrailAction"},
):
    """The fields of a response in one of OpenAI's formats."""

    choices: list[dict[str, msgspec.Raw]] | None = None
    object: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    created: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    model: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    usage: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prompt_logprobs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prompt_token_ids: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metrics: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    guardrail: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_TOP = msgspec.json.Decoder(_OpenAITop)
_NAMES = tuple(zip(_OpenAITop.__struct_fields__, _OpenAITop.__struct_encode_fields__, strict=True))


@dataclass(frozen=True, eq=False)
class TopLevel:
    """The fields of a JSON object, each still as JSON."""

    fields: Fields  # with choices: only those that a response in one of OpenAI's formats has
    choices: list[dict[str, msgspec.Raw]] | None = None  # None if it isn't in one of OpenAI's formats


def read_top_level(data: bytes) -> TopLevel:
    """Read the top level of a response. Raises BadResponse or one of `BROKEN`."""
    try:
        top = _TOP.decode(data)
    except msgspec.ValidationError:
        fields = object_fields(data)
        if "choices" in fields:
            raise
        return TopLevel(fields)
    if top.choices is None:
        return TopLevel(object_fields(data))
    found = {sent: getattr(top, name) for name, sent in _NAMES if name != "choices"}
    return TopLevel({name: raw for name, raw in found.items() if raw is not msgspec.UNSET}, top.choices)


def top_level_of(data: bytes) -> TopLevel | None:
    """The top level of any JSON object, whatever its choices are; None for anything else."""
    try:
        return read_top_level(data)
    except (*BROKEN, BadResponse, RecursionError):
        fields = fields_of(data)
        return None if fields is None else TopLevel(fields)
