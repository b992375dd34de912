"""Read the body of an HTTP request, bounded in size and time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request

from lib.serve.limits import Limits
from lib.serve.service_errors import Refusal

MAX_BODY = 25_000_000  # bytes; Bedrock's own limit


async def read_body(request: Request, limits: Limits) -> bytes:
    """The whole body. Raises Refusal if it is too large or does not arrive in time."""
    # A declared length is known before the body arrives; h11 has checked that it is a number.
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        raise _too_large()
    parts, size = [], 0
    now = asyncio.get_running_loop().time
    deadline = now() + limits.body
    try:
        async with asyncio.timeout(limits.pause) as pause:
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY:
                    raise _too_large()
                parts.append(part)
                pause.reschedule(min(deadline, now() + limits.pause))
    except TimeoutError as error:
        raise Refusal("ValidationException", "The body did not arrive in time.") from error
    return b"".join(parts)


def parse_json(body: bytes) -> Any:
    """The body of a control call. Raises Refusal if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal("ValidationException", "The body is not JSON.") from error


def _too_large() -> Refusal:
    return Refusal("ValidationException", f"The body is larger than {MAX_BODY} bytes.")
