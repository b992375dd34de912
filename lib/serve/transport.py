"""Send response bodies: whole or in pieces, in time or late, complete or cut off."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lib.serve.faults import Fault
from lib.serve.service_errors import Refusal

_ORIGIN = "http://internal.amazon.com/coral/com.amazon.bedrock/"
_MAX_SPLITS = 2000  # a body that would need more gets larger pieces


class Severed(Exception):
    """Raised by a body's iterator to break the connection."""


class StreamedBody(Response):
    """A response whose body comes from an iterator, which is closed if the client hangs up."""

    def __init__(
        self, pieces: AsyncIterator[bytes], headers: Mapping[str, str], media_type: str, length: int | None = None
    ) -> None:
        """length: of the body in bytes, None to send it in chunks."""
        self.status_code, self.media_type, self.background = 200, media_type, None
        self._pieces = pieces
        self.init_headers({**headers, **({} if length is None else {"Content-Length": str(length)})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the response."""
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for piece in self._pieces:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Severed:
            pass  # the server closes a connection whose response does not end
        finally:
            gone.cancel()
            await self._pieces.aclose()  # type: ignore[attr-defined]


async def disconnected(receive: Receive) -> None:
    """Wait until the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def error_response(refusal: Refusal, headers: Mapping[str, str]) -> Response:
    """An error as the service sends it."""
    own = {"x-amzn-ErrorType": f"{refusal.code}:{_ORIGIN}", **headers}
    return Response(json.dumps(refusal.body), refusal.status, own, "application/json")


async def whole_body(body: bytes, faults: Mapping[str, Fault]) -> AsyncIterator[bytes]:
    """A complete body, split or cut off as faults say."""
    cut = faults.get("cut")
    for piece in _split(body if cut is None else body[: cut.after], faults):
        yield piece
        await asyncio.sleep(0.001 if "splits" in faults else 0)
    if cut is not None:
        raise Severed


async def stream_body(frames: AsyncIterator[bytes], faults: Mapping[str, Fault]) -> AsyncIterator[bytes]:
    """The frames of a stream, split, delayed or cut off as faults say."""
    cut, latency, sent = faults.get("cut"), faults.get("latency"), 0
    try:
        async for each in frames:
            if latency is not None and sent:
                await asyncio.sleep(latency.between)
            if cut is not None and sent == cut.after:
                if cut.where == "frame":
                    return
                if cut.where == "within":
                    yield each[: len(each) // 2]
                    return
                raise Severed
            for piece in _split(each, faults):
                yield piece
                if "splits" in faults:
                    await asyncio.sleep(0.001)  # so that each piece travels alone
            sent += 1
    finally:
        await frames.aclose()  # type: ignore[attr-defined]


def _split(body: bytes, faults: Mapping[str, Fault]) -> Iterator[bytes]:
    """Pieces of random sizes if there is a fault "splits", else the whole body."""
    fault = faults.get("splits")
    if fault is None:
        yield body
        return
    largest = max(fault.size, len(body) // _MAX_SPLITS)
    dice = random.Random(len(body))  # noqa: S311 - odd sizes, not secrets
    start = 0
    while start < len(body):
        size = dice.randint(1, largest)
        yield body[start : start + size]
        start += size
