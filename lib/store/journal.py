"""The journal of a SQLite file: a write-ahead log if its file system supports one, else a rollback journal.

The log needs memory that processes share through a file. Network file systems lack it, or have it on each machine
separately.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

# File systems that several machines share: a log works on each machine, and still corrupts the file. Others that do not
# support a log are found by trying.
_SHARED = frozenset(
    {"acfs", "afpfs", "afs", "auristorfs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs"}
    | {"lustre", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb", "smb2", "smb3", "smbfs"}
    | {"sshfs", "s3fs", "rclone", "gcsfuse", "juicefs", "webdav", "mount_s3"}
)
_UNFIT = frozenset({sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_PAUSE = 0.02  # seconds


def settle_journal(path: Path, kind: str, patience: float) -> None:
    """Give a file the best journal that its file system supports. Raises sqlite3.Error.

    kind: of the file system. patience: seconds to wait for other processes that use the file.
    """
    shared = is_shared(kind)
    mode, works = _present(path, patience)
    if mode == "wal" and works and not shared:
        return
    if mode == "wal":
        try:
            _switch(path, "DELETE", patience=0 if works else patience)
        except sqlite3.OperationalError as error:
            if not works or _code(error) not in _LOCKED:  # otherwise another process uses the log, and so does this one
                raise
    elif not shared and _supports_log(path.parent):
        with suppress(sqlite3.OperationalError):  # the rollback journal works as well
            _switch(path, "WAL", patience)


def mounted() -> Sequence[Any]:
    """The mounted file systems as psutil lists them; empty if they cannot be read."""
    try:
        found: Sequence[Any] = psutil.disk_partitions(all=True)
    except (OSError, RuntimeError):
        return ()
    return found


def file_system(path: Path, among: Sequence[Any]) -> str:
    """The kind of file system that a path is on, such as "ext4", "nfs4" or "fuse.sshfs"; "" if unknown.

    among: the mounted file systems.
    """
    whole = path.absolute().resolve()
    kinds = {}  # if two are mounted at the same place, the later one is visible
    for each in among:
        if whole.is_relative_to(each.mountpoint):
            kinds[each.mountpoint] = "smb" if "remote" in each.opts.split(",") else each.fstype  # a Windows drive
    return kinds[max(kinds, key=len)] if kinds else ""


def is_shared(kind: str) -> bool:
    """Whether several machines may share a file system of this kind."""
    return bool(_SHARED.intersection(kind.lower().split(".")))


def is_unfit(error: BaseException | None) -> bool:
    """Whether an error says that SQLite cannot lock or write files on this file system."""
    return isinstance(error, sqlite3.Error) and _code(error) in _UNFIT - {sqlite3.SQLITE_CANTOPEN}


def _code(error: sqlite3.Error) -> int:
    """The primary code of an error; 0 for one that Python raised."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _opened(path: Path, patience: float) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, timeout=patience, isolation_level=None))


def _present(path: Path, patience: float) -> tuple[str, bool]:
    """(journal, works): the current journal such as "wal", and whether a file with a log can be written."""
    mode = "wal"
    try:
        with _opened(path, patience) as connection:
            mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
            if mode == "wal":
                _write_nothing(connection)
    except sqlite3.OperationalError as error:
        if _code(error) in _UNFIT:
            return "wal", False
    return mode, True


def _write_nothing(connection: sqlite3.Connection) -> None:
    """Write without changing anything: some file systems accept a log, and fail on its first page."""
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {int(version)}")
    connection.execute("COMMIT")


def _supports_log(directory: Path) -> bool:
    """Whether a file in this directory can have a log, tried with a temporary file."""
    try:
        with tempfile.TemporaryDirectory(prefix=".candor-", dir=directory, ignore_cleanup_errors=True) as scratch:
            path = Path(scratch) / "try.sqlite"
            with _opened(path, 0) as one, _opened(path, 0) as other:
                (mode,) = one.execute("PRAGMA journal_mode = WAL").fetchone()
                _write_nothing(one)
                other.execute("CREATE TABLE tried (number INTEGER)")
                return bool(mode == "wal" and one.execute("SELECT count(*) FROM tried").fetchone() == (0,))
    except (OSError, sqlite3.Error):
        return False


def _switch(path: Path, journal: str, patience: float) -> None:
    """Change the journal of a file. If several processes do so at once, SQLite fails all but one: try again."""
    until = time.monotonic() + patience
    while True:
        try:
            with _opened(path, patience) as connection:
                if journal != "WAL":  # a log that only one process uses needs no shared memory
                    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
                connection.execute(f"PRAGMA journal_mode = {journal}")
                return
        except sqlite3.OperationalError as error:
            if _code(error) not in _LOCKED or time.monotonic() >= until:
                raise
        time.sleep(_PAUSE)
