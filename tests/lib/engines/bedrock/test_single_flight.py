from __future__ import annotations

import threading
import time

import pytest

from lib.engines.bedrock.single_flight import SingleFlightCache
from lib.errors import ServiceError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_whoever_asks_meanwhile_waits_for_the_same_answer() -> None:
    lookups, asked = SingleFlightCache(), []

    def ask() -> int:
        asked.append(1)
        time.sleep(0.1)
        return 7

    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(lookups.get("key", ask))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [7] * 8
    assert len(asked) == 1


def test_looking_never_waits() -> None:
    lookups, go = SingleFlightCache(), threading.Event()
    assert lookups.get_nowait("key", lambda: go.wait(5)) is None
    assert lookups.get_nowait("key", lambda: pytest.fail("asked twice")) is None
    go.set()
    assert lookups.get("key", lambda: pytest.fail("asked twice")) is True
    found = lookups.get_nowait("key", lambda: pytest.fail("asked twice"))
    assert found is not None
    assert found.value is True


def test_answers_grow_old_and_errors_sooner() -> None:
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


def test_forgetting_by_how_a_key_begins() -> None:
    lookups = SingleFlightCache()
    for key in (("a", 1), ("a", 2), ("b", 1)):
        lookups.get(key, lambda: "old")
    lookups.forget("a")
    assert [lookups.get(key, lambda: "new") for key in (("a", 1), ("a", 2), ("b", 1))] == ["new", "new", "old"]


def test_an_error_is_found_without_waiting() -> None:
    lookups = SingleFlightCache()

    def ask() -> int:
        raise ServiceError("No.", "Later.")

    with pytest.raises(ServiceError):
        lookups.get("key", ask)
    found = lookups.get_nowait("key", ask)
    assert found is not None
    assert found.error is not None
    assert found.error.cause == "No."


def test_what_is_known_is_told_without_asking() -> None:
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
