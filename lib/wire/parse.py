"""Parse a response in any format into columns, without interpreting anything.

No Python object is built for the response as a whole, so a response of 20 MB takes little more memory than its columns.
"""

from __future__ import annotations

from lib.errors import BadResponse
from lib.wire.formats import Format
from lib.wire.json_fields import (
    AN_ERROR,
    BROKEN,
    NOT_A_RESPONSE,
    OPEN_ANSWERED,
    TOO_DEEP,
    check_size,
    error_text,
    standard,
)
from lib.wire.parse_bedrock import parse_bedrock, parse_vllm
from lib.wire.parse_openai import parse_openai
from lib.wire.response import Response
from lib.wire.top_level import TopLevel, read_top_level


def parse(data: bytes, *, names: bool = True, top: TopLevel | None = None) -> Response:
    """Parse a response. Accepts JSON that only Python writes (NaN, -Infinity). Raises BadResponse.

    names: whether the strings sent beside ids are needed.
    top: the top level of `data`, if it has been read already.
    """
    check_size(len(data))
    try:
        return _parse(read_top_level(data) if top is None else top, names)
    except BROKEN as error:
        try:
            return _parse(read_top_level(standard(data)), names)
        except (*BROKEN, RecursionError) as again:
            raise _unknown_shape(again) from error
    except RecursionError as error:
        raise BadResponse(*TOO_DEEP) from error


def _unknown_shape(error: Exception) -> BadResponse:
    detail = str(error).split("\n")[0][:200]
    return BadResponse(
        f"The response doesn't match any format Bedrock returns: {detail}", "Open the response itself, unchanged."
    )


def _parse(top: TopLevel, names: bool) -> Response:
    fields = top.fields
    if top.choices is not None:
        return parse_openai(fields, top.choices, names)
    if "outputs" in fields and "generation" not in fields and (vllm := parse_vllm(fields, names)) is not None:
        return vllm
    if "generation" in fields or "outputs" in fields or "generation_token_count" in fields:
        return parse_bedrock(fields, names)
    if "amazon-bedrock-invocationMetrics" in fields:
        return Response(Format.BEDROCK, (), final=True)
    if "message" in fields or "error" in fields:
        raise BadResponse(AN_ERROR.format(error_text(fields)), OPEN_ANSWERED)
    raise BadResponse(*NOT_A_RESPONSE)
