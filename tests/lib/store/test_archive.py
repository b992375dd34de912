"""Runs as files: exact, described, and believed in nothing."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import text

from lib.access.visitor import ALONE, MOST_IMPORTED, Visitor
from lib.core.columnar import pack, unpack
from lib.core.completion import Completion
from lib.core.serialization import pack_completion, unpack_completion
from lib.errors import BadFile
from lib.jobs.job import Job
from lib.store import archive, quota
from lib.store.archive import export_runs, import_runs
from lib.store.archive_format import encodable_json, read_runs
from lib.store.queries import Filter, listed
from lib.store.quota import StoreFull
from lib.store.run import Answer, Run, RunState
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from tests.benchmarks.completions import long_completion
from tests.support.strategies import completions

DONE = long_completion(30)


def saved(runs: Runs, *completions: Completion | None, **fields: Any) -> Run:
    run = Run(**{"page": "explore", "model": "m", "title": "t", "state": RunState.FINISHED, **fields})
    runs.finish(run, [Answer(each) for each in completions])
    kept = runs.get(run.id)
    assert kept is not None
    return kept


def file_of(runs: Runs, *ids: str) -> bytes:
    return "".join(export_runs(runs, ids, by=ALONE)).encode()


def test_a_file_brings_back_what_was_kept(runs: Runs) -> None:
    run = saved(
        runs, DONE, None, title="\0\ud800 😀", note="n", tags=("a", "b"), parent="p",
        details={"q": [1, None, "\ud801"]}, state=RunState.FAILED, error=("a", "b"), seconds=2.5, source="s",
        version="0.1", created=12345,
    )  # fmt: skip
    data = file_of(runs, run.id, "gone")
    runs.remove([run.id], by=ALONE)
    runs.erase(1 << 60)
    assert import_runs(runs, data, by=ALONE).added == (run.id,)
    again, answers = runs.open(run.id)  # type: ignore[misc]
    assert again.title == "\ufffd\ufffd 😀", "what pages and databases refuse is replaced on the way in"
    assert replace(again, touched=0, bytes=run.bytes) == replace(run, touched=0, title=again.title)
    (copy,) = import_runs(runs, data, by=Visitor("me", alone=False)).added
    again, answers = runs.open(copy)  # type: ignore[misc]
    assert replace(again, touched=0, owner="", id=run.id, bytes=run.bytes, parent="p") == replace(
        run, touched=0, title=again.title
    )
    assert (again.owner, again.parent) == ("me", "")
    assert [each.completion for each in answers] == [DONE, None]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(done=completions())
def test_any_completion_goes_through_a_file(runs: Runs, done: Completion) -> None:
    run = saved(runs, done)
    ((_, (answer,)),) = read_runs(file_of(runs, run.id))
    assert answer.completion is not None
    meta, columns = unpack(pack_completion(done), "completion")
    as_read = unpack_completion(pack("completion", encodable_json(meta), columns))
    assert answer.completion.identical(as_read)
    if encodable_json(meta) == meta:
        assert as_read.identical(done)


def test_the_same_file_twice_adds_nothing(runs: Runs) -> None:
    run = saved(runs, DONE)
    data = file_of(runs, run.id)
    assert import_runs(runs, data, by=ALONE).known == (run.id,)
    other = json.loads(data)
    other["runs"][0]["answers"][0]["completion"]["meta"]["text"] = "another text"
    changed = json.dumps(other).encode()
    (added,) = import_runs(runs, changed, by=ALONE).added
    assert added != run.id
    assert import_runs(runs, changed, by=ALONE).known == (added,)
    assert len(listed(runs.database, Filter()).runs) == 2


def test_what_was_removed_is_brought_back_and_what_is_anothers_is_left_alone(runs: Runs) -> None:
    run = saved(runs, DONE, owner="me")
    data = file_of(runs, run.id)
    runs.remove([run.id], by=ALONE)
    assert import_runs(runs, data, by=Visitor("me", alone=False)).added == (run.id,)
    assert runs.get(run.id) is not None
    (copy,) = import_runs(runs, data, by=Visitor("you", alone=False)).added
    assert copy != run.id
    assert import_runs(runs, data, by=Visitor("you", alone=False)).known == (copy,)
    assert [getattr(runs.get(each), "owner", None) for each in (run.id, copy)] == ["me", "you"]


def test_a_run_that_is_not_over_is_known(runs: Runs) -> None:
    run = Run(page="explore", model="m", title="t")
    runs.begin(run)
    runs.append(run.id, 0, 0, DONE)
    assert import_runs(runs, file_of(runs, run.id), by=ALONE).known == (run.id,)


def test_a_file_is_read_without_this_project(runs: Runs) -> None:
    data = json.loads(file_of(runs, saved(runs, DONE).id))
    (answer,) = data["runs"][0]["answers"]
    column = answer["completion"]["columns"]["generated.logprobs"]
    values = np.frombuffer(base64.b64decode(column["base64"]), "<" + column["dtype"]).reshape(column["shape"])
    assert np.array_equal(values, DONE.generated.logprobs, equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        "document.pop('format')",
        "document.update(version=2)",
        "document.update(version=True)",
        "document.update(runs={})",
        "document['runs'].append(None)",
        "run.pop('id')",
        "run.update(id='../../etc')",
        "run.update(id='x' * 65)",
        "run.update(state='odd')",
        "run.update(title='x' * 2000)",
        "run.update(tags=[1])",
        "run.update(details=[])",
        "run.update(created_microseconds=-1)",
        "run.update(created_microseconds=10**30)",
        "run.update(seconds='long')",
        "run.update(error=['only one'])",
        "run.update(answers=[None])",
        "completion['columns'].pop('generated.refs')",
        "completion['meta'].pop('text')",
        "completion['meta'].update(text=1)",
        "column.update(shape=[10**12])",
        "column.update(shape=[-1])",
        "column.update(shape=['x'])",
        "column.update(dtype='O')",
        "column.update(dtype='nonsense')",
        "column.update(dtype='f8')",
        "column.update(base64='%%%')",
        "column.update(base64=column['base64'][:-4])",
    ],
)
def test_a_file_that_was_changed_is_refused_as_a_whole(runs: Runs, change: str) -> None:
    good, bad = saved(runs, DONE), saved(runs, DONE, title="other")
    document = json.loads(file_of(runs, good.id, bad.id))
    document["runs"].reverse()
    run = document["runs"][0]
    completion = run["answers"][0]["completion"]
    names = {"document": document, "run": run, "completion": completion}
    exec(change, names | {"column": completion["columns"]["generated.logprobs"]})
    runs.remove([good.id, bad.id], by=ALONE)
    runs.erase(1 << 60)
    with pytest.raises(BadFile):
        import_runs(runs, json.dumps(document).encode(), by=ALONE)
    assert listed(runs.database, Filter()).runs == ()


def test_cut_off_foreign_and_too_large(runs: Runs) -> None:
    data = file_of(runs, saved(runs, DONE).id)
    for bad in (b"", b"\xff\xfe", b"[]", b'{"generation": "x"}', data[:-10], data[: len(data) // 2], b"[" * 100_000):
        with pytest.raises(BadFile):
            list(read_runs(bad))
    with pytest.raises(BadFile, match="at most"):
        list(read_runs(data, len(data) - 1))
    with pytest.raises(BadFile, match="at most 20 MB"):
        import_runs(runs, b" " * 20_000_001, by=Visitor("visit:x", alone=False))


def _changed(runs: Runs, path: tuple[str | int, ...], value: Any) -> bytes:
    """A file of three runs of which the last has another value somewhere."""
    ids = [saved(runs, DONE, None, title=f"Title {number}").id for number in range(3)]
    document = json.loads(file_of(runs, *ids))
    runs.remove(ids, by=ALONE)
    runs.erase(1 << 60)
    place = document["runs"][2]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(document).encode()


REFUSED: list[tuple[tuple[str | int, ...], Any]] = [
    (("created_microseconds",), (1 << 62) - 1),
    (("created_microseconds",), 253_402_300_800_000_000),
    (("created_microseconds",), -1),
    (("created_microseconds",), 1.5),
    (("title",), "x" * 1_001),
    (("page",), None),
    (("state",), "damaged"),
    (("seconds",), float("1e300")),
    (("answers", 0, "completion", "columns", "generated.logprobs", "shape"), [2**40]),
    (("answers", 0, "completion", "columns", "generated.logprobs", "dtype"), "V1000000000"),
    (("answers", 0, "completion", "meta"), {}),
    (("details", "question"), {"source": {"endpoint": ["x"]}}),
    (("error",), ["only one"]),
    (("id",), "../../etc"),
]


@pytest.mark.parametrize(("path", "value"), REFUSED)
def test_an_import_is_whole_or_nothing(runs: Runs, path: tuple[str | int, ...], value: Any) -> None:
    data = _changed(runs, path, value)
    if path[0] == "details":
        assert len(import_runs(runs, data, by=ALONE).added) == 3, "details are shown as far as they can be"
        return
    with pytest.raises(BadFile, match="Run 3"):
        import_runs(runs, data, by=ALONE)
    assert listed(runs.database, Filter()).runs == ()


ODD = "\ud800 and \0 and \udfff"


@pytest.mark.parametrize("name", ["title", "note", "page", "model", "source", "version", "parent", "tags", "error"])
def test_surrogates_and_nul_are_replaced_on_the_way_in(runs: Runs, name: str) -> None:
    value: Any = [ODD] if name == "tags" else [ODD, ODD] if name == "error" else ODD
    added = import_runs(runs, _changed(runs, (name,), value), by=ALONE).added
    assert len(added) == 3
    run, _ = runs.open(added[2])  # type: ignore[misc]
    value = getattr(run, name)
    assert (value if isinstance(value, str) else value[0]) == "\ufffd and \ufffd and \ufffd"
    assert len(listed(runs.database, Filter()).runs) == 3
    assert file_of(runs, *added)


def test_a_failure_in_the_midst_of_an_import_adds_nothing(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _changed(runs, ("note",), "n")
    calls = iter([None, None, RuntimeError("the disk is gone")])
    write = archive.write_run

    def failing(*arguments: Any) -> int:
        number = write(*arguments)
        if (error := next(calls)) is not None:
            raise error
        return number

    monkeypatch.setattr(archive, "write_run", failing)
    with pytest.raises(RuntimeError):
        import_runs(runs, data, by=ALONE)
    assert listed(runs.database, Filter()).runs == ()


@pytest.mark.parametrize(
    "data",
    [
        b'{"format": "candor-runs", "version": 1, "runs": [' + b"[]," * 2_000_000 + b"[]]}",
        b'{"format": "candor-runs", "version": 1, "runs": [{"details": [' + b"{}," * 2_000_000 + b"{}]}]}",
        b'{"format": "candor-runs", "version": 1, "runs": [' + b'"\\"' * 800_000,
        b'{"format": "candor-runs", "version": 1, "runs": [' + b'"ab",' * 1_200_000 + b'""]}',
        b"[" * 6_000_000,
    ],
)
def test_a_hostile_file_takes_little_memory_and_time(data: bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(BadFile):
            list(read_runs(data, MOST_IMPORTED))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(data)
    assert time.process_time() - began < 8.0


def test_a_damaged_answer_is_left_out_of_an_export(runs: Runs) -> None:
    good, bad = saved(runs, DONE), saved(runs, DONE)
    with runs.database.writing() as connection:
        number = connection.execute(text("SELECT number FROM runs WHERE id = :id"), {"id": bad.id}).scalar_one()
        connection.execute(text("UPDATE answers SET data = :data WHERE run = :run"), {"data": b"x", "run": number})
    with pytest.raises(BadFile):
        runs.open(bad.id)
    document = json.loads(file_of(runs, good.id, bad.id))
    assert [each["id"] for each in document["runs"]] == [good.id]
    assert document["unreadable"] == [bad.id]


def test_a_visitor_has_a_share_of_the_store(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    who = Visitor("visit:x", alone=False)
    data = _changed(runs, ("note",), "n")
    assert len(import_runs(runs, data, by=who).added) == 3
    monkeypatch.setattr(quota, "MOST_STORED", 10)
    other = _changed(runs, ("note",), "n")
    with pytest.raises(StoreFull, match="at most 0 MB for each visitor") as raised:
        import_runs(runs, other, by=who)
    assert "Delete some" in raised.value.remedy
    assert len(import_runs(runs, other, by=ALONE).added) == 3, "one who is alone has no share"
    keeper = RunWriter(lambda: runs, every=0.01, pause=0.01)
    job: Job[Any] = Job.over_already("some-job-id", None, DONE, None, 1.0, who.owner)
    keeper.follow(job, Run(id=job.id, page="explore", model="m", title="Mine", owner=who.owner))
    assert keeper.flush(5)
    (lost,) = keeper.given_up(who).values()
    assert lost.cause.startswith("The run “Mine” of explore is not saved. Your saved runs take")
    assert keeper.problem is None
    assert keeper.close(5)
