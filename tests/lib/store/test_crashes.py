"""What a killed process leaves behind, and many processes at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from lib.store.database import open_database
from lib.store.queries import sizes
from lib.store.runs import Runs
from tests.support.faulty_files import failing
from tests.support.processes import FORKS, started
from tests.support.store_writers import (
    check,
    write_and_read,
    write_and_read_on,
    write_until_killed,
    write_until_killed_on,
)


def kill(url: str, times: int, writes: Callable[..., None] = write_until_killed) -> None:
    """Kill so many writers, each at a random moment, and look at what they leave."""
    runs, chance, finished = Runs(open_database(url)), random.Random(8), set[int]()
    for number in range(times):
        heard, said = FORKS.Pipe(duplex=False)
        writer = started(writes, url, number * 1000, said)
        said.close()
        for _ in range(chance.randrange(4)):  # the first says that it has begun
            assert heard.poll(30)
            said_so = heard.recv()
            finished |= {said_so} - {None}
        time.sleep(chance.uniform(0.0, 0.1))
        writer.kill()
        writer.join()
        try:
            while heard.poll():
                finished |= {heard.recv()} - {None}
        except EOFError:
            pass
        check(runs, finished, since=(number - 1) * 1000)  # all of them at each would take hours
    check(runs, finished)
    assert finished
    runs.database.close()


def share(*urls: str, seconds: float, workers: int = 8, works: Callable[..., None] = write_and_read) -> None:
    """So many processes write and read at once, in each database; none sees an error, and no run is lost."""
    pipes: dict[str, list[Connection]] = {url: [] for url in urls}
    for url in urls:
        open_database(url).close()
        for worker in range(workers):
            heard, said = FORKS.Pipe(duplex=False)
            started(works, url, worker, seconds, said)
            pipes[url].append(heard)
    for url in urls:
        _heard(url, pipes[url], seconds)


def _heard(url: str, pipes: list[Connection], seconds: float) -> None:
    written = seen = 0
    for heard in pipes:
        assert heard.poll(seconds + 60)
        number, read, error = heard.recv()
        assert error is None
        assert number > 0
        written += number
        seen += read
    assert seen > 0
    database = open_database(url)
    assert sizes(database).runs == written
    database.close()


def test_twenty_kills_lose_nothing(url: str) -> None:
    kill(url, 20)


def test_eight_processes_at_once(urls: list[str]) -> None:
    share(*urls, seconds=5)


NO_LOG = "no shared memory"


def test_kills_lose_nothing_where_there_can_be_no_log(tmp_path: Path) -> None:
    with failing(NO_LOG):
        kill(f"sqlite:///{tmp_path}/runs.sqlite", 8, partial(write_until_killed_on, NO_LOG))


def test_processes_share_a_file_where_there_can_be_no_log(tmp_path: Path) -> None:
    with failing(NO_LOG):
        share(f"sqlite:///{tmp_path}/runs.sqlite", seconds=3, workers=4, works=partial(write_and_read_on, NO_LOG))


@pytest.mark.soak
def test_five_hundred_kills_lose_nothing(url: str) -> None:
    kill(url, 500)


@pytest.mark.soak
def test_eight_processes_for_ten_minutes(url: str) -> None:
    share(url, seconds=600)
