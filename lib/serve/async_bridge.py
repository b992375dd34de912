"""Wait for the model from an event loop. A waiting call holds no thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from lib.core.request import Request
from lib.core.stream import Delta
from lib.engines.base import CallContext
from lib.engines.local.engine import LocalEngine
from lib.engines.local.scheduler import Ticket
from lib.serve.transport import disconnected

T = TypeVar("T")


async def submit(engine: LocalEngine, request: Request, caller: str) -> Ticket:
    """Enter the model's queue. A long prompt takes time to tokenize, so that happens in a thread."""
    submitting = asyncio.ensure_future(asyncio.to_thread(engine.stream, request, CallContext(caller)))
    try:
        return await asyncio.shield(submitting)
    except asyncio.CancelledError:
        submitting.add_done_callback(_give_up)
        raise


def _give_up(submitting: asyncio.Future[Ticket]) -> None:
    if not submitting.cancelled() and submitting.exception() is None:
        submitting.result().close()


async def results(ticket: Ticket, *, at_end: bool = False) -> AsyncIterator[list[Delta]]:
    """Yield a ticket's deltas as they are produced, or all of them at the end. Raises the ticket's error.

    Leaving the iterator closes the ticket.
    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def notify() -> None:
        if at_end and not ticket.ended:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits any more
            loop.call_soon_threadsafe(ready.set)

    ticket.listen(notify)
    try:
        while True:
            await ready.wait()
            ready.clear()
            over = ticket.ended  # before reading: deltas from before the end are read below
            if found := ticket.poll():
                yield found
            if over:
                ticket.poll()  # raises the error that ended it
                return
    finally:
        ticket.close()


async def all_results(engine: LocalEngine, request: Request, caller: str) -> list[Delta]:
    """All deltas of a request, once it is complete."""
    found: list[Delta] = []
    ticket = await submit(engine, request, caller)
    async with contextlib.aclosing(results(ticket, at_end=True)) as deltas:  # type: ignore[type-var]
        async for each in deltas:
            found += each
    return found


async def unless_disconnected(request: HttpRequest, work: Awaitable[T]) -> T:
    """The result of the work. If the client hangs up first, cancels it and raises ClientDisconnect."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(disconnected(request.receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})
