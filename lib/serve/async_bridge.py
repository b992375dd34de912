"""Waiting for the model from an event loop: nobody who waits holds a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from lib.core.request import Request
from lib.core.stream import Delta
from lib.engines.local.engine import LocalEngine
from lib.engines.local.scheduler import Ticket


async def submit(engine: LocalEngine, request: Request, owner: str) -> Ticket:
    """A place in the model's queue. Tokenising happens in a thread, as a long prompt takes its time."""
    asking = asyncio.ensure_future(asyncio.to_thread(engine.stream, request, owner=owner))
    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        asking.add_done_callback(_give_up)
        raise


def _give_up(asking: asyncio.Future[Ticket]) -> None:
    if not asking.cancelled() and asking.exception() is None:
        asking.result().close()


async def results(ticket: Ticket, *, at_end: bool = False) -> AsyncIterator[list[Delta]]:
    """What the ticket gives, as it comes, or all of it at the end. Raises what it raises; leaving closes it."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def heard() -> None:
        if at_end and not ticket.ended:
            return
        with contextlib.suppress(RuntimeError):  # the loop has been closed, so nobody waits any more
            loop.call_soon_threadsafe(ready.set)

    ticket.listen(heard)
    try:
        while True:
            await ready.wait()
            ready.clear()
            over = ticket.ended  # before reading: what came before the end is read below
            if found := ticket.poll():
                yield found
            if over:
                ticket.poll()  # raises what ended it
                return
    finally:
        ticket.close()
