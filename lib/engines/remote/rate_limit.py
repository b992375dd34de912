"""AIMD rate limiting: fewer concurrent calls while a service throttles, gradually more once it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_POLL = 0.2  # seconds between two checks whether a waiting call has been cancelled
_SEND_TIME = 0.004  # seconds until a call that has just started is on its way
_MAX_YIELD = 0.05  # seconds that `yield_to_new_calls` waits at most


class AimdLimiter:
    """Caps concurrent calls by additive increase and multiplicative decrease, as TCP does. Safe to share.

    Source: Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion avoidance", 1989.
    """

    def __init__(
        self,
        max_calls: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        poll: float = _POLL,
    ) -> None:
        """max_calls: the limit to start with and never to exceed. poll: seconds between checks for cancellation."""
        self._max_calls = max_calls
        self._limit = float(max_calls)
        self._active = 0
        self._last_start = float("-inf")
        self._decreases = 0
        self._change = threading.Condition()
        self._clock, self._sleep, self._poll = clock, sleep, poll

    @property
    def limit(self) -> int:
        """Calls allowed to run concurrently now."""
        return int(self._limit)

    @contextmanager
    def slot(self) -> Iterator[Slot]:
        """A slot for one call, released on exit if the call still holds it."""
        slot = Slot(self)
        try:
            yield slot
        finally:
            slot.release()

    def yield_to_new_calls(self) -> None:
        """Wait briefly while calls are being sent, as they need the interpreter lock that the caller would take."""
        deadline = self._clock() + _MAX_YIELD
        while self._last_start + _SEND_TIME > self._clock() < deadline:
            self._sleep(_SEND_TIME / 2)

    def _acquire(self, cancelled: threading.Event) -> int | None:
        """The number of decreases so far, to pass to `_throttled`; None if cancelled while waiting."""
        with self._change:
            while not cancelled.is_set() and self._active >= self.limit:
                self._change.wait(self._poll)
            if cancelled.is_set():
                return None
            self._active += 1
            self._last_start = self._clock()
            return self._decreases

    def _release(self) -> None:
        with self._change:
            self._active -= 1
            self._change.notify()

    def _succeeded(self) -> None:
        with self._change:
            self._limit = min(self._limit + 1 / self._limit, self._max_calls)
            self._change.notify()

    def _throttled(self, decreases_at_start: int) -> None:
        with self._change:
            # Calls that started together are throttled together: one signal, not many.
            if decreases_at_start == self._decreases:
                self._limit = max(self._limit / 2, 1.0)
                self._decreases += 1


class Slot:
    """One call's claim on the limiter. It may be acquired and released several times, once per attempt."""

    def __init__(self, limiter: AimdLimiter) -> None:
        self._limiter = limiter
        self._decreases_at_start: int | None = None  # None while released

    def acquire(self, cancelled: threading.Event) -> bool:
        """Wait until the call may start. Returns False if `cancelled` is set first."""
        self._decreases_at_start = self._limiter._acquire(cancelled)
        return self._decreases_at_start is not None

    def succeeded(self) -> None:
        """Report that the service accepted the call, which runs until `release`."""
        self._limiter._succeeded()

    def release(self, *, throttled: bool = False) -> None:
        """Free the slot, if it is held. throttled: the service throttled this attempt, so lower the limit."""
        if self._decreases_at_start is None:
            return
        if throttled:
            self._limiter._throttled(self._decreases_at_start)
        self._limiter._release()
        self._decreases_at_start = None
