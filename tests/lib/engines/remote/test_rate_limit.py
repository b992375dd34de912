"""How many calls run concurrently."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.engines.remote.rate_limit import AimdLimiter
from tests.lib.engines.remote.fakes import CancelledLater, Clock

NEVER = threading.Event()


def test_concurrent_calls_are_limited() -> None:
    limiter, lock = AimdLimiter(3), threading.Lock()
    arrived, leave = threading.Semaphore(0), threading.Semaphore(0)
    active, most = 0, 0

    def call() -> None:
        nonlocal active, most
        with limiter.slot() as slot:
            assert slot.acquire(NEVER)
            with lock:
                active += 1
                most = max(most, active)
            arrived.release()
            assert leave.acquire(timeout=5)
            with lock:
                active -= 1

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        assert arrived.acquire(timeout=5)
        leave.release()
    for thread in threads:
        thread.join()
    assert 1 <= most <= 3
    assert active == 0


def test_the_whole_limit_is_used() -> None:
    with ExitStack() as stack:
        limiter = AimdLimiter(3, poll=0.0)
        assert [stack.enter_context(limiter.slot()).acquire(CancelledLater(3)) for _ in range(4)] == [True] * 3 + [
            False
        ]


def test_a_waiting_call_can_be_cancelled() -> None:
    limiter = AimdLimiter(1, poll=0.0)
    with limiter.slot() as first, limiter.slot() as second:
        assert first.acquire(NEVER)
        assert not second.acquire(CancelledLater(3))
    with limiter.slot() as third:
        assert third.acquire(NEVER), "the cancelled call takes no slot"


@given(st.lists(st.sampled_from(["fine", "throttled"]), max_size=60))
def test_the_limit_halves_and_grows_within_its_bounds(answers: list[str]) -> None:
    limiter, before = AimdLimiter(16), 16
    for answer in answers:
        with limiter.slot() as slot:
            slot.acquire(NEVER)
            if answer == "fine":
                slot.succeeded()
                assert before <= limiter.limit <= min(before + 1, 16)
            else:
                slot.release(throttled=True)
                assert max(before // 2, 1) <= limiter.limit <= max((before + 1) / 2, 1)
        before = limiter.limit


def test_calls_that_started_together_count_as_one_signal() -> None:
    limiter = AimdLimiter(16)
    with ExitStack() as stack:
        slots = [stack.enter_context(limiter.slot()) for _ in range(8)]
        for slot in slots:
            slot.acquire(NEVER)
        for slot in slots:
            slot.release(throttled=True)
    assert limiter.limit == 8


def test_new_calls_go_first_but_not_for_long() -> None:
    clock = Clock()
    limiter = AimdLimiter(2, clock=clock, sleep=clock.sleep)
    limiter.yield_to_new_calls()
    assert clock.now == 0
    with limiter.slot() as slot:
        slot.acquire(NEVER)
        limiter.yield_to_new_calls()
    assert clock.now == pytest.approx(0.004)

    def start_another(seconds: float) -> None:
        clock.sleep(seconds)
        with limiter.slot() as slot:
            slot.acquire(NEVER)

    clock.now, busy = 0.0, AimdLimiter(2, clock=clock, sleep=start_another)
    limiter = busy
    start_another(0.0)
    busy.yield_to_new_calls()
    assert 0.05 <= clock.now <= 0.06
