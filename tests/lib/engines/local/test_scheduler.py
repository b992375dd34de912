"""The scheduler's queue and turns, with work that only counts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lib.engines.local import scheduler as module
from lib.engines.local.scheduler import MAX_ACTIVE, MAX_ACTIVE_EACH, MAX_WAITING, MAX_WAITING_EACH, Scheduler, Ticket
from lib.errors import Busy, Cancelled, InvalidRequest, OutOfMemory

_WAIT = 20.0  # seconds; a timeout that no test reaches


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    made = Scheduler(1000)
    yield made
    made.close()


class Gate:
    """Work that blocks the model until the gate is opened, so that a test can fill the queue behind it."""

    def __init__(self) -> None:
        self.entered, self._open = threading.Event(), threading.Event()

    def open(self) -> None:
        self._open.set()

    def work(self) -> Iterator[list[Any]]:
        self.entered.set()
        assert self._open.wait(_WAIT)
        yield ["gate"]


@pytest.fixture
def gate(scheduler: Scheduler) -> Iterator[Gate]:
    """A gate that blocks the model from the start of the test."""
    gate = Gate()
    scheduler.submit(gate.work(), cost=0, owner="gate")
    assert gate.entered.wait(_WAIT)
    yield gate
    gate.open()


def _counting(name: str, turns: int, log: list[str]) -> Iterator[list[Any]]:
    for turn in range(turns):
        log.append(name)
        yield [(name, turn)]


def _read_all(*tickets: Ticket) -> None:
    for ticket in tickets:
        for _ in ticket:
            pass


def test_results_come_in_order(scheduler: Scheduler) -> None:
    ticket = scheduler.submit(_counting("a", 5, []), cost=1)
    assert list(ticket) == [("a", turn) for turn in range(5)]
    assert list(ticket) == []
    with pytest.raises(StopIteration):
        next(ticket)


def test_turns_without_results_and_with_several(scheduler: Scheduler) -> None:
    assert list(scheduler.submit(iter([[], [1, 2], [], [3], []]), cost=1)) == [1, 2, 3]
    assert list(scheduler.submit(iter([]), cost=1)) == []


def test_turns_alternate(scheduler: Scheduler, gate: Gate) -> None:
    log: list[str] = []
    tickets = [scheduler.submit(_counting(name, 3, log), cost=1, owner=name) for name in "abc"]
    gate.open()
    _read_all(*tickets)
    assert log == list("abcabcabc")


def test_many_requests_of_one_owner_do_not_delay_another_owner(scheduler: Scheduler, gate: Gate) -> None:
    log: list[str] = []
    crowd = [scheduler.submit(_counting("crowd", 10, log), cost=1, owner="crowd") for _ in range(50)]
    single = scheduler.submit(_counting("single", 10, log), cost=1, owner="single")
    gate.open()
    _read_all(single, *crowd)
    assert log.index("single") <= MAX_ACTIVE_EACH  # once those admitted before it have had one turn
    done = len(log) - 1 - log[::-1].index("single")
    assert done <= 10 * (MAX_ACTIVE_EACH + 1)


def test_the_number_of_active_requests_is_limited(scheduler: Scheduler, gate: Gate) -> None:
    begun: list[str] = []
    works = [_counting(f"{number}", 100, begun) for number in range(MAX_ACTIVE + 4)]
    tickets = [scheduler.submit(work, cost=1, owner=f"{number}") for number, work in enumerate(works)]
    gate.open()
    next(tickets[-1])  # the last has started, so another has ended
    assert len(set(begun[: 100 * MAX_ACTIVE // 2])) <= MAX_ACTIVE
    _read_all(*tickets)


def test_the_budget_is_never_exceeded(scheduler: Scheduler) -> None:
    taken, most, lock = [0], [0], threading.Lock()

    def work(cost: int) -> Iterator[list[Any]]:
        with lock:
            taken[0] += cost
            most[0] = max(most[0], taken[0])
        yield []
        yield []
        with lock:
            taken[0] -= cost

    costs = [300, 700, 1000, 1, 500, 499, 2, 999, 400, 400, 400]
    tickets = [scheduler.submit(work(cost), cost=cost, owner=f"{cost}{i}") for i, cost in enumerate(costs)]
    _read_all(*tickets)
    assert most[0] <= 1000
    assert most[0] > 500  # and most of it is used


def test_a_request_that_can_never_fit_is_refused_at_once(scheduler: Scheduler) -> None:
    with pytest.raises(OutOfMemory, match="set aside"):
        scheduler.submit(iter([]), cost=1001)
    assert list(scheduler.submit(iter([[1]]), cost=1000)) == [1]


def test_a_full_queue_refuses_requests(scheduler: Scheduler, gate: Gate) -> None:
    tickets = [scheduler.submit(iter([[number]]), cost=1, owner=str(number % 7)) for number in range(MAX_WAITING)]
    with pytest.raises(Busy, match="waiting"):
        scheduler.submit(iter([]), cost=1)
    gate.open()
    assert [list(ticket) for ticket in tickets] == [[number] for number in range(MAX_WAITING)]
    assert list(scheduler.submit(iter([[1]]), cost=1)) == [1]


def test_one_owner_cannot_fill_the_queue(scheduler: Scheduler, gate: Gate) -> None:
    tickets = [scheduler.submit(iter([[number]]), cost=1, owner="a") for number in range(MAX_WAITING_EACH)]
    with pytest.raises(Busy, match="your requests"):
        scheduler.submit(iter([]), cost=1, owner="a")
    tickets.append(scheduler.submit(iter([[1]]), cost=1, owner="b"))
    assert scheduler.busy
    gate.open()
    _read_all(*tickets)
    assert not scheduler.busy


def test_cancelled_while_waiting(scheduler: Scheduler, gate: Gate) -> None:
    begun: list[str] = []
    first = scheduler.submit(_counting("first", 2, begun), cost=1)
    second = scheduler.submit(_counting("second", 2, begun), cost=1)
    first.close()
    gate.open()
    with pytest.raises(Cancelled):
        next(first)
    _read_all(second)
    assert begun == ["second", "second"]


def test_cancelled_while_active_keeps_the_results(scheduler: Scheduler) -> None:
    cancelled, closed = threading.Event(), threading.Event()

    def work() -> Iterator[list[Any]]:
        try:
            yield [0, 1]
            assert cancelled.wait(_WAIT)
            while True:
                yield []
        finally:
            closed.set()

    ticket = scheduler.submit(work(), cost=1000)
    assert next(ticket) == 0
    ticket.close()
    ticket.close()
    cancelled.set()
    assert next(ticket) == 1
    with pytest.raises(Cancelled):
        next(ticket)
    assert closed.wait(_WAIT)
    assert list(scheduler.submit(iter([[1]]), cost=1000)) == [1]  # its memory is free again


def test_closing_after_the_end_changes_nothing(scheduler: Scheduler) -> None:
    ticket = scheduler.submit(iter([[1]]), cost=1)
    assert list(ticket) == [1]
    ticket.close()
    assert list(ticket) == []


@pytest.mark.parametrize("error", [ValueError("odd"), InvalidRequest("no", "yes"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_follows_the_results_and_affects_no_other_request(scheduler: Scheduler, error: BaseException) -> None:
    def work() -> Iterator[list[Any]]:
        yield [1, 2]
        raise error

    ticket = scheduler.submit(work(), cost=1)
    found = []
    with pytest.raises(type(error)) as raised:
        found.extend(ticket)  # `extend` keeps what came before the error
    assert raised.value is error
    with pytest.raises(type(error)):
        next(ticket)
    assert list(scheduler.submit(iter([[1]]), cost=1)) == [1]


@pytest.mark.parametrize(
    ("error", "lacking"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("not enough memory: you tried to allocate"), True),
        (RuntimeError("the tensor has an unsupported memory format"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_has_its_own_error(scheduler: Scheduler, error: Exception, lacking: bool) -> None:
    def work() -> Iterator[list[Any]]:
        yield []
        raise error

    with pytest.raises(OutOfMemory if lacking else type(error)):
        list(scheduler.submit(work(), cost=1))


def test_work_that_refuses_to_close_affects_no_other_request(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn:
        def __init__(self) -> None:
            self._results = [1]

        def __iter__(self) -> Stubborn:
            return self

        def __next__(self) -> list[int]:
            results, self._results = self._results, []
            return results

        def close(self) -> None:
            raise ValueError("not now")

    ticket = scheduler.submit(Stubborn(), cost=1)
    next(ticket)
    ticket.close()
    with pytest.raises(Cancelled):
        _read_all(ticket)
    assert list(scheduler.submit(iter([[1]]), cost=1)) == [1]
    assert "could not be closed" in caplog.text


def test_closing_ends_all_requests_and_accepts_no_more() -> None:
    scheduler, gate = Scheduler(1000), Gate()
    held = scheduler.submit(gate.work(), cost=1)
    assert gate.entered.wait(_WAIT)
    waiting = [scheduler.submit(iter([[1]]), cost=1, owner=str(number)) for number in range(3)]
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    gate.open()
    closing.join(_WAIT)
    assert not closing.is_alive()
    for ticket in (held, *waiting):
        with pytest.raises(Cancelled):
            _read_all(ticket)
    with pytest.raises(Cancelled, match="unloaded"):
        scheduler.submit(iter([]), cost=1)
    scheduler.close()


def test_large_requests_release_their_memory(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(module, "LARGE", 500)
    monkeypatch.setattr(module, "give_back", lambda: given.append(1))
    _read_all(scheduler.submit(iter([[1]]), cost=500))
    _read_all(scheduler.submit(iter([[1]]), cost=501))
    _read_all(scheduler.submit(iter([[1]]), cost=1))  # it ends after the other's cleanup
    assert len(given) == 1


def test_nothing_is_lost_under_load() -> None:
    """For two seconds, many threads submit, read, cancel and fail; the work of two tickets never runs concurrently."""
    scheduler = Scheduler(1000)
    inside, clashes, errors = threading.Lock(), [0], []
    until = time.monotonic() + 2.0

    def work(turns: int, fails: bool) -> Iterator[list[Any]]:
        for turn in range(turns):
            if not inside.acquire(blocking=False):
                clashes[0] += 1
            else:
                time.sleep(0)
                inside.release()
            yield [turn] if turn % 3 else []
        if fails:
            raise ValueError("planned")

    def caller(number: int) -> None:
        rounds = 0
        while time.monotonic() < until:
            rounds += 1
            turns = (number + rounds) % 9
            ticket = scheduler.submit(work(turns, rounds % 5 == 0), cost=1 + (rounds * 37) % 900, owner=str(number % 4))
            expected = [turn for turn in range(turns) if turn % 3]
            try:
                if rounds % 7 == 0:
                    ticket.close()
                found = list(ticket)
            except Cancelled:
                if rounds % 7:
                    errors.append("cancelled without a close")
            except ValueError:
                if rounds % 5:
                    errors.append("failed without a plan")
            else:
                if found != expected or rounds % 5 == 0:
                    errors.append(f"{found} is not {expected}")

    threads = [threading.Thread(target=caller, args=(number,), daemon=True) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_WAIT)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []
    assert clashes == [0]
    scheduler.close()
