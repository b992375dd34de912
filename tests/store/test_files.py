"""Runs as files: exact, described, and believed in nothing."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from lib.access import ALONE, Visitor
from lib.completion import Completion
from lib.errors import BadFile
from lib.store import files
from lib.store.files import export_runs, import_runs, read_runs
from lib.store.history import Filter, listed
from lib.store.runs import FAILED, FINISHED, Answer, Run, Runs
from tests.benchmarks.completions import long_completion
from tests.strategies import completions

DONE = long_completion(30)


def saved(runs: Runs, *completions: Completion | None, **fields: Any) -> Run:
    run = Run(**{"page": "explore", "model": "m", "title": "t", "state": FINISHED, **fields})
    runs.finish(run, [Answer(each) for each in completions])
    kept = runs.get(run.id)
    assert kept is not None
    return kept


def file_of(runs: Runs, *ids: str) -> bytes:
    return "".join(export_runs(runs, ids, by=ALONE)).encode()


def test_a_file_brings_back_what_was_kept(runs: Runs) -> None:
    run = saved(
        runs, DONE, None, title="\0\ud800 😀", note="n", tags=("a", "b"), parent="p",
        details={"q": [1, None, "\ud801"]}, state=FAILED, error=("a", "b"), seconds=2.5, source="s", version="0.1",
        created=12345,
    )  # fmt: skip
    data = file_of(runs, run.id, "gone")
    runs.remove([run.id], by=ALONE)
    runs.erase(1 << 60)
    assert import_runs(runs, data, by=Visitor("me", alone=False)).added == (run.id,)
    again, answers = runs.open(run.id)  # type: ignore[misc]
    assert replace(again, touched=0, owner="") == replace(run, touched=0)
    assert again.owner == "me"
    assert [each.completion for each in answers] == [DONE, None]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(done=completions())
def test_any_completion_goes_through_a_file(runs: Runs, done: Completion) -> None:
    run = saved(runs, done)
    ((_, (answer,)),) = read_runs(file_of(runs, run.id))
    assert answer.completion is not None
    assert answer.completion.identical(done)


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


def test_cut_off_foreign_and_too_large(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    data = file_of(runs, saved(runs, DONE).id)
    for bad in (b"", b"\xff\xfe", b"[]", b'{"generation": "x"}', data[:-10], data[: len(data) // 2], b"[" * 100_000):
        with pytest.raises(BadFile):
            list(read_runs(bad))
    monkeypatch.setattr(files, "MOST_BYTES", len(data) - 1)
    with pytest.raises(BadFile, match="at most"):
        list(read_runs(data))
