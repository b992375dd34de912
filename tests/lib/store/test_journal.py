"""Runs in a SQLite file wherever it lies: with the write-ahead log where that works, else with a rollback journal."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib.store.database import Database, StoreUnavailable, open_database
from lib.store.journal import file_system, is_shared, mounted, settle_journal
from lib.store.run import Answer, Run, RunState
from lib.store.runs import Runs
from tests.benchmarks.completions import long_completion
from tests.support.faulty_files import FAULTS, failing

DONE = long_completion(20)


def journal_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def save_and_read(path: Path, run_id: str) -> None:
    """Save a run and read it, by two connections at once."""
    runs = Runs(open_database(f"sqlite:///{path}"))
    with runs.database.reading() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM runs")  # a second connection of the pool
    runs.finish(Run(id=run_id, page="explore", model="m", state=RunState.FINISHED), [Answer(DONE)])
    (answer,) = runs.open(run_id)[1]  # type: ignore[index]
    assert answer.completion is not None
    assert answer.completion.identical(DONE)
    runs.database.close()


def names_beside(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir()}


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"no locks"}))
def test_a_file_system_without_the_log_gets_a_rollback_journal(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with failing(fault):
        save_and_read(path, "first-run")
        assert journal_of(path) == "delete"
        save_and_read(path, "second-run")
    assert names_beside(path) == {"runs.sqlite"}, "nothing that was tried stays"
    save_and_read(path, "third-run")
    assert journal_of(path) == "wal", "moved to a disk that can carry the log, it gets one"


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"no locks", "no log at all"}))
def test_a_file_with_a_log_that_was_moved_there_opens(fault: str, tmp_path: Path) -> None:
    """Also what a former Candor left there: a file that is marked as having a log and was never written."""
    path, empty = tmp_path / "runs.sqlite", tmp_path / "empty.sqlite"
    save_and_read(path, "first-run")
    with closing(sqlite3.connect(empty)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with failing(fault):
        for each in (path, empty):
            save_and_read(each, "second-run")
            assert journal_of(each) == "delete"
        runs = Runs(open_database(f"sqlite:///{path}"))
        assert runs.get("first-run") is not None
        runs.database.close()


def test_a_log_that_was_not_written_back_yet_is_not_lost(tmp_path: Path) -> None:
    """As a killed process leaves it."""
    path, copy = tmp_path / "runs.sqlite", tmp_path / "copy" / "runs.sqlite"
    copy.parent.mkdir()
    runs = Runs(open_database(f"sqlite:///{path}"))
    runs.finish(Run(id="first-run", page="explore", model="m", state=RunState.FINISHED), [Answer(DONE)])
    for end in ("", "-wal"):
        copy.with_name(copy.name + end).write_bytes(path.with_name(path.name + end).read_bytes())
    runs.database.close()
    with failing("no shared memory"):
        save_and_read(copy, "second-run")
        runs = Runs(open_database(f"sqlite:///{copy}"))
        assert runs.get("first-run") is not None
        runs.database.close()


def test_a_file_system_without_locks_is_named(tmp_path: Path) -> None:
    with failing("no locks"), pytest.raises(StoreUnavailable) as raised:
        open_database(f"sqlite:///{tmp_path}/runs.sqlite")
    error = raised.value
    assert file_system(tmp_path, mounted()) in error.cause
    assert "lock" in error.cause
    assert "CANDOR_DATA" in error.remedy
    assert "PostgreSQL" in error.remedy
    assert str(tmp_path) not in str(error)


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_several_machines_share_a_file_with_a_rollback_journal(journal: str, tmp_path: Path) -> None:
    """There the log works on each machine by itself, and breaks the file: it is not tried."""
    path = tmp_path / "runs.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
    settle_journal(path, "nfs4", 1)
    assert journal_of(path) == "delete"
    settle_journal(path, "ext4", 1)
    assert journal_of(path) == "wal"


def test_a_log_that_others_use_stays_where_it_works(tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE held (number INTEGER)")
        other.execute("BEGIN")
        other.execute("SELECT * FROM held").fetchall()
        settle_journal(path, "nfs4", 1)
        assert journal_of(path) == "wal"


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    def mount(place: str, kind: str, options: str = "rw") -> SimpleNamespace:
        return SimpleNamespace(mountpoint=place, fstype=kind, opts=options)

    (tmp_path / "link").symlink_to(tmp_path / "share")
    (tmp_path / "share").mkdir()
    among = [mount(f"{tmp_path}/share", "autofs"), mount("/", "ext4"), mount(f"{tmp_path}/share", "nfs4")]
    assert file_system(tmp_path / "share" / "runs.sqlite", among) == "nfs4"
    assert file_system(tmp_path / "link" / "runs.sqlite", among) == "nfs4"
    assert file_system(tmp_path / "shared" / "runs.sqlite", among) == "ext4"
    assert is_shared(file_system(tmp_path, [mount("/", "NTFS", "rw,remote")]))
    assert file_system(tmp_path, []) == ""


@pytest.mark.parametrize(
    ("kind", "shared"),
    [
        ("nfs4", True), ("cifs", True), ("SMB3", True), ("afs", True), ("fuse.sshfs", True), ("fuse.glusterfs", True),
        ("ext4", False), ("xfs", False), ("apfs", False), ("NTFS", False), ("fuseblk", False), ("overlay", False),
        ("tmpfs", False), ("", False),
    ],
)  # fmt: skip
def test_which_file_systems_machines_share(kind: str, shared: bool) -> None:
    assert is_shared(kind) is shared


def test_a_power_cut_cannot_break_the_file(tmp_path: Path) -> None:
    """What SQLite advises: 1 (normal) with the log, 2 (full) with a rollback journal."""

    def synchronous(database: Database) -> Any:
        with database.outside() as connection:
            return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    database = open_database(f"sqlite:///{tmp_path}/log.sqlite")
    assert synchronous(database) == 1
    database.close()
    with failing("no log at all"):
        database = open_database(f"sqlite:///{tmp_path}/none.sqlite")
        assert synchronous(database) == 2
        database.close()


def test_opening_a_file_again_ends_no_locks_of_this_process(tmp_path: Path) -> None:
    """The system ends all locks of a process on a file when the process closes any handle of it."""
    path = tmp_path / "runs.sqlite"
    with failing("no shared memory"):  # then the locks are on the file itself
        database = open_database(f"sqlite:///{path}")
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE candor_schema SET version = version")
            opening = threading.Thread(target=lambda: open_database(f"sqlite:///{path}").close())
            opening.start()
            opening.join(0.3)
            wanted = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
            other = subprocess.run([sys.executable, "-c", wanted], capture_output=True, text=True)
            assert "database is locked" in other.stderr
        opening.join(20)
        assert not opening.is_alive()
        database.close()
