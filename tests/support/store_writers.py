"""Processes that write runs into a store, to be killed or to be many. Run by test_crashes.py and the soaks."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from functools import cache
from multiprocessing.connection import Connection

from lib.core.completion import Completion
from lib.store.answer_rows import slice_of
from lib.store.database import open_database
from lib.store.queries import Filter, listed
from lib.store.run import Answer, Run, RunState
from lib.store.runs import Runs
from tests.benchmarks.completions import long_completion
from tests.support.faulty_files import failing

_TOKENS = 400


@cache
def answer(number: int) -> Completion:
    """The answer of run `number`, the same in every process."""
    done = long_completion(_TOKENS)
    rows = 50 + number * 37 % (_TOKENS - 50)
    return replace(done, generated=done.generated[:rows], text=f"answer {number} " * 20)


def run_of(number: int) -> Run:
    """Run `number`."""
    return Run(id=f"run-{number}", page="explore", model="m", title=f"question {number}")


def write_until_killed(url: str, first: int, said: Connection) -> None:
    """Write one run after another, in parts and then as a whole; say the number of each that is finished."""
    runs = Runs(open_database(url))
    said.send(None)
    number = first
    while True:
        run, done = run_of(number), answer(number)
        runs.begin(run)
        for part, tokens in enumerate(range(0, len(done.generated), 60)):
            so_far = replace(done, generated=done.generated[: tokens + 60], stop_reason="incomplete")
            runs.append(run.id, 0, part, slice_of(so_far, tokens, len(done.text)))
        runs.finish(replace(run, state=RunState.FINISHED, title=""), [Answer(done)])
        said.send(number)
        number += 1


def check(runs: Runs, finished: set[int], since: int = 0) -> None:
    """Every run that is there can be read, and is as far as it had come; every finished one is there as a whole.

    since: those of this number and later ones.
    """
    start: int | None = 0
    there: dict[int, Run] = {}
    while start is not None:
        some = listed(runs.database, Filter(), start=start, count=100)
        there |= {int(run.id.removeprefix("run-")): run for run in some.runs}
        if some.following is None or min(there) < since:
            break
        start = some.following
    there = {number: run for number, run in there.items() if number >= since}
    finished = {number for number in finished if number >= since}
    assert finished <= set(there), f"finished runs are missing: {sorted(finished - set(there))}"
    for number, run in there.items():
        opened = runs.open(run.id)
        assert opened is not None
        whole = answer(number)
        if run.state == RunState.FINISHED:
            (only,) = opened[1]
            assert only.completion is not None
            assert only.completion.identical(whole)
            continue
        assert run.state == RunState.INCOMPLETE
        assert number not in finished
        for each in opened[1]:
            assert each.completion is not None
            got = each.completion.generated
            assert got == replace(whole, generated=whole.generated[: len(got)]).generated


def write_and_read(url: str, worker: int, seconds: float, said: Connection) -> None:
    """Write and read for so long; says how many runs were written, or what went wrong."""
    try:
        runs = Runs(open_database(url))
        chance, until, number, read = random.Random(worker), time.monotonic() + seconds, 0, 0
        while time.monotonic() < until:
            run = replace(run_of(worker * 100_000 + number), owner=str(worker))
            runs.begin(run)
            runs.append(run.id, 0, 0, answer(number))
            runs.finish(replace(run, state=RunState.FINISHED), [Answer(answer(number))])
            number += 1
            seen = listed(runs.database, Filter(text=chance.choice(["", "answer", f"question {worker}", "no such"])))
            for each in seen.runs[:3]:
                opened = runs.open(each.id)
                assert opened is not None
                assert len(opened[1]) == 1 or each.state == RunState.INCOMPLETE  # begun, and nothing written of it yet
                read += 1
        said.send((number, read, None))
    except Exception as error:
        said.send((0, 0, repr(error)))


def write_and_read_on(fault: str, url: str, worker: int, seconds: float, said: Connection) -> None:
    """The same on a file system that fails in some way."""
    with failing(fault):
        write_and_read(url, worker, seconds, said)


def write_until_killed_on(fault: str, url: str, first: int, said: Connection) -> None:
    """The same on a file system that fails in some way."""
    with failing(fault):
        write_until_killed(url, first, said)
