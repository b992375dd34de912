"""Joint decoding: one pass for several requests gives each the same scores as a pass of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.model_runner import DecodeStep, ModelRunner
from lib.engines.local.scheduler import Scheduler, Ticket
from lib.errors import Cancelled, OutOfMemory
from tests.lib.engines.local.test_model_runner import check_all
from tests.support import tiny
from tests.support.local_models import answered_together

_JOINING = {"llama", "mistral", "qwen2", "qwen3", "cohere", "gpt2", "gpt_bigcode"}


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_every_request_gets_its_own_scores(
    architecture: str,
    random_engine: Callable[[str], LocalEngine],
    random_model: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []

    def counted(runner: ModelRunner, steps: Sequence[DecodeStep]) -> list[Any]:
        sizes.append(len(steps))
        return decode_all(runner, steps)

    decode_all = ModelRunner.decode_all
    monkeypatch.setattr(ModelRunner, "decode_all", counted)
    engine = LocalEngine(random_engine(architecture).loaded, budget=10**9)
    try:
        requests = [
            Request(
                prompt="x" * 40 + "abcdefgh"[:size] * 3,
                max_tokens=12 + 3 * size,
                k=size,
                n=1 + size % 2,
                temperature=size % 2,
            )
            for size in (1, 2, 3, 5, 8)
        ]
        for done in answered_together(engine, requests, owners=len(requests)):
            check_all(random_model(architecture), done)
    finally:
        engine.close()
    assert max(sizes) > 1  # some steps ran jointly
    assert engine.runner.joins_requests == (architecture in _JOINING)


@dataclass
class _Double:
    results: list[int]
    number: int


def _doubling(first: int, turns: int) -> Generator[Any, Any, None]:
    results: list[int] = []
    for turn in range(turns):
        results = [(yield _Double(results, first + turn))]
    yield results


def _double(steps: Sequence[_Double]) -> list[int]:
    return [2 * step.number for step in steps]


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    made = Scheduler(1000, together=_double)
    yield made
    made.close()


def test_every_request_gets_its_own_results(scheduler: Scheduler) -> None:
    tickets = [scheduler.submit(_doubling(100 * number, 5), cost=1, owner=str(number)) for number in range(6)]
    assert [list(ticket) for ticket in tickets] == [[200 * n + 2 * turn for turn in range(5)] for n in range(6)]


def test_a_failing_step_ends_the_requests_in_it() -> None:
    def failing_once(steps: Sequence[_Double]) -> list[int]:
        if not failed.is_set():
            failed.set()
            raise MemoryError
        return _double(steps)

    failed = threading.Event()
    scheduler = Scheduler(1000, together=failing_once)
    ticket = scheduler.submit(_doubling(1, 3), cost=1)
    with pytest.raises(OutOfMemory):
        list(ticket)
    assert list(scheduler.submit(_doubling(1, 1), cost=1)) == [2]
    scheduler.close()


def test_a_request_that_waits_for_a_step_can_be_cancelled(scheduler: Scheduler) -> None:
    closed = threading.Event()

    def work() -> Generator[Any, Any, None]:
        try:
            while True:
                yield _Double([1], 1)
        finally:
            closed.set()

    ticket = scheduler.submit(work(), cost=1)
    next(ticket)
    ticket.close()
    with pytest.raises(Cancelled):
        for _ in ticket:
            pass
    assert closed.wait(20)


def test_an_owner_reads_one_prompt_at_a_time(scheduler: Scheduler) -> None:
    """An owner with one request waits for one turn of an owner with many, not for all of them."""
    entered, go, log = threading.Event(), threading.Event(), []

    def holding() -> Iterator[list[int]]:
        entered.set()
        assert go.wait(20)
        yield [0]

    def work(name: str) -> Iterator[list[str]]:
        for _ in range(4):
            log.append(name)
            yield []

    tickets: list[Ticket] = [scheduler.submit(holding(), cost=1, owner="gate")]
    assert entered.wait(20)
    tickets += [scheduler.submit(work(f"crowd {number}"), cost=1, owner="crowd") for number in range(5)]
    tickets.append(scheduler.submit(work("single"), cost=1, owner="single"))
    go.set()
    for ticket in tickets:
        list(ticket)
    assert [name.split()[0] for name in log[:8]] == ["crowd", "single"] * 4
    assert log[::2][:4] == ["crowd 0"] * 4


def test_results_can_be_awaited_without_a_thread(scheduler: Scheduler) -> None:
    heard = threading.Event()
    ticket = scheduler.submit(_doubling(1, 3), cost=1)
    ticket.listen(heard.set)
    found: list[int] = []
    while not ticket.ended:
        assert heard.wait(20)
        heard.clear()
        found += ticket.poll()
    assert found + ticket.poll() == [2, 4, 6]
    late = threading.Event()
    ticket.listen(late.set)
    assert late.is_set()
    assert ticket.poll() == []


def test_polling_raises_the_error_after_the_results(scheduler: Scheduler) -> None:
    def work() -> Iterator[list[int]]:
        yield [1]
        raise ValueError("odd")

    ticket, ended = scheduler.submit(work(), cost=1), threading.Event()
    ticket.listen(lambda: ended.set() if ticket.ended else None)
    assert ended.wait(20)
    assert ticket.poll() == [1]
    with pytest.raises(ValueError, match="odd"):
        ticket.poll()
