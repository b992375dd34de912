"""A call under way: what it gives step by step, and how it is told to stop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from lib.core.stream import Delta
from lib.errors import Cancelled

_END = object()


class Call:
    """A call under way in a thread of its own, so that whoever waits for it can be told to stop waiting."""

    def __init__(self, work: Callable[[threading.Event], Iterator[Delta]]) -> None:
        self._results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._gone = threading.Event()
        self._over: Any = None
        threading.Thread(target=self._run, args=(work,), name="candor-bedrock", daemon=True).start()

    def _run(self, work: Callable[[threading.Event], Iterator[Delta]]) -> None:
        try:
            for delta in work(self._gone):
                self._results.put(delta)
            self._results.put(_END)
        except BaseException as error:  # whoever waits has to hear of it
            self._results.put(error)

    def __iter__(self) -> Call:
        return self

    def __next__(self) -> Delta:
        result = self._results.get() if self._over is None else self._over
        if isinstance(result, Delta):
            return result
        self._over = result
        if isinstance(result, BaseException):
            raise result
        raise StopIteration

    def stop(self) -> None:
        """Wait for no model to wake and try nothing again; what has been sent is answered as far as it comes."""
        self._gone.set()

    def close(self) -> None:
        """Stop waiting: whoever does gets Cancelled, after what is there already."""
        self._gone.set()
        self._results.put(Cancelled("The request was cancelled."))
