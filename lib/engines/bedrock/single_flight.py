"""Answers to slow questions, each asked once at a time and kept for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lib.errors import CandorError, as_error

T = TypeVar("T")
_KEEP, _KEEP_ERRORS = 3600.0, 60.0  # seconds
_MOST = 512


@dataclass(frozen=True)
class Found(Generic[T]):
    """What came of a question: a value, or why there is none."""

    value: T | None = None
    error: CandorError | None = None


@dataclass
class _Entry:
    future: Future[Any]
    until: float = float("inf")


def _for_long(_: object) -> float:
    return _KEEP


class SingleFlightCache:
    """Single-flight and time-limited: whoever asks what is being asked already waits for the same answer."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._lock = threading.Lock()
        self._clock = clock

    def get(self, key: Hashable, ask: Callable[[], T], keep: Callable[[T], float] = _for_long) -> T:
        """The answer, waiting for it. Raises CandorError; an error is kept for a minute only.

        keep: for how many seconds an answer is good.
        """
        entry, mine = self._entry(key)
        if mine:
            self._answer(entry, ask, keep)
        found: T = entry.future.result()
        return found

    def get_nowait(
        self, key: Hashable, ask: Callable[[], T], keep: Callable[[T], float] = _for_long
    ) -> Found[T] | None:
        """The answer if it is there; None while it is being found behind whoever asks, which begins now."""
        entry, mine = self._entry(key)
        if mine:
            threading.Thread(target=self._answer, args=(entry, ask, keep), name="candor-lookup", daemon=True).start()
        if not entry.future.done():
            return None
        error = entry.future.exception()
        if error is None:
            return Found(entry.future.result())
        if isinstance(error, CandorError) or not isinstance(error, Exception):
            return Found(error=as_error(error, "looking this up"))
        raise error

    def known(self, *about: Hashable) -> list[Any]:
        """Answers that are there, to all questions whose key begins with these parts; nothing is asked."""
        with self._lock:
            done = [
                each.future
                for key, each in self._entries.items()
                if each.future.done() and isinstance(key, tuple) and key[: len(about)] == about
            ]
        return [future.result() for future in done if future.exception() is None]

    def forget(self, *about: Hashable) -> None:
        """Ask again the next time: all questions whose key begins with these parts."""
        with self._lock:
            for key in list(self._entries):
                if self._entries[key].future.done() and isinstance(key, tuple) and key[: len(about)] == about:
                    del self._entries[key]

    def _entry(self, key: Hashable) -> tuple[_Entry, bool]:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and not (entry.future.done() and self._clock() >= entry.until):
                return entry, False
            if len(self._entries) >= _MOST:
                self._entries = {name: each for name, each in self._entries.items() if not each.future.done()}
            entry = self._entries[key] = _Entry(Future())
            return entry, True

    def _answer(self, entry: _Entry, ask: Callable[[], Any], keep: Callable[[Any], float]) -> None:
        try:
            value = ask()
        except BaseException as error:
            entry.until = self._clock() + _KEEP_ERRORS
            entry.future.set_exception(error)
        else:
            entry.until = self._clock() + keep(value)
            entry.future.set_result(value)
