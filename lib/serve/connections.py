"""uvicorn's HTTP/1.1 protocol with time limits, so that no connection can keep the local Bedrock waiting."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lib.serve.limits import Limits

_EXPECTS = (b"expect", b"100-continue")


class BoundedProtocol(H11Protocol):
    """A connection that is closed if its client stops sending a request or stops reading a response.

    uvicorn itself only limits the time between two requests. Use a subclass from `protocol_within`.
    """

    limits: Limits
    half_open: dict[str, dict[BoundedProtocol, None]]  # connections without a complete head by address, oldest first

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_waiting()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_owed() or self.conn.their_state is h11.IDLE:
            self._start_waiting()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._is_owed() and _EXPECTS in self.scope["headers"]:
            # The client won't send this body, so its next request would be read as the body.
            self.transport.close()
        elif self._is_owed() or (self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]):
            self._start_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_unread()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_unread()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread()

    def _is_owed(self) -> bool:
        """Whether the rest of a body is missing although its request has been answered."""
        return self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete

    def _start_waiting(self) -> None:
        """Start the client's time to send the rest of a request. Further bytes don't extend it."""
        if self._deadline is not None or self.transport.is_closing():
            return
        self._deadline = self.loop.call_later(self.limits.head, self.transport.abort)
        waiting = self.half_open.setdefault(self._address(), {})
        waiting[self] = None
        if len(waiting) > self.limits.half_open:
            # Ordinary clients send a head within milliseconds, so drop the oldest connection.
            oldest = next(iter(waiting))
            oldest._stop_waiting()
            oldest.transport.abort()

    def _stop_waiting(self) -> None:
        if self._deadline is None:
            return
        self._deadline.cancel()
        self._deadline = None
        waiting = self.half_open[self._address()]
        del waiting[self]
        if not waiting:
            del self.half_open[self._address()]

    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _start_unread(self) -> None:
        """Start the client's time to read some of the response."""
        size = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.limits.unread, self._end_unless_read, size)

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _end_unless_read(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._start_unread()
        else:
            self.transport.abort()


def protocol_within(limits: Limits) -> type[BoundedProtocol]:
    """The protocol class for one server; its connections are counted together."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits, "half_open": {}})
