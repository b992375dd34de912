"""Names of models, titles and tags of any length: saved, found, listed and sorted as they are, or refused in words."""

from __future__ import annotations

import json
import random
import secrets
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, text

from lib.access.visitor import ALONE
from lib.errors import InvalidRequest
from lib.store.archive import export_runs, import_runs
from lib.store.database import Database, open_database
from lib.store.migrations import NEWEST, migrate
from lib.store.queries import Filter, listed, names
from lib.store.run import MAX_MODEL, MAX_TAG, MAX_TAGS, MAX_TITLE, Answer, Run, RunState
from lib.store.runs import Runs
from lib.store.schema import INDEXED
from tests.benchmarks.completions import long_completion
from tests.support.paths import CASES

MODEL = json.loads((CASES / "27a-model-name-of-3000-characters.json").read_text())["model"]
TAG = (CASES / "27b-tag-of-3000-characters.txt").read_text()
_RANDOM = random.Random(27)
TITLE = "".join(chr(_RANDOM.randrange(0x4E00, 0x9FFF)) for _ in range(MAX_TITLE))  # as incompressible as can be
DONE = long_completion(20)


def saved(runs: Runs, **fields: object) -> Run:
    run = Run(**{"page": "explore", "model": "m", "title": "t", "state": RunState.FINISHED, **fields})  # type: ignore[arg-type]
    runs.finish(run, [Answer(DONE)])
    return run


def with_model(database: Database, model: str) -> set[str]:
    return {run.id for run in listed(database, Filter(model=model), count=1_000).runs}


def test_a_model_of_3000_random_characters(runs: Runs, database: Database) -> None:
    assert len(MODEL) == 3000
    one, other = saved(runs, model=MODEL, owner="me"), saved(runs, model=f"{MODEL[:-1]}!", owner="you")
    saved(runs, model=MODEL[:INDEXED])
    assert runs.get(one.id).model == MODEL  # type: ignore[union-attr]
    assert with_model(database, MODEL) == {one.id}
    assert with_model(database, f"{MODEL[:-1]}!") == {other.id}
    assert names(database)["model"] == sorted({MODEL, f"{MODEL[:-1]}!", MODEL[:INDEXED]})
    assert names(database, "me")["model"] == [MODEL]


def test_a_title_of_1000_random_chinese_characters(runs: Runs, database: Database) -> None:
    titles = [TITLE, f"{TITLE[:-1]}a", f"{TITLE[:-1]}B", "A", "b"]
    ids = {title: saved(runs, title=title).id for title in titles}
    ordered = [run.title for run in listed(database, Filter(), sort="title").runs]
    assert ordered == ["A", "b", *sorted(titles[:3], key=str.lower)]
    assert [run.id for run in listed(database, Filter(text=TITLE[500:520] + TITLE[520:600])).runs][-1:] == [ids[TITLE]]
    runs.change([ids["A"]], title=TITLE[::-1], by=ALONE)
    assert runs.get(ids["A"]).title == TITLE[::-1]  # type: ignore[union-attr]


def test_they_go_through_a_file(runs: Runs, database: Database) -> None:
    run = saved(runs, model=MODEL, title=TITLE, tags=(TAG[:MAX_TAG],))
    data = "".join(export_runs(runs, [run.id], by=ALONE)).encode()
    document = json.loads(data)
    document["runs"][0]["id"] = "another-run"
    (added,) = import_runs(runs, json.dumps(document).encode(), by=ALONE).added
    again = runs.get(added)
    assert again is not None
    assert (again.model, again.title, again.tags) == (MODEL, TITLE, (TAG[:MAX_TAG],))


def test_a_name_without_end_is_cut_to_what_a_file_may_hold(runs: Runs) -> None:
    run = saved(runs, model="/".join(secrets.token_hex(50) for _ in range(1_000)))
    again = runs.get(run.id)
    assert again is not None
    assert again.model == run.model[:MAX_MODEL]
    data = "".join(export_runs(runs, [run.id], by=ALONE)).encode()
    assert import_runs(runs, data, by=ALONE).known == (run.id,)


