"""A PostgreSQL for tests: the one at $TEST_DATABASE_URL, or a throw-away cluster from the installed binaries."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url

MISSING = "PostgreSQL: NOT TESTED. Set TEST_DATABASE_URL, or install PostgreSQL's server."
_NOBODY = "postgres"  # the user that Debian's package makes; a server refuses to run as root


@contextlib.contextmanager
def postgres() -> Iterator[URL | None]:
    """The URL of a server until the end of the block; None where there is none to be had."""
    if named := os.environ.get("TEST_DATABASE_URL"):
        yield make_url(named).set(drivername="postgresql+psycopg")
        return
    binaries = _binaries()
    if binaries is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="candor-pg-") as folder:
        home = Path(folder)
        data, socket = home / "data", home / "socket"
        socket.mkdir()
        if os.geteuid() == 0:
            for each in (home, socket):
                shutil.chown(each, _NOBODY)
        _run(
            binaries / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "candor",
            "-E",
            "UTF8",
            "--no-sync",
            "--locale=C.UTF-8",
        )
        options = f"-c listen_addresses='' -c unix_socket_directories='{socket}' -c fsync=off"
        _run(binaries / "pg_ctl", "-D", data, "-w", "-o", options, "-l", home / "log", "start")
        try:
            yield URL.create("postgresql+psycopg", "candor", database="postgres", query={"host": str(socket)})
        finally:
            _run(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


@contextlib.contextmanager
def schema(server: URL) -> Iterator[str]:
    """The URL of a schema of its own in that server's database, dropped at the end of the block."""
    name = f"candor_{secrets.token_hex(6)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    try:
        yield server.update_query_dict({"options": f"-csearch_path={name}"}).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
        engine.dispose()


def restart(server: URL) -> None:
    """Restart the throw-away cluster; of another server, only end all other connections."""
    binaries, socket = _binaries(), server.query.get("host")
    if binaries is not None and isinstance(socket, str) and Path(socket).parent.name.startswith("candor-pg-"):
        home = Path(socket).parent
        options = f"-c listen_addresses='' -c unix_socket_directories='{socket}' -c fsync=off"
        _run(binaries / "pg_ctl", "-D", home / "data", "-w", "-m", "fast", "-o", options, "-l", home / "log", "restart")
        return
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = user"
        )
    engine.dispose()


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4].split(".")[0]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return None if on_path is None else Path(on_path).parent


def _run(program: Path, *arguments: str | Path) -> None:
    command = [str(program), *map(str, arguments)]
    if os.geteuid() == 0:
        command = ["runuser", "-u", _NOBODY, "--", *command]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
