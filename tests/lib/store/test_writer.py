"""Jobs that are kept as they go on."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from lib.access.visitor import ALONE, Visitor
from lib.core.completion import Completion
from lib.errors import CandorError
from lib.jobs.batch import Batch, Outcome, State, batch_of
from lib.jobs.job import Job
from lib.store.database import StoreRefused, StoreUnavailable, open_database
from lib.store.queries import Filter, listed
from lib.store.run import Run, RunState
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from tests.benchmarks.completions import long_completion
from tests.support.postgres import MISSING, restart, schema

DONE = replace(long_completion(200), text="w" * 200)


def so_far(tokens: int) -> Completion:
    return replace(DONE, generated=DONE.generated[:tokens], text=DONE.text[:tokens], stop_reason="incomplete")


class One:
    """A job of one answer, for the work that makes it."""

    def __init__(self, job: Job[Batch]) -> None:
        self.wait, self.on_cancel, self._job = job.wait, job.on_cancel, job

    @property
    def cancelled(self) -> bool:
        return self._job.cancelled

    def publish(self, done: Completion) -> None:
        self._job.publish(batch_of([done]))


def started(work: Callable[[One], Completion]) -> Job[Batch]:
    job = Job(lambda job: batch_of([work(One(job))]))
    threading.Thread(target=job.run, daemon=True).start()
    return job


def run_of(job: Job[Batch]) -> Run:
    return Run(id=job.id, page="explore", model="m", title="t")


@pytest.fixture
def keeper(runs: Runs) -> Iterator[RunWriter]:
    made = RunWriter(lambda: runs, every=0.01, pause=0.01)
    yield made
    made.close(5)


def test_a_job_is_there_as_it_grows_and_when_it_is_over(keeper: RunWriter, runs: Runs) -> None:
    steps = {tokens: threading.Event() for tokens in (40, 90, 150)}
    go_on = threading.Semaphore(0)

    def work(job: One) -> Completion:
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
        assert run.state == RunState.INCOMPLETE
        assert answer.completion == so_far(tokens)
        go_on.release()
    assert job.wait(5)
    assert keeper.flush(5)
    run, (answer,) = runs.open(job.id)  # type: ignore[misc]
    assert run.state == RunState.FINISHED
    assert answer.completion is not None
    assert answer.completion.identical(DONE)
    assert not keeper.waiting(job.id)


def test_what_was_taken_back_is_not_kept(keeper: RunWriter, runs: Runs) -> None:
    seen, go_on = threading.Semaphore(0), threading.Semaphore(0)
    other = replace(DONE, generated=DONE.generated[100:160], text="x" * 60)

    def work(job: One) -> Completion:
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
def test_how_it_ended(keeper: RunWriter, runs: Runs, cancelled: bool) -> None:
    def work(job: One) -> Completion:
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
    assert run.state == (RunState.CANCELLED if cancelled else RunState.FAILED)
    assert run.error == (None if cancelled else ("It broke.", "Try again."))
    assert answer.completion == so_far(30)


def test_many_answers_with_their_errors(keeper: RunWriter, runs: Runs) -> None:
    many = Batch(
        (Outcome(State.DONE, DONE), Outcome(State.FAILED, so_far(3), CandorError("a", "b")), Outcome(State.NOT_STARTED))
    )
    job = Job(lambda _: many)
    job.run()
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

    keeper = RunWriter(open_runs, every=0.01, pause=0.01)
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


def _kept_while(runs: Runs, disturb: Callable[[int], None], *, times: int) -> None:
    """A run that grows while the database is disturbed is there as a whole, and so is one from before."""
    keeper = RunWriter(lambda: runs, every=0.01, pause=0.05)
    before = started(lambda _: DONE)
    keeper.follow(before, run_of(before))
    assert keeper.flush(10)
    go_on = threading.Semaphore(0)

    def work(job: One) -> Completion:
        for step in range(times):
            job.publish(so_far(40 * (step + 1)))
            go_on.acquire()
        return DONE

    job = started(work)
    keeper.follow(job, run_of(job))
    for step in range(times):
        disturb(step)
        go_on.release()
    assert job.wait(10)
    assert keeper.flush(60), keeper.problem
    assert keeper.given_up(ALONE) == {}
    assert keeper.problem is None
    for each in (before, job):
        run, answers = runs.open(each.id)  # type: ignore[misc]
        assert run.state == RunState.FINISHED
        assert [answer.completion for answer in answers] == [DONE]
    assert keeper.close(10)


def test_a_restart_of_postgresql_in_the_midst_of_a_run_loses_nothing(server: URL | None) -> None:
    if server is None:
        pytest.skip(MISSING)
    with schema(server) as url:
        database = open_database(url)
        _kept_while(Runs(database), lambda _: restart(server), times=3)
        restart(server)
        for _ in range(2):  # a page says it once at most, and the next one works
            with contextlib.suppress(StoreUnavailable), database.reading():
                break
        assert len(listed(database, Filter()).runs) == 2
        database.close()


def _locked(path: Path, seconds: float) -> None:
    """Another program has the database to itself."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    time.sleep(seconds)
    connection.execute("COMMIT")
    connection.close()


@pytest.mark.parametrize(
    ("seconds", "patience"), [(2.0, 0.5), (2.0, 30.0), pytest.param(60.0, 30.0, marks=pytest.mark.soak)]
)
def test_a_database_that_is_locked_for_a_while_loses_nothing(tmp_path: Path, seconds: float, patience: float) -> None:
    database = open_database(f"sqlite:///{tmp_path}/runs.sqlite", patience=patience)
    _kept_while(Runs(database), lambda _: _locked(tmp_path / "runs.sqlite", seconds), times=1)
    database.close()


