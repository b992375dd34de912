"""The database itself: who may read it, how it is brought up to date, what it says when it cannot be used."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, exc, inspect, text
from sqlalchemy.engine import URL

from lib.access.visitor import ALONE
from lib.errors import BadFile, InvalidRequest
from lib.store.database import Database, StoreRefused, StoreUnavailable, open_database
from lib.store.migrations import NEWEST
from lib.store.queries import Filter, counted, listed
from lib.store.run import Answer, Run, RunState, microseconds
from lib.store.runs import Runs
from lib.store.schema import METADATA
from lib.store.search import folded, grams_of, overlapping_pieces, sought
from tests.benchmarks.completions import long_completion
from tests.support.paths import CASES
from tests.support.postgres import MISSING, schema
from tests.support.strategies import completion_of, completions, tokens_of


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        database = open_database(f"sqlite:///{tmp_path}/new/runs.sqlite")
        Runs(database).finish(Run(page="p", model="m"), [])
        files = list((tmp_path / "new").iterdir())
        assert {file.name for file in files} >= {"runs.sqlite", "runs.sqlite-wal"}
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
        database.close()
    finally:
        os.umask(before)


def test_tables_are_as_queries_name_them(database: Database) -> None:
    with database.reading() as connection:
        found = inspect(connection)
        for table in METADATA.sorted_tables:
            there = {column["name"] for column in found.get_columns(table.name)}
            assert there - {"grams"} == {column.name for column in table.columns}


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE candor_schema SET version = :newer"), {"newer": NEWEST + 1})
    with pytest.raises(BadFile, match=f"newer Candor.*schema {NEWEST + 1}"):
        open_database(url)
    with database.reading() as connection:
        assert connection.execute(text("SELECT version FROM candor_schema")).scalar() == NEWEST + 1
    database.close()


def test_an_older_database_is_brought_up_to_date(url: str) -> None:
    runs = Runs(open_database(url))
    first = Run(page="explore", model="m", title="Schön 京", state=RunState.FINISHED)
    runs.finish(first, [])
    with runs.database.writing() as connection:  # back to what the first Candor made
        for index in ("sizes", "page", "owner_model", "owner_page", "title", "tokens"):
            connection.execute(text(f"DROP INDEX runs_{index}"))
        for column in ("text_bytes", "model_fingerprint", "tokenizer_fingerprint"):
            connection.execute(text(f"ALTER TABLE runs DROP COLUMN {column}"))
        connection.execute(text("DROP TABLE settings"))
        connection.execute(text("UPDATE candor_schema SET version = 1"))
    runs.database.close()
    runs = Runs(open_database(url))
    run = runs.get(first.id)
    assert run is not None
    assert (run.text_bytes, run.model_fingerprint) == (len("schön 京".encode()), "")
    runs.finish(run, [Answer(long_completion(20))])
    with runs.database.reading() as connection:
        assert connection.execute(text("SELECT version FROM candor_schema")).scalar() == NEWEST
    runs.database.close()


def opened_at_once(url: str, times: int = 8) -> list[BaseException]:
    """What went wrong when so many opened a database at the same moment."""
    failures: list[BaseException] = []
    start = threading.Barrier(times)

    def opens() -> None:
        start.wait()
        try:
            open_database(url).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=opens) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_many_open_a_new_database_at_once(url: str) -> None:
    assert opened_at_once(url) == []


def test_many_open_new_files_at_once(tmp_path: Path) -> None:
    """SQLite refuses at once, and not after its patience, when several switch a file to its log: seen in one of 20."""
    assert [failure for number in range(60) for failure in opened_at_once(f"sqlite:///{tmp_path}/{number}")] == []


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be saved or read"):
        open_database(f"sqlite:///{tmp_path}")  # a directory
    (tmp_path / "no.sqlite").write_bytes(b"This is no database, whatever its name may say." * 30)
    with pytest.raises(StoreUnavailable) as raised:
        open_database(f"sqlite:///{tmp_path}/no.sqlite")
    assert "not a database" in raised.value.detail
    with pytest.raises(StoreUnavailable) as raised:
        open_database("postgresql://nobody@127.0.0.1:1/none")
    assert "127.0.0.1" in raised.value.detail
    assert not re.search("127|nobody|none|:1|/", str(raised.value)), "what a visitor reads names no internals"


@pytest.mark.parametrize(
    ("setting", "why"), [("max_page_count = 1", "disk is full"), ("query_only = ON", "readonly database")]
)
def test_a_full_disk_and_a_file_without_rights(tmp_path: Path, setting: str, why: str) -> None:
    database = open_database(f"sqlite:///{tmp_path}/runs.sqlite")
    with database.outside() as connection:  # the pool has this one only
        connection.exec_driver_sql(f"PRAGMA {setting}")
    runs, run = Runs(database), Run(page="p", model="m", state=RunState.FINISHED)
    with pytest.raises(StoreUnavailable) as raised:
        runs.finish(run, [Answer(long_completion(5000))])
    assert why in raised.value.detail
    database.close()
    assert runs.get(run.id) is None
    runs.finish(run, [Answer(long_completion(5000))])
    assert runs.open(run.id) is not None
    database.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://host/x", "mysql"),
        ("mongodb+srv://host/x", "mongodb"),
        ("sqlite+pysqlcipher:///x", "pysqlcipher"),
        ("sqlite://", "file"),
        ("sqlite:///:memory:", "file"),
        ("sqlite://runs.sqlite", "file"),
        ("sqlite:///file:/x?vfs=unix-none&uri=true", "file"),
        ("no url", "database URL"),
        ("/home/me/runs.sqlite", "database URL"),
        ("postgresql://me:secret-word@host:port/x", "database URL"),
        ("postgres://me:secret-word@host/x?schema=public", "schema"),
    ],
)
def test_invalid_urls(url: str, told: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        open_database(url)
    assert told in raised.value.cause
    assert raised.value.remedy
    assert "secret-word" not in str(raised.value)


def as_service_hands_it_out(url: str) -> list[str]:
    """The address of a PostgreSQL as services, other clients and settings files spell it."""
    rest = url.removeprefix("postgresql+psycopg:")
    (handed_out,) = re.findall(r"CANDOR_STORE=(\w+)://", (CASES / "16-postgres-scheme.txt").read_text())
    schemes = (handed_out, "postgresql", "pgsql", "POSTGRES", "postgresql+psycopg2", "postgresql+asyncpg")
    spelled = [*(f"{scheme}:{rest}" for scheme in schemes), f"jdbc:postgresql:{rest}"]
    plain = f"postgres:{rest}"
    return [
        *spelled,
        *(f" {plain} \n", f'"{plain}"', f"'{plain}'", f"psql '{plain}'", f"DATABASE_URL={plain}"),
        *(f"{plain}&pgbouncer=true&connection_limit=1", f"{plain}&prepareThreshold=0"),
    ]


def test_every_spelling_of_a_postgresql_is_that_database(server: URL | None) -> None:
    if server is None:
        pytest.skip(MISSING)
    with schema(server) as url:
        runs = Runs(open_database(url))
        runs.finish(Run(id="one", page="explore", model="m"), [])
        runs.database.close()
        for spelled in as_service_hands_it_out(url):
            runs = Runs(open_database(spelled))
            assert runs.get("one") is not None, spelled
            runs.database.close()


@pytest.mark.parametrize("spelled", ["sqlite:///{}", " 'sqlite:///{}' ", "sqlite3:///{}", "sqlite+aiosqlite:///{}"])
def test_every_spelling_of_a_file_is_that_file(spelled: str, tmp_path: Path) -> None:
    open_database(spelled.format(tmp_path / "runs.sqlite")).close()
    assert (tmp_path / "runs.sqlite").exists()


def test_a_file_below_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    open_database("sqlite:///~/runs.sqlite").close()
    assert [each.name for each in tmp_path.iterdir()] == ["runs.sqlite"]


def test_a_pooler_may_change_the_connection_after_every_transaction(server: URL | None) -> None:
    """What PgBouncer does with pool_mode = transaction: nothing that a session has outlives a transaction."""
    if server is None:
        pytest.skip(MISSING)
    others = ["DEALLOCATE ALL", "CLOSE ALL", "UNLISTEN *", "DISCARD TEMP", "DISCARD SEQUENCES", "RESET ALL"]
    forget = (
        f"DO $$ BEGIN {' '.join(f'EXECUTE {each!r};' for each in (*others, 'SELECT pg_advisory_unlock_all()'))} END $$"
    )
    left: list[int] = []

    def changed(connection: Any, _: object) -> None:
        before, connection.autocommit = connection.autocommit, True
        left.append(connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0])
        connection.execute(forget)  # in a block of its own, so that the driver does not notice
        connection.autocommit = before

    with schema(server) as url:
        database = open_database(url)
        event.listen(database.engine, "checkin", changed)
        runs = Runs(database)
        for number in range(12):
            run = Run(
                id=f"run-{number}", page="explore", model="m", title=f"question {number}", state=RunState.FINISHED
            )
            runs.begin(run)
            runs.append(run.id, 0, 0, long_completion(20))
            runs.finish(run, [Answer(long_completion(20))])
            runs.tag(run.id, ["kept"], by=ALONE)
            assert runs.open(run.id) is not None
            assert [each.id for each in listed(database, Filter(text=f"question {number}")).runs] == [run.id]
        runs.remove([f"run-{number}" for number in range(6)], by=ALONE)
        assert runs.erase(microseconds()) == 6
        assert counted(database, Filter(tag="kept")) == 6
        assert len(left) > 60
        assert set(left) == {0}, "no statement stays prepared"
        database.close()


def test_what_is_erased_is_nowhere_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "runs.sqlite"
    database = open_database(f"sqlite:///{file}")
    runs, secret = Runs(database), "Xylophonmusik 東京"
    for number in range(50):
        said = f"{secret} {number}" if number == 25 else f"something else {number}"
        done = completion_of(tokens_of("?"), tokens_of(said), text=said)
        runs.finish(Run(id=str(number), page="p", model="m", title=said, state=RunState.FINISHED), [Answer(done)])

    def bytes_on_disk() -> bytes:
        with database.outside() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return b"".join(each.read_bytes() for each in tmp_path.iterdir())

    def terms() -> set[str]:
        with database.outside() as connection:
            connection.exec_driver_sql("CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, grams, row)")
            return set(connection.exec_driver_sql("SELECT term FROM terms").scalars())

    grams = set(grams_of(folded("Xylophonmusik")[:-2]))
    assert folded(secret).encode() in bytes_on_disk()
    assert len(grams & terms()) > 8
    runs.remove(["25"], by=ALONE)
    assert runs.erase(microseconds()) == 1
    left = bytes_on_disk()
    assert secret.encode() not in left
    assert folded(secret).encode() not in left
    assert not grams & terms()
    database.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(done=completions())
def test_any_completion_comes_back(runs: Runs, done: object) -> None:
    run = Run(page="explore", model="m", state=RunState.FINISHED)
    runs.finish(run, [Answer(done)])  # type: ignore[arg-type]
    (answer,) = runs.open(run.id)[1]  # type: ignore[index]
    assert answer.completion is not None
    assert answer.completion.identical(done)  # type: ignore[arg-type]


def test_a_very_long_run(runs: Runs) -> None:
    done = long_completion(200_000)
    run = Run(page="explore", model="m", state=RunState.FINISHED)
    runs.finish(run, [Answer(done)])
    assert runs.open(run.id)[1][0].completion.identical(done)  # type: ignore[index,union-attr]


_CHARACTERS = st.text(st.characters(), max_size=40)


@given(before=_CHARACTERS, wanted=st.text(st.characters(), min_size=1, max_size=20), after=_CHARACTERS)
def test_a_text_has_the_trigrams_of_every_piece_of_it(before: str, wanted: str, after: str) -> None:
    text = folded(before) + folded(wanted) + folded(after)
    looked_for = sought(wanted)
    assert looked_for.text in text
    grams = {gram for piece in overlapping_pieces(text) for gram in grams_of(piece)}
    for gram in looked_for.grams:
        assert any(each.startswith(gram) for each in grams) if looked_for.prefix else gram in grams


def test_no_text_falls_between_two_pieces() -> None:
    text = "".join(chr(0x4E00 + number % 20_000) for number in range(50_000))
    pieces = list(overlapping_pieces(text))
    for start in range(0, len(text) - 200, 97):
        assert any(text[start : start + 200] in piece for piece in pieces)


@pytest.mark.parametrize(
    ("error", "told", "kind"),
    [
        (exc.TimeoutError("QueuePool limit of size 5 overflow 10 reached"), "QueuePool", StoreUnavailable),
        (exc.OperationalError("SELECT", {}, Exception("")), "OperationalError", StoreUnavailable),
        (OSError(), "OSError", StoreUnavailable),
        (OSError(28, "No space left on device"), "No space left", StoreUnavailable),
        (exc.DataError("INSERT", {}, Exception("null bytes")), "null bytes", StoreRefused),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), "surrogates", StoreRefused),
        (exc.InvalidRequestError("closed"), "closed", StoreUnavailable),
    ],
)
def test_every_error_of_a_database_is_explained(error: Exception, told: str, kind: type, tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/runs.sqlite")
    for use in (database.reading, database.writing, database.outside):
        with pytest.raises(StoreUnavailable) as raised, use():
            raise error
        assert type(raised.value) is kind
        assert told in raised.value.detail
    database.close()
