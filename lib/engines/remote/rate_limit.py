"""How many calls of a model may be under way at once: fewer when the service throttles, more again when it does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK = 0.2  # seconds between two looks at whether the caller still wants to wait
_GOING_OUT = 0.004  # seconds that a call needs until it is on its way
_LONGEST = 0.05


class Gate:
    """Lets `limit` calls through at once. Additive increase, multiplicative decrease, as TCP does it.

    Source: Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion avoidance", 1989.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._inside = 0
        self._entered_at = float("-inf")
        self._round = 0  # counts the decreases
        self._change = threading.Condition()

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return int(self._limit)

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """A call's place in line; whatever happens, it is given back."""
        turn = Turn(self)
        try:
            yield turn
        finally:
            turn.leave()

    def wait_for_quiet(self) -> None:
        """Let calls that are going out go first, for a moment: they share the interpreter with whoever asks."""
        deadline = time.monotonic() + _LONGEST
        while self._entered_at + _GOING_OUT > time.monotonic() < deadline:
            time.sleep(_GOING_OUT / 2)

    def _enter(self, gone: threading.Event) -> int | None:
        with self._change:
            while not gone.is_set() and self._inside >= self.limit:
                self._change.wait(_LOOK)
            if gone.is_set():
                return None
            self._inside += 1
            self._entered_at = time.monotonic()
            return self._round

    def _leave(self) -> None:
        with self._change:
            self._inside -= 1
            self._change.notify()

    def _went_well(self) -> None:
        with self._change:
            self._limit = min(self._limit + 1 / self._limit, self._most)
            self._change.notify()

    def _throttled(self, entered: int) -> None:
        with self._change:
            # Calls that went out together are turned away together: that is one sign, not many.
            if entered == self._round:
                self._limit = max(self._limit / 2, 1.0)
                self._round += 1


class Turn:
    """One call, which may enter and leave several times until it is answered."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._entered: int | None = None

    def enter(self, gone: threading.Event) -> bool:
        """Wait until the call may go out; False when the caller left before that."""
        self._entered = self._gate._enter(gone)
        return self._entered is not None

    def went_well(self) -> None:
        """The service took the call, which goes on until `leave`."""
        self._gate._went_well()

    def leave(self, *, throttled: bool = False) -> None:
        """The call is over, or has to try again."""
        if self._entered is None:
            return
        if throttled:
            self._gate._throttled(self._entered)
        self._gate._leave()
        self._entered = None
