"""Bodies on their way out: in one piece or many, whole or cut off."""

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
_MOST_SPLITS = 2000  # a body that would take more gets larger pieces


class Severed(Exception):
    """The connection is to be broken here."""


class Outgoing(Response):
    """A body from an iterator. Severed breaks the connection off; where the client is gone, the iterator is closed."""

    def __init__(
        self, pieces: AsyncIterator[bytes], headers: Mapping[str, str], media_type: str, length: int | None = None
    ) -> None:
        self.status_code, self.media_type, self.background = 200, media_type, None
        self._pieces = pieces
        self.init_headers({**headers, **({} if length is None else {"Content-Length": str(length)})})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send everything."""
        gone = asyncio.ensure_future(until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for piece in self._pieces:
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Severed:
            pass  # a response that does not end makes the server close the connection
        finally:
            gone.cancel()
            await self._pieces.aclose()  # type: ignore[attr-defined]


async def until_gone(receive: Receive) -> None:
    """Wait until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def refused(refusal: Refusal, headers: Mapping[str, str]) -> Response:
    """An error as the service sends it."""
    own = {"x-amzn-ErrorType": f"{refusal.code}:{_ORIGIN}", **headers}
    return Response(json.dumps(refusal.body), refusal.status, own, "application/json")


async def as_pieces(body: bytes, faults: Mapping[str, Fault]) -> AsyncIterator[bytes]:
    """A whole body, in pieces or cut off where a fault says so."""
    cut = faults.get("cut")
    for piece in _split(body if cut is None else body[: cut.after], faults):
        yield piece
        await asyncio.sleep(0.001 if "splits" in faults else 0)
    if cut is not None:
        raise Severed


async def as_cut(frames: AsyncIterator[bytes], faults: Mapping[str, Fault]) -> AsyncIterator[bytes]:
    """The frames of a stream, in pieces, late or cut off where a fault says so."""
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
                    await asyncio.sleep(0.001)  # each piece travels alone
            sent += 1
    finally:
        await frames.aclose()  # type: ignore[attr-defined]


def _split(body: bytes, faults: Mapping[str, Fault]) -> Iterator[bytes]:
    fault = faults.get("splits")
    if fault is None:
        yield body
        return
    largest = max(fault.size, len(body) // _MOST_SPLITS)
    dice = random.Random(len(body))  # noqa: S311 - odd sizes, not secrets
    place = 0
    while place < len(body):
        step = dice.randint(1, largest)
        yield body[place : place + step]
        place += step
