"""Jobs that are kept as they go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from lib.access import ALONE
from lib.completion import Completion
from lib.errors import CandorError
from lib.jobs import Job
from lib.many import Many, Outcome, State
from lib.store.database import StoreUnavailable
from lib.store.keeping import Keeper
from lib.store.runs import CANCELLED, FAILED, FINISHED, INCOMPLETE, Run, Runs
from tests.benchmarks.completions import long_completion

DONE = replace(long_completion(200), text="w" * 200)


def so_far(tokens: int) -> Completion:
    return replace(DONE, generated=DONE.generated[:tokens], text=DONE.text[:tokens], stop_reason="incomplete")


def started(work: Callable[[Job[Completion]], Completion]) -> Job[Completion]:
    job = Job(work)
    threading.Thread(target=job.run, daemon=True).start()
    return job


def run_of(job: Job[Completion]) -> Run:
    return Run(id=job.id, page="explore", model="m", title="t")


@pytest.fixture
def keeper(runs: Runs) -> Iterator[Keeper]:
    made = Keeper(lambda: runs, every=0.01, pause=0.01)
    yield made
    made.close(5)


def test_a_job_is_there_as_it_grows_and_when_it_is_over(keeper: Keeper, runs: Runs) -> None:
    steps = {tokens: threading.Event() for tokens in (40, 90, 150)}
    go_on = threading.Semaphore(0)

    def work(job: Job[Completion]) -> Completion:
        for tokens, reached in steps.items():
            job.publish(so_far(tokens))
            reached.set()
            go_on.acquire()
        return DONE

    job = started(work)
    keeper.follow(job, run_of(job))
    for tokens, reached in steps.items():
        assert reached.wait(5)
        assert keeper.flush(5)
        run, (answer,) = runs.open(job.id)  # type: ignore[misc]
        assert run.state == INCOMPLETE
        assert answer.completion == so_far(tokens)
        go_on.release()
    assert job.wait(5)
    assert keeper.flush(5)
    run, (answer,) = runs.open(job.id)  # type: ignore[misc]
    assert run.state == FINISHED
    assert answer.completion is not None
    assert answer.completion.identical(DONE)
    assert not keeper.waiting(job.id)


def test_what_was_taken_back_is_not_kept(keeper: Keeper, runs: Runs) -> None:
    seen, go_on = threading.Semaphore(0), threading.Semaphore(0)
    other = replace(DONE, generated=DONE.generated[100:160], text="x" * 60)

    def work(job: Job[Completion]) -> Completion:
        for state in (so_far(50), other):
            job.publish(state)
            seen.release()
            go_on.acquire()
        return other

    job = started(work)
    keeper.follow(job, run_of(job))
    for state in (so_far(50), other):
        seen.acquire()
        assert keeper.flush(5)
        assert runs.open(job.id)[1][0].completion == state  # type: ignore[index]
        go_on.release()


@pytest.mark.parametrize("cancelled", [True, False])
def test_how_it_ended(keeper: Keeper, runs: Runs, cancelled: bool) -> None:
    def work(job: Job[Completion]) -> Completion:
        job.publish(so_far(30))
        if not cancelled:
            raise CandorError("It broke.", "Try again.")
        while not job.cancelled:
            time.sleep(0.001)
        return so_far(30)

    job = started(work)
    keeper.follow(job, run_of(job))
    job.cancel() if cancelled else None
    assert job.wait(5)
    assert keeper.flush(5)
    run, (answer,) = runs.open(job.id)  # type: ignore[misc]
    assert run.state == (CANCELLED if cancelled else FAILED)
    assert run.error == (None if cancelled else ("It broke.", "Try again."))
    assert answer.completion == so_far(30)


def test_many_answers_with_their_errors(keeper: Keeper, runs: Runs) -> None:
    many = Many(
        (Outcome(State.DONE, DONE), Outcome(State.FAILED, so_far(3), CandorError("a", "b")), Outcome(State.LEFT))
    )
    job = started(lambda _: many)  # type: ignore[arg-type,return-value]
    keeper.follow(job, run_of(job))
    assert job.wait(5)
    assert keeper.flush(5)
    _, answers = runs.open(job.id)  # type: ignore[misc]
    assert [each.completion for each in answers] == [DONE, so_far(3), None]
    assert [each.error for each in answers] == [None, ("a", "b"), None]


def test_a_store_that_cannot_be_written_for_a_while(runs: Runs) -> None:
    broken = threading.Event()
    broken.set()

    def open_runs() -> Runs:
        if broken.is_set():
            raise StoreUnavailable("The disk is full.", "Make room.")
        return runs

    keeper = Keeper(open_runs, every=0.01, pause=0.01)
    job = started(lambda _: DONE)
    keeper.follow(job, run_of(job))
    assert not keeper.flush(0.1)
    assert keeper.problem is not None
    assert keeper.problem.cause == "The disk is full."
    assert keeper.waiting(job.id)
    broken.clear()
    assert keeper.flush(5)
    assert keeper.problem is None
    assert runs.open(job.id)[1][0].completion == DONE  # type: ignore[index]
    assert keeper.close(5)


def test_a_run_that_shall_not_be_kept(keeper: Keeper, runs: Runs) -> None:
    job = started(lambda _: DONE)
    keeper.follow(job, run_of(job))
    assert job.wait(5)
    assert keeper.flush(5)
    keeper.forget(job.id, ALONE)
    assert runs.open(job.id) is None
