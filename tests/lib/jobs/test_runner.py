"""Many calls as one job."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lib.core.completion import Completion
from lib.errors import Cancelled, CapReached, ServiceError
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.job import Job, Jobs
from lib.jobs.runner import Answers, Task, Unit, run_units
from tests.support.strategies import completion_of, tokens_of

Call = Callable[[Task], Any]


def answer(text: object) -> Completion:
    return completion_of(tokens_of("a"), tokens_of("b"), text=str(text))


def units(works: list[Call]) -> list[Unit]:
    """Units of one answer each, whose text is what the work returns."""

    def unit(place: int, work: Call) -> Unit:
        return Unit((place,), lambda task: [answer(work(task))])

    return [unit(place, work) for place, work in enumerate(works)]


def run(works: list[Call], before: Batch | None = None, **options: Any) -> Callable[[Job[Batch]], Batch]:
    """All works, or those that an earlier batch lacks."""
    outcomes = [Outcome()] * len(works) if before is None else list(before.outcomes)
    left = [each for each in units(works) if outcomes[each.places[0]].state is not State.DONE]
    return run_units(left, outcomes, **options)


def texts(batch: Batch) -> list[str | None]:
    return [None if each.completion is None else each.completion.text for each in batch.outcomes]


def done(works: list[Call], **options: Any) -> Batch:
    job = Jobs().start(run(works, **options))
    assert job.wait(20)
    assert job.error is None
    assert job.result is not None
    return job.result


def test_results_are_in_the_order_of_the_calls() -> None:
    def work(number: int) -> Callable[[Task], int]:
        return lambda _: (time.sleep(random.random() / 100), number)[1]

    many = done([work(number) for number in range(50)])
    assert texts(many) == [str(number) for number in range(50)]
    assert many.count(State.DONE) == 50
    assert many.seconds_left == 0


def test_concurrency_is_limited() -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def work(_: Task) -> None:
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
    def fails(task: Task) -> str:
        task.publish([answer("half an answer")])
        raise ServiceError("It failed.", "Try again.")

    def breaks(_: Task) -> str:
        raise ZeroDivisionError

    many = done([lambda _: "good", fails, breaks, lambda _: "good"])
    assert [outcome.state for outcome in many.outcomes] == [State.DONE, State.FAILED, State.FAILED, State.DONE]
    assert texts(many)[1] == "half an answer", "the partial result is kept"
    assert many.outcomes[1].error is not None
    assert many.outcomes[2].error is not None
    assert "inside Candor" in many.outcomes[2].error.cause


def test_only_the_failed_calls_are_retried() -> None:
    calls: Counter[int] = Counter()
    broken = {3, 7}

    def work(number: int) -> Callable[[Task], int]:
        def call(_: Task) -> int:
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
    def fails(task: Task) -> str:
        task.publish([answer("half")])
        raise ServiceError("It failed.", "Try again.")

    def refused(_: Task) -> str:
        raise CapReached("Enough.", "Raise it.")

    first = done([fails])
    second = done([refused], before=first)
    assert (second.outcomes[0].state, texts(second)) == (State.NOT_STARTED, ["half"])
    assert texts(done([lambda _: "whole"], before=second)) == ["whole"]


def test_calls_beyond_the_cap_are_not_started() -> None:
    lock, left = threading.Lock(), [5]

    def work(_: Task) -> str:
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

    def _work(self, number: int, seconds: float) -> Callable[[Task], int]:
        def call(task: Task) -> int:
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
        job: Job[Batch] = Jobs().start(run(calls.works, at_once=8, before=before))
        if dice.random() < 0.7:
            time.sleep(dice.random() * 0.05)
            job.cancel()
        assert job.wait(20)
        assert job.result is not None
        before = job.result
        kept = {place for place, each in enumerate(before.outcomes) if each.state is State.DONE}
        assert kept == set(calls.received)
        assert all(texts(before)[place] == str(place) for place in kept)
        if len(kept) == 50:
            break
    assert len(calls.received) == 50
    assert set(calls.paid.values()) == {1}, "a call in flight is finished, not repeated"


def test_cancelling_twice_drops_calls_in_flight() -> None:
    calls = Calls(20, seconds=30)
    job = Jobs().start(run(calls.works, at_once=4))
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
    job = Jobs().start(run(calls.works, at_once=2))
    seen: list[Batch] = []
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


def test_a_unit_of_several_answers() -> None:
    def two(task: Task) -> Answers:
        task.publish([answer("first"), None])
        return [answer("first"), answer("second")]

    def one_of_two(_: Task) -> Answers:
        return [answer("third")]

    def fails(task: Task) -> Answers:
        task.publish([None, answer("half")])
        raise ServiceError("It failed.", "Try again.")

    all_units = [Unit((0, 3), two), Unit((1, 2), one_of_two), Unit((4, 5), fails)]
    job = Jobs().start(run_units(all_units, [Outcome()] * 6))
    assert job.wait(20)
    assert job.result is not None
    assert texts(job.result) == ["first", "third", None, "second", None, "half"]
    assert [each.state for each in job.result.outcomes] == [
        State.DONE, State.DONE, State.NOT_STARTED, State.DONE, State.FAILED, State.FAILED,
    ]  # fmt: skip
    assert job.result.missing == 3


def test_nothing_to_do() -> None:
    assert done([]).outcomes == ()