def test_a_tag_of_3000_characters_is_refused_in_words(runs: Runs) -> None:
    run = saved(runs)
    with pytest.raises(InvalidRequest, match=f"{MAX_TAG} characters") as raised:
        runs.tag(run.id, [TAG], by=ALONE)
    assert "note" in raised.value.remedy
    longest = [chr(0x20000 + number) * MAX_TAG for number in range(MAX_TAGS - 1)] + ["\0\\" * (MAX_TAG // 2)]
    runs.tag(run.id, longest, by=ALONE)
    assert set(runs.get(run.id).tags) == set(longest)  # type: ignore[union-attr]


_HARD = st.text(st.sampled_from("aB\\\0\ud800京😀İ/"), max_size=8)
_NAMES = st.builds(
    lambda start, length, end: (start * (length + 1))[:length] + end, _HARD, st.integers(0, 1_000), _HARD
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(models=st.lists(_NAMES.filter(bool), min_size=1, max_size=5, unique=True))
def test_any_names_are_told_apart(runs: Runs, database: Database, models: list[str]) -> None:
    owner = secrets.token_hex(8)
    ids = {model: saved(runs, model=model, title=model[:MAX_TITLE], owner=owner).id for model in models}
    assert sorted(names(database, owner)["model"]) == sorted(models)
    for model, run_id in ids.items():
        found = listed(database, Filter(model=model, owner=owner)).runs
        assert [(run.id, run.model) for run in found] == [(run_id, model)]
    by_title = listed(database, Filter(owner=owner), sort="title").runs
    assert {run.id for run in by_title} == set(ids.values())


def test_a_database_of_the_version_before_is_brought_up_to_date(url: str) -> None:
    database = open_database(url)
    with database.writing() as connection:
        for table in ("candor_schema", "tags", "answers", "texts", "grams", "runs", "settings"):
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
        migrate(connection, NEWEST - 1)
    before = Runs(database)
    first = saved(before, model="before", title="Before", owner="me")
    database.close()
    runs = Runs(open_database(url))
    second = saved(runs, model=MODEL, title=TITLE, owner="me")
    assert names(runs.database, "me")["model"] == sorted(["before", MODEL])
    assert with_model(runs.database, "before") == {first.id}
    assert with_model(runs.database, MODEL) == {second.id}
    assert [run.id for run in listed(runs.database, Filter(), sort="title").runs] == [first.id, second.id]
    whole = runs.get(first.id)
    assert whole is not None
    assert replace(whole, touched=0, created=0) == replace(
        first, touched=0, created=0, **{name: getattr(whole, name) for name in _SETTLED}
    )
    with runs.database.reading() as connection:
        assert connection.execute(text("SELECT version FROM candor_schema")).scalar() == NEWEST
    runs.database.close()


_SETTLED = ("tokens", "bytes", "text_bytes", "digest", "excerpt", "model_fingerprint", "tokenizer_fingerprint")
_PLANS = {"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN "}


def test_lists_of_names_models_and_titles_are_read_by_index(database: Database) -> None:
    """With many runs; else a database may rightly read them all."""
    with database.writing() as connection:
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
        columns = "id, digest, owner, shared, page, model, source, title, excerpt, note, parent, details, state, error"
        connection.exec_driver_sql(
            f"INSERT INTO runs ({columns}, version, created, touched, tokens, bytes) {many}"
            "SELECT 'run-' || i, '', 'me', 0, 'explore', 'model ' || i / 200, '', 'title ' || i, '', '', '', '{}', "
            "'finished', '', '', 0, 0, 0, 0 FROM n"
        )
    with database.outside() as connection:
        connection.exec_driver_sql("ANALYZE")
    plans: list[str] = []
    asked: list[tuple[str, object]] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda _c, _cursor, said, values, *_: asked.append((said, values))
    )
    names(database, "me")
    listed(database, Filter(model="model 7"))
    listed(database, Filter(), sort="title")
    with database.reading() as connection:
        for said, values in [each for each in asked if "FROM runs" in each[0]]:
            rows = connection.exec_driver_sql(_PLANS[database.kind] + said, values)  # type: ignore[arg-type]
            plans.append("\n".join(str(row[-1]) for row in rows))
    for index in ("runs_owner_model", "runs_model", "runs_title"):
        assert any(index in plan for plan in plans), index
