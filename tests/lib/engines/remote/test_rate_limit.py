"""How many calls go out at once, and how long what fails is waited for."""

from __future__ import annotations

import contextlib
import threading
import time
from contextlib import ExitStack
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.engines.remote.rate_limit import Gate
from lib.engines.remote.retry import Patience, patiently
from lib.errors import Cancelled, ServiceError

NEVER = threading.Event()


def test_no_more_than_allowed_are_inside() -> None:
    gate, entered = Gate(3), []

    def call() -> None:
        with gate.turn() as turn:
            assert turn.enter(NEVER)
            entered.append(1)
            time.sleep(0.02)
            entered.append(-1)

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    inside = [sum(entered[:place]) for place in range(len(entered) + 1)]
    assert max(inside) == 3
    assert inside[-1] == 0


def test_whoever_leaves_the_line_is_let_go() -> None:
    gate, gone = Gate(1), threading.Event()
    with gate.turn() as first, gate.turn() as second:
        assert first.enter(NEVER)
        threading.Timer(0.1, gone.set).start()
        began = time.monotonic()
        assert not second.enter(gone)
        assert time.monotonic() - began < 2


@given(st.lists(st.sampled_from(["fine", "throttled"]), max_size=60))
def test_the_limit_halves_and_grows_within_its_bounds(answers: list[str]) -> None:
    gate, before = Gate(16), 16
    for answer in answers:
        with gate.turn() as turn:
            turn.enter(NEVER)
            if answer == "fine":
                turn.went_well()
                assert before <= gate.limit <= min(before + 1, 16)
            else:
                turn.leave(throttled=True)
                assert max(before // 2, 1) <= gate.limit <= max((before + 1) / 2, 1)
        before = gate.limit


def test_calls_that_went_out_together_count_once() -> None:
    gate = Gate(16)
    with ExitStack() as stack:
        turns = [stack.enter_context(gate.turn()) for _ in range(8)]
        for turn in turns:
            turn.enter(NEVER)
        for turn in turns:
            turn.leave(throttled=True)
    assert gate.limit == 8


def test_the_pauses_grow_and_differ() -> None:
    """Full jitter within a half: callers that were turned away together do not come back together."""
    waited: list[list[float]] = []
    for _ in range(2):
        with Gate(4).turn() as turn:
            came: list[float] = []

            def attempt(came: list[float] = came) -> None:
                came.append(time.monotonic())
                raise ServiceError("Too many.", "Wait.", "ThrottlingException")

            tries = patiently(attempt, turn, NEVER, Patience(throttled=5, pause=0.05, longest=0.2))
            with pytest.raises(ServiceError):
                list(tries)
        waited.append([later - sooner for sooner, later in pairwise(came)])
    for pauses in waited:
        assert len(pauses) == 4
        assert all(
            0.5 * wanted <= pause < wanted + 0.1 for pause, wanted in zip(pauses, (0.05, 0.1, 0.2, 0.2), strict=True)
        )
    assert waited[0] != waited[1]


def test_a_pause_can_be_broken_off() -> None:
    gone = threading.Event()

    def attempt() -> None:
        raise ServiceError("It sleeps.", "Wait.", "ModelNotReadyException")

    with Gate(1).turn() as turn:
        tries = patiently(attempt, turn, gone, Patience(asks=(60.0, 60.0)))
        next(tries)
        threading.Timer(0.1, gone.set).start()
        began = time.monotonic()
        with pytest.raises(Cancelled):
            next(tries)
        assert time.monotonic() - began < 2


def test_whoever_waits_keeps_no_other_from_asking() -> None:
    gate, tried = Gate(1), threading.Event()

    def attempt() -> None:
        tried.set()
        raise ServiceError("It sleeps.", "Wait.", "ModelNotReadyException")

    def wait() -> None:
        with gate.turn() as turn, contextlib.suppress(Cancelled):
            list(patiently(attempt, turn, gone, Patience(asks=(60.0, 60.0))))

    gone = threading.Event()
    thread = threading.Thread(target=wait)
    thread.start()
    assert tried.wait(5)
    with gate.turn() as turn:
        assert turn.enter(NEVER)
    gone.set()
    thread.join()
