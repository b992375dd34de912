"""Many calls as one job."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lib.errors import Cancelled, CapReached, ServiceError
from lib.jobs.batch import Many, State, Task, run_many
from lib.jobs.job import Job, Jobs


def done(works: list[Callable[[Task[Any]], Any]], **options: Any) -> Many[Any]:
    job = Jobs().start(run_many(works, **options))
    assert job.wait(20)
    assert job.error is None
    assert job.result is not None
    return job.result


def test_results_are_in_the_order_of_the_calls() -> None:
    def work(number: int) -> Callable[[Task[int]], int]:
        return lambda _: (time.sleep(random.random() / 100), number)[1]

    many = done([work(number) for number in range(50)])
    assert [outcome.result for outcome in many.outcomes] == list(range(50))
    assert many.count(State.DONE) == 50
    assert many.seconds_left == 0


def test_concurrency_is_limited() -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def work(_: Task[None]) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.01)
        with lock:
            inside -= 1

    done([work] * 30, at_once=4)
    assert most == 4


def test_a_failure_does_not_affect_the_others() -> None:
    def fails(task: Task[str]) -> str:
        task.publish("half an answer")
        raise ServiceError("It failed.", "Try again.")

    def breaks(_: Task[str]) -> str:
        raise ZeroDivisionError

    many = done([lambda _: "good", fails, breaks, lambda _: "good"])
    assert [outcome.state for outcome in many.outcomes] == [State.DONE, State.FAILED, State.FAILED, State.DONE]
    assert many.outcomes[1].result == "half an answer", "the partial result is kept"
    assert many.outcomes[1].error is not None
    assert many.outcomes[2].error is not None
    assert "inside Candor" in many.outcomes[2].error.cause


def test_only_the_failed_calls_are_retried() -> None:
    calls: Counter[int] = Counter()
    broken = {3, 7}

    def work(number: int) -> Callable[[Task[int]], int]:
        def call(_: Task[int]) -> int:
            calls[number] += 1
            if number in broken:
                raise ServiceError("It failed.", "Try again.")
            return number

        return call

    works = [work(number) for number in range(10)]
    first = done(works)
    assert first.count(State.FAILED) == 2
    broken.clear()
    second = done(works, before=first)
    assert second.count(State.DONE) == 10
    assert calls == Counter({number: 1 + (number in (3, 7)) for number in range(10)})
    third = done(works, before=second)
    assert third.outcomes == second.outcomes
    assert sum(calls.values()) == 12


def test_a_partial_result_is_kept_until_a_retry_succeeds() -> None:
    def fails(task: Task[str]) -> str:
        task.publish("half")
        raise ServiceError("It failed.", "Try again.")

    def refused(_: Task[str]) -> str:
        raise CapReached("Enough.", "Raise it.")

    first = done([fails])
    second = done([refused], before=first)
    assert (second.outcomes[0].state, second.outcomes[0].result) == (State.NOT_STARTED, "half")
    assert done([lambda _: "whole"], before=second).outcomes[0].result == "whole"


def test_calls_beyond_the_cap_are_not_started() -> None:
    lock, left = threading.Lock(), [5]

    def work(_: Task[str]) -> str:
        with lock:
            left[0] -= 1
            if left[0] < 0:
                raise CapReached("Enough.", "Raise it.")
        return "done"

    many = done([work] * 30, at_once=3)
    assert many.count(State.DONE) == 5
    assert many.count(State.NOT_STARTED) == 25
    assert many.cap is not None
    assert many.cap.cause == "Enough."


class Calls:
    """Calls that take a while and can be cancelled. Counts the ones that a service would bill."""

    def __init__(self, count: int, seconds: float = 0.02) -> None:
        self.paid: Counter[int] = Counter()
        self.received: Counter[int] = Counter()
        self.works = [self._work(number, seconds) for number in range(count)]

    def _work(self, number: int, seconds: float) -> Callable[[Task[int]], int]:
        def call(task: Task[int]) -> int:
            dropped = threading.Event()
            task.on_cancel(dropped.set)
            self.paid[number] += 1
            if dropped.wait(seconds):
                raise Cancelled("Dropped.")
            self.received[number] += 1
            return number

        return call


@pytest.mark.parametrize("seed", range(12))
def test_stopping_at_any_moment_loses_no_result_and_repeats_no_call(seed: int) -> None:
    dice = random.Random(seed)
    calls, before = Calls(50), None
    for _ in range(40):
        job: Job[Many[int]] = Jobs().start(run_many(calls.works, at_once=8, before=before))
        if dice.random() < 0.7:
            time.sleep(dice.random() * 0.05)
            job.cancel()
        assert job.wait(20)
        assert job.result is not None
        before = job.result
        kept = {place for place, each in enumerate(before.outcomes) if each.state is State.DONE}
        assert kept == set(calls.received)
        assert all(before.outcomes[place].result == place for place in kept)
        if len(kept) == 50:
            break
    assert len(calls.received) == 50
    assert set(calls.paid.values()) == {1}, "a call in flight is finished, not repeated"


def test_cancelling_twice_drops_calls_in_flight() -> None:
    calls = Calls(20, seconds=30)
    job = Jobs().start(run_many(calls.works, at_once=4))
    while len(calls.paid) < 4:
        time.sleep(0.01)
    job.cancel()
    assert not job.wait(0.5), "calls in flight are finished first"
    assert job.note == "Finishing calls in flight"
    job.cancel()
    assert job.wait(5)
    assert job.result is not None
    assert job.result.count(State.NOT_STARTED) == 20
    assert calls.received == Counter()


def test_progress_while_it_runs() -> None:
    calls = Calls(12, seconds=0.15)
    job = Jobs().start(run_many(calls.works, at_once=2))
    seen: list[Many[int]] = []
    while not job.wait(0.05):
        if job.partial is not None:
            seen.append(job.partial)
    assert seen
    assert all(each.count(State.RUNNING) <= 2 for each in seen)
    counts = [each.count(State.DONE) for each in seen]
    assert counts == sorted(counts)
    left = [each.seconds_left for each in seen if each.seconds_left is not None]
    assert left
    assert max(left) < 10 * 12 * 0.15


def test_nothing_to_do() -> None:
    assert done([]).outcomes == ()
