from __future__ import annotations

import threading

import pytest

from lib.engines.bedrock.single_flight import SingleFlightCache
from lib.errors import ServiceError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_concurrent_callers_share_one_fetch() -> None:
    lookups, asked, all_started = SingleFlightCache(), [], threading.Event()

    def ask() -> int:
        asked.append(1)
        assert all_started.wait(5)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(lookups.get("key", ask))) for _ in range(8)]
    for thread in threads:
        thread.start()
    all_started.set()
    for thread in threads:
        thread.join()
    assert found == [7] * 8
    assert len(asked) == 1


def test_get_nowait_never_waits() -> None:
    lookups, go = SingleFlightCache(), threading.Event()
    assert lookups.get_nowait("key", lambda: go.wait(5)) is None
    assert lookups.get_nowait("key", lambda: pytest.fail("asked twice")) is None
    go.set()
    assert lookups.get("key", lambda: pytest.fail("asked twice")) is True
    found = lookups.get_nowait("key", lambda: pytest.fail("asked twice"))
    assert found is not None
    assert found.value is True


def test_values_expire_and_errors_sooner() -> None:
    clock = Clock()
    lookups, asked = SingleFlightCache(clock), []

    def ask() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise ServiceError("No.", "Later.")
        return len(asked)

    for _ in range(2):
        with pytest.raises(ServiceError):
            lookups.get("key", ask)
    clock.now += 61
    assert lookups.get("key", ask) == 2
    clock.now += 3500
    assert lookups.get("key", ask) == 2
    clock.now += 200
    assert lookups.get("key", ask, lambda _: 5.0) == 3
    clock.now += 6
    assert lookups.get("key", ask) == 4


def test_forgetting_by_prefix_of_the_key() -> None:
    lookups = SingleFlightCache()
    for key in (("a", 1), ("a", 2), ("b", 1)):
        lookups.get(key, lambda: "old")
    lookups.forget("a")
    assert [lookups.get(key, lambda: "new") for key in (("a", 1), ("a", 2), ("b", 1))] == ["new", "new", "old"]


def test_get_nowait_returns_a_cached_error() -> None:
    lookups = SingleFlightCache()

    def ask() -> int:
        raise ServiceError("No.", "Later.")

    with pytest.raises(ServiceError):
        lookups.get("key", ask)
    found = lookups.get_nowait("key", ask)
    assert found is not None
    assert found.error is not None
    assert found.error.cause == "No."


def test_cached_values_are_returned_without_a_fetch() -> None:
    lookups = SingleFlightCache()
    assert lookups.known("list") == []
    lookups.get(("list", "here"), lambda: 1)
    lookups.get(("list", "there"), lambda: 2)
    lookups.get(("other", "here"), lambda: 3)

    def refused() -> int:
        raise ServiceError("No.", "Later.")

    with pytest.raises(ServiceError):
        lookups.get(("list", "nowhere"), refused)
    assert lookups.known("list") == [1, 2]
    assert lookups.known("list", "there") == [2]
