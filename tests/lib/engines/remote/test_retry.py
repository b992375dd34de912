"""When failed calls are retried, and how long that takes."""

from __future__ import annotations

import threading

import pytest

from lib.engines.remote.rate_limit import AimdLimiter
from lib.engines.remote.retry import Failure, Retry, RetryPolicy
from lib.errors import Cancelled, ServiceError
from tests.lib.engines.remote.fakes import Clock

NEVER = threading.Event()


def classify(error: ServiceError) -> Failure:
    return Failure(error.code)


class Service:
    """Fails in the given ways in order, then answers."""

    def __init__(self, *failures: Failure) -> None:
        self.failures, self.calls = list(failures), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise ServiceError("It failed.", "Wait.", self.failures.pop(0))
        return "answer"


def run(
    service: Service, policy: RetryPolicy, clock: Clock, limiter: AimdLimiter | None = None
) -> tuple[str, list[str]]:
    """(the answer of a service, the notes published before it)."""
    retry = Retry(classify, policy, clock=clock, wait=clock.wait)
    notes: list[str] = []
    with (limiter or AimdLimiter(4)).slot() as slot:
        return retry.run(service, slot, NEVER, notes.append), notes


def test_the_delays_grow_and_differ() -> None:
    """Callers that were throttled together don't retry together."""
    waits = []
    for _ in range(2):
        clock, service = Clock(), Service(*[Failure.THROTTLED] * 5)
        with pytest.raises(ServiceError):
            run(service, RetryPolicy(throttled_attempts=5, first_delay=0.05, max_delay=0.2), clock)
        assert service.calls == 5
        waits.append(clock.waits)
    for found in waits:
        wanted = (0.05, 0.1, 0.2, 0.2)
        assert all(0.5 * most <= seconds <= most for seconds, most in zip(found, wanted, strict=True))
    assert waits[0] != waits[1]


@pytest.mark.parametrize(("failure", "attempts"), [(Failure.TRANSIENT, 4), (Failure.PERMANENT, 1)])
def test_the_number_of_attempts(failure: Failure, attempts: int) -> None:
    service = Service(*[failure] * 9)
    with pytest.raises(ServiceError):
        run(service, RetryPolicy(), Clock())
    assert service.calls == attempts


def test_the_wait_for_a_cold_model_is_limited() -> None:
    clock = Clock()
    with pytest.raises(ServiceError, match="did not load within 10 minutes") as raised:
        run(Service(*[Failure.COLD] * 99), RetryPolicy(), clock)
    assert raised.value.code == Failure.COLD
    assert 600 - 45 <= clock.now <= 600
    assert all(12 <= seconds <= 45 for seconds in clock.waits)
    assert clock.waits[0] <= 15


def test_the_notes_say_what_the_call_waits_for() -> None:
    answer, notes = run(
        Service(Failure.COLD, Failure.COLD, Failure.THROTTLED, Failure.TRANSIENT), RetryPolicy(), Clock()
    )
    assert answer == "answer"
    assert "cold" in notes[0]
    assert "tried once" in notes[0]
    assert "tried 2 times" in notes[1]
    assert "throttling" in notes[2]
    assert notes[3].startswith("It failed; retrying in ")


def test_only_throttling_lowers_the_limit() -> None:
    limiter = AimdLimiter(4)
    run(Service(Failure.COLD, Failure.TRANSIENT), RetryPolicy(), Clock(), limiter)
    assert limiter.limit == 4
    run(Service(Failure.THROTTLED), RetryPolicy(), Clock(), limiter)
    assert limiter.limit == 2


def test_a_delay_can_be_cancelled() -> None:
    cancelled = threading.Event()
    retry = Retry(classify, wait=lambda event, _: event.is_set())
    with AimdLimiter(1).slot() as slot, pytest.raises(Cancelled):
        retry.run(Service(Failure.COLD), slot, cancelled, lambda _: cancelled.set())


def test_the_default_wait_ends_when_the_event_is_set() -> None:
    cancelled = threading.Event()
    retry = Retry(classify, RetryPolicy(cold_delays=(60.0, 60.0)))
    with AimdLimiter(1).slot() as slot, pytest.raises(Cancelled):
        retry.run(Service(Failure.COLD), slot, cancelled, lambda _: cancelled.set())


def test_a_call_that_waits_to_retry_leaves_its_slot_to_others() -> None:
    limiter, acquired = AimdLimiter(1), []
    with limiter.slot() as slot, limiter.slot() as other:

        def on_note(_: str) -> None:
            acquired.append(other.acquire(NEVER))
            other.release()

        Retry(classify, wait=lambda *_: False).run(Service(Failure.COLD), slot, NEVER, on_note)
    assert acquired == [True]
