"""A cache for slow look-ups: one fetch at a time for each key, kept for a limited time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lib.errors import CandorError, as_error

T = TypeVar("T")
_TTL, _ERROR_TTL = 3600.0, 60.0  # seconds
_MAX_ENTRIES = 512


@dataclass(frozen=True)
class Found(Generic[T]):
    """The result of a finished look-up."""

    value: T | None = None  # None if it failed
    error: CandorError | None = None  # None if it succeeded


@dataclass
class _Entry:
    future: Future[Any]
    expires: float = float("inf")  # on the cache's clock


def _default_ttl(_: object) -> float:
    return _TTL


class SingleFlightCache:
    """Single-flight cache with expiry: concurrent callers of one key share one fetch."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._lock = threading.Lock()
        self._clock = clock

    def get(self, key: Hashable, fetch: Callable[[], T], ttl: Callable[[T], float] = _default_ttl) -> T:
        """Return the value, waiting for it. Raises CandorError; an error is cached for one minute.

        ttl: seconds to cache a value.
        """
        entry, is_new = self._entry(key)
        if is_new:
            self._fetch(entry, fetch, ttl)
        found: T = entry.future.result()
        return found

    def get_nowait(
        self, key: Hashable, fetch: Callable[[], T], ttl: Callable[[T], float] = _default_ttl
    ) -> Found[T] | None:
        """Return the result if it is cached, or None while a background thread fetches it."""
        entry, is_new = self._entry(key)
        if is_new:
            threading.Thread(target=self._fetch, args=(entry, fetch, ttl), name="candor-lookup", daemon=True).start()
        if not entry.future.done():
            return None
        error = entry.future.exception()
        if error is None:
            return Found(entry.future.result())
        if isinstance(error, CandorError) or not isinstance(error, Exception):
            return Found(error=as_error(error, "looking this up"))
        raise error

    def known(self, *prefix: Hashable) -> list[Any]:
        """Values in the cache whose key begins with these parts. Fetches nothing."""
        with self._lock:
            done = [
                each.future
                for key, each in self._entries.items()
                if each.future.done() and isinstance(key, tuple) and key[: len(prefix)] == prefix
            ]
        return [future.result() for future in done if future.exception() is None]

    def forget(self, *prefix: Hashable) -> None:
        """Drop the results whose key begins with these parts."""
        with self._lock:
            for key in list(self._entries):
                if self._entries[key].future.done() and isinstance(key, tuple) and key[: len(prefix)] == prefix:
                    del self._entries[key]

    def _entry(self, key: Hashable) -> tuple[_Entry, bool]:
        """(the entry, whether the caller has to fetch it)."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and not (entry.future.done() and self._clock() >= entry.expires):
                return entry, False
            if len(self._entries) >= _MAX_ENTRIES:
                self._entries = {name: each for name, each in self._entries.items() if not each.future.done()}
            entry = self._entries[key] = _Entry(Future())
            return entry, True

    def _fetch(self, entry: _Entry, fetch: Callable[[], Any], ttl: Callable[[Any], float]) -> None:
        try:
            value = fetch()
        except BaseException as error:
            entry.expires = self._clock() + _ERROR_TTL
            entry.future.set_exception(error)
        else:
            entry.expires = self._clock() + ttl(value)
            entry.future.set_result(value)
