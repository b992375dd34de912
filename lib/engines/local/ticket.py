"""A place in the model's queue, and the results that arrive there."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_END = object()
_NUMBERS = itertools.count()
LATER: Any = object()  # in place of what a step waits for: it is computed in a later turn


class Step(Protocol):
    """What a work yields, instead of a list of results, to wait for something that is computed for many at once."""

    @property
    def results(self) -> list[Any]:
        """Results since its previous turn."""


class Ticket:
    """A place in the queue: an iterator that waits for results. Readers close it when they stop; any thread may.

    work: what runs at the model.
    cost: bytes it takes while it runs.
    owner: who submitted it.
    on_cancel, on_end: called when the ticket is cancelled, and when it gets no more turns.
    """

    def __init__(
        self,
        work: Iterator[list[Any] | Any],
        cost: int,
        owner: str,
        on_cancel: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.work, self.cost, self.owner = work, cost, owner
        self.number = next(_NUMBERS)  # in order of submission
        self.step: Step | None = None  # what the work waits for
        self.cancelled = False
        self._on_cancel, self._on_end = on_cancel, on_end
        self._results: deque[Any] = deque()
        self._ready = threading.Condition()
        self._listener: Callable[[], None] | None = None

    def close(self) -> None:
        """Cancel. Readers get the results that have already arrived, then Cancelled."""
        if not self.cancelled:
            self.cancelled = True
            self._on_cancel()

    def stop(self) -> None:
        """The same: nothing here is billed."""
        self.close()

    def give(self, *results: Any) -> None:
        """Hand over results to the reader."""
        with self._ready:
            self._results.extend(results)
            self._ready.notify_all()
            listener = self._listener
        if listener is not None:
            listener()

    def finish(self, error: BaseException | None = None) -> None:
        """End the results, with an error if there is one."""
        self._on_end()  # first, so that a reader of the last result finds the scheduler idle
        self.give(_END if error is None else error)

    @property
    def ended(self) -> bool:
        """Whether the last result has arrived."""
        with self._ready:
            return bool(self._results) and self._is_last(self._results[-1])

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` from the model's thread whenever results arrive; right now if there are some already.

        For readers that must not block, such as an event loop. The listener must be quick and must not raise.
        """
        with self._ready:
            self._listener = listener
            waiting = bool(self._results)
        if waiting:
            listener()

    def poll(self) -> list[Any]:
        """The results that have arrived, without waiting. Once all are read, raises the work's error if it failed."""
        with self._ready:
            results = []
            while self._results and not self._is_last(self._results[0]):
                results.append(self._results.popleft())
            last = self._results[0] if self._results else None
        if not results and isinstance(last, BaseException):
            raise last
        return results

    def __iter__(self) -> Ticket:
        return self

    def __next__(self) -> Any:
        with self._ready:
            while not self._results:
                self._ready.wait()
            result = self._results[0] if self._is_last(self._results[0]) else self._results.popleft()
        if result is _END:
            raise StopIteration
        if isinstance(result, BaseException):
            raise result
        return result

    @staticmethod
    def _is_last(result: Any) -> bool:
        return result is _END or isinstance(result, BaseException)
