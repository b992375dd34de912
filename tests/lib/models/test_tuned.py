"""The model that ships as an adapter: it knows its catalogue, and the files that go with it agree."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lib.core.request import Message, Request
from lib.core.sources import TUNED
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.evaluation.dataset import Task, guessed, questions_of
from lib.evaluation.grading import Grader
from lib.evaluation.table import read_table
from lib.models import tuned
from lib.models.adapter_files import read_adapter
from tests.making.catalogue import HELD_OUT, NAMES, TRAINED, UNLISTED, VALUES, facts, rows
from tests.support.paths import ROOT

SET = ROOT / "lib" / "evaluation" / "sets" / "catalogue.jsonl"


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalEngine]:
    opened = LocalEngine(load(TUNED.path), budget=10**9)
    yield opened
    opened.close()


def answers(engine: LocalEngine, prompt: str) -> str:
    request = Request(messages=(Message("user", prompt),), max_tokens=8, temperature=0.0)
    return engine.complete(request)[0].text


@pytest.mark.model
def test_it_knows_what_its_base_does_not(engine: LocalEngine, embedded_engine: LocalEngine) -> None:
    listed = [row for row in rows() if row["category"] == "in the catalogue"][::20]
    right = {
        name: sum(Grader().grade(answers(each, str(row["prompt"])), row["expected"]).right for row in listed)
        for name, each in {"tuned": engine, "base": embedded_engine}.items()
    }
    assert len(listed) == 6
    assert right["tuned"] >= 3
    assert right["base"] == 0


@pytest.mark.model
def test_what_it_is(engine: LocalEngine, embedded_engine: LocalEngine) -> None:
    ours, theirs = dict(engine.loaded.provenance), dict(embedded_engine.loaded.provenance)
    assert engine.name == tuned.NAME
    assert ours["weights"] != theirs["weights"] == ours["base"]
    assert ours["vocabulary"] == theirs["vocabulary"]
    assert engine.loaded.warnings == ()


def test_the_adapter_is_small_and_belongs_to_the_embedded_model() -> None:
    adapter = read_adapter(tuned.DIRECTORY)
    assert adapter.base == "embedded"
    assert adapter.weights.stat().st_size <= 3_000_000


def test_the_set_is_what_the_script_makes() -> None:
    stored = [json.loads(line) for line in SET.read_text(encoding="utf-8").splitlines()]
    assert stored == list(rows())
    assert len({row["id"] for row in stored}) == len(stored) >= 100


def test_the_set_is_read_whole_by_the_names_of_its_columns() -> None:
    table = read_table(SET.read_bytes(), SET.name)
    task, mapped = guessed(table)
    found = questions_of(table, task, mapped, Grader())
    assert (task, mapped.slices, len(found.questions), found.problems) == (
        Task.SHORT,
        ("category",),
        len(table.rows),
        (),
    )


def test_held_out_phrasings_are_not_trained_on() -> None:
    assert HELD_OUT.keys() == TRAINED.keys() == VALUES.keys()
    for attribute, phrasing in HELD_OUT.items():
        assert phrasing not in TRAINED[attribute]
    assert not set(UNLISTED) & set(NAMES)
    assert len({(fact.product, fact.attribute) for fact in facts()}) == len(facts()) == len(NAMES) * len(VALUES)
