"""A fake clock, on which time passes only when code waits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds since the start, advanced only by `sleep` and `wait`."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        self.now += seconds

    def wait(self, cancelled: threading.Event, seconds: float) -> bool:
        """Advance the time and record by how much. Returns whether the event is set."""
        if not cancelled.is_set():
            self.waits.append(seconds)
            self.now += seconds
        return cancelled.is_set()


class CancelledLater(threading.Event):
    """An event that is set once it has been checked a number of times."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self._left = checks

    def is_set(self) -> bool:
        """Whether all checks are used up."""
        self._left -= 1
        return self._left < 0
