"""Daemon threads that are used again: starting one for each of a thousand calls takes longer than the calls."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable

_IDLE = 10.0  # seconds until a thread without work ends


class DaemonThreads:
    """Runs each work in a thread of its own, at once. Thread-safe.

    A program can end while one of them waits for a network, unlike one with an executor.
    """

    def __init__(self, name: str, idle: float = _IDLE) -> None:
        """idle: seconds until a thread without work ends."""
        self._name, self._idle = name, idle
        self._free: deque[queue.SimpleQueue[Callable[[], None]]] = deque()  # inboxes of threads without work

    def run(self, work: Callable[[], None]) -> None:
        """Start work, which must not raise."""
        try:
            inbox = self._free.pop()
        except IndexError:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(inbox,), name=self._name, daemon=True).start()
        inbox.put(work)

    def _serve(self, inbox: queue.SimpleQueue[Callable[[], None]]) -> None:
        while True:
            try:
                work = inbox.get(timeout=self._idle)
            except queue.Empty:
                try:
                    self._free.remove(inbox)
                except ValueError:  # just taken: its work is on the way
                    continue
                return
            work()
            del work  # it may hold an answer
            self._free.append(inbox)