def test_a_run_that_shall_not_be_kept(keeper: RunWriter, runs: Runs) -> None:
    job = started(lambda _: DONE)
    keeper.follow(job, run_of(job))
    assert job.wait(5)
    assert keeper.flush(5)
    keeper.forget(job.id, ALONE)
    assert runs.open(job.id) is None


def _failing(runs: Runs, bad: str, errors: Iterator[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """The store fails on one run, with one error after another."""
    begin = runs.begin

    def failing(run: Run) -> None:
        if run.id == bad and (error := next(errors, None)) is not None:
            raise error
        begin(run)

    monkeypatch.setattr(runs, "begin", failing)


def test_an_unforeseen_error_is_tried_again(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = RunWriter(lambda: runs, every=0.01, pause=0.01)
    bad, good = started(lambda _: DONE), started(lambda _: DONE)
    errors: list[Exception] = [RuntimeError("odd"), StoreRefused("The database refuses it.", "x"), KeyError()]
    _failing(runs, bad.id, iter(errors), monkeypatch)
    keeper.follow(bad, run_of(bad))
    keeper.follow(good, run_of(good))
    assert keeper.flush(10)
    assert runs.open(bad.id)[1][0].completion == DONE  # type: ignore[index]
    assert runs.open(good.id)[1][0].completion == DONE  # type: ignore[index]
    assert keeper.problem is None
    assert keeper.given_up(ALONE) == {}
    assert keeper.close(5)


def test_a_run_is_given_up_with_a_message_that_names_it(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = RunWriter(lambda: runs, every=0.01, pause=0.01)
    bad, good = started(lambda _: DONE), started(lambda _: DONE)
    _failing(runs, bad.id, itertools.repeat(RuntimeError("odd")), monkeypatch)
    said: set[str] = set()
    keeper.follow(bad, replace(run_of(bad), title="Why is the sky blue?", page="explore", owner="user:a"))
    keeper.follow(good, run_of(good))
    until = time.monotonic() + 10
    while keeper.waiting(bad.id) and time.monotonic() < until:
        said.add(str(keeper.problem))
        time.sleep(0.005)
    assert any("cannot be saved at the moment" in each for each in said), "said while it is tried"
    assert not any("sky" in each for each in said), "everyone reads it: it does not name the run"
    (lost,) = keeper.given_up(Visitor("user:a", alone=False, signed_in=True)).values()
    assert "“Why is the sky blue?” of explore is not saved" in lost.cause
    assert keeper.given_up(Visitor("user:b", alone=False, signed_in=True)) == {}
    assert keeper.flush(5)
    assert keeper.problem is None
    assert runs.open(good.id)[1][0].completion == DONE  # type: ignore[index]
    assert keeper.close(5)


@pytest.mark.parametrize("first", [True, False])
def test_a_run_that_the_store_is_never_available_for_is_given_up(runs: Runs, first: bool) -> None:
    """Whatever a database calls it: while it takes other runs, it is that run that it refuses."""
    bad, others = started(lambda _: DONE), [started(lambda _: DONE)]
    refuse = {
        "sqlite": ["CREATE TRIGGER refuse BEFORE INSERT ON runs WHEN new.id = '{}' BEGIN SELECT json('{{'); END"],
        "postgresql": [
            """
            CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'no room' USING ERRCODE = 'disk_full'; END $$
            """,
            "CREATE TRIGGER no BEFORE INSERT ON runs FOR EACH ROW WHEN (new.id = '{}') EXECUTE PROCEDURE no_room()",
        ],
    }
    with runs.database.writing() as connection:
        for statement in refuse[runs.database.kind]:
            connection.exec_driver_sql(statement.format(bad.id))
    with pytest.raises(StoreUnavailable) as raised:
        runs.begin(run_of(bad))
    assert type(raised.value) is StoreUnavailable, "not one that the database refuses for good"
    keeper = RunWriter(lambda: runs, every=0.01, pause=0.01)
    for job in [bad, others[0]] if first else [others[0], bad]:
        keeper.follow(job, run_of(job))
    until = time.monotonic() + 10
    while not keeper.given_up(ALONE) and time.monotonic() < until:
        if not keeper.waiting(others[-1].id):  # one at a time, so that a slow machine has no growing backlog
            others.append(started(lambda _: DONE))
            keeper.follow(others[-1], run_of(others[-1]))
        time.sleep(0.02)
    assert keeper.flush(10)
    assert set(keeper.given_up(ALONE)) == {bad.id}
    assert keeper.problem is None
    assert all(runs.get(job.id) is not None for job in others)
    assert keeper.close(5)


def test_an_exhausted_pool_loses_nothing(tmp_path: Path) -> None:
    """Fifteen pages that wait for a locked file take all connections."""
    url = f"sqlite:///{tmp_path}/runs.sqlite"
    open_database(url).close()
    database = open_database(url, patience=0.2)
    runs = Runs(database)
    keeper = RunWriter(lambda: runs, every=0.01, pause=0.01)
    with contextlib.ExitStack() as stack:
        for _ in range(15):
            stack.enter_context(database.reading())
        job = started(lambda _: DONE)
        keeper.follow(job, run_of(job))
        assert not keeper.flush(0.5)
        assert isinstance(keeper.problem, StoreUnavailable)
        assert keeper.waiting(job.id)
    assert keeper.flush(5)
    assert runs.open(job.id)[1][0].completion == DONE  # type: ignore[index]
    assert keeper.close(5)
    database.close()
