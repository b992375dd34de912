"""A stream of deltas produced in its own thread, so that a caller waiting for the network can always be released."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from lib.core.stream import Delta
from lib.engines.remote.threads import DaemonThreads
from lib.errors import Cancelled

_END = object()
_THREADS = DaemonThreads("candor-stream")


class BackgroundStream:
    """A `lib.engines.base.Stream` whose deltas come from a background thread."""

    def __init__(self, produce: Callable[[threading.Event], Iterator[Delta]]) -> None:
        """produce: makes the deltas; its argument is set once the stream is stopped or closed."""
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._outcome: Any = None  # _END or an exception, once the stream is over
        _THREADS.run(lambda: self._run(produce))

    def _run(self, produce: Callable[[threading.Event], Iterator[Delta]]) -> None:
        try:
            for delta in produce(self._cancelled):
                self._results.put(delta)
            self._results.put(_END)
        except BaseException as error:  # re-raised in the thread that reads the stream
            self._results.put(error)

    def __iter__(self) -> BackgroundStream:
        return self

    def __next__(self) -> Delta:
        result = self._results.get() if self._outcome is None else self._outcome
        if isinstance(result, Delta):
            return result
        self._outcome = result
        if isinstance(result, BaseException):
            raise result
        raise StopIteration

    def stop(self) -> None:
        """Stop waiting for a cold model and stop retrying.

        A response in one piece that has been paid for still arrives; a streamed one ends with the current chunk.
        """
        self._cancelled.set()

    def close(self) -> None:
        """Cancel: the reader gets Cancelled after the deltas that are already there."""
        self._cancelled.set()
        self._results.put(Cancelled("The request was cancelled."))
