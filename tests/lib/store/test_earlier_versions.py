"""Databases and exported files of earlier versions open with everything that they held."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lib.access.visitor import ALONE
from lib.core.sources import EMBEDDED, BedrockModel, LocalModel
from lib.store.archive import export_runs, import_runs
from lib.store.database import Database, open_database
from lib.store.earlier_plans import EarlierPrompts, EarlierRank
from lib.store.job_runs import restored
from lib.store.plan_codec import call_of
from lib.store.queries import Filter, listed
from lib.store.run import Answer, Run
from lib.store.runs import Runs
from lib.studies.ablation import AblationPlan, helped
from lib.studies.model_comparison import ModelsPlan
from tests.support.paths import DATA

V1 = DATA / "v1"
FORMER = '"page": "compare"', '"page": "prompts"'
EXPECTED: dict[str, Any] = json.loads((V1 / "expected.json").read_text().replace(*FORMER))
RUNS = sorted(EXPECTED)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """The database of version 0.1, upgraded as it is opened."""
    path = tmp_path_factory.mktemp("v1") / "runs.sqlite"
    shutil.copyfile(V1 / "runs.sqlite", path)
    database = open_database(f"sqlite:///{path}")
    yield Runs(database)
    database.close()


def described(answers: tuple[Answer, ...]) -> list[Any]:
    return [None if each.completion is None else _described(each.completion) for each in answers]


def _described(done: Any) -> dict[str, Any]:
    logprobs = np.asarray(done.generated.logprobs, np.float64)
    return {
        "text": done.text,
        "stop_reason": str(done.stop_reason),
        "prompt_tokens": len(done.prompt),
        "generated_tokens": len(done.generated),
        "logprobs": [None if np.isnan(each) else round(float(each), 4) for each in logprobs],
    }


def run_called(store: Runs, name: str) -> tuple[Run, tuple[Answer, ...]]:
    found = store.open(EXPECTED[name]["id"])
    assert found is not None
    return found


@pytest.mark.parametrize("name", RUNS)
def test_a_run_has_what_it_had(opened: Runs, name: str) -> None:
    run, answers = run_called(opened, name)
    expected = EXPECTED[name]
    assert {key: str(getattr(run, key)) for key in ("page", "model", "title", "state", "parent")} == {
        key: expected[key] for key in ("page", "model", "title", "state", "parent")
    }
    assert described(answers) == expected["answers"]


@pytest.mark.parametrize("name", RUNS)
def test_an_exported_run_has_what_it_had(database: Database, name: str) -> None:
    """On both kinds of database; and what is exported now says the same."""
    store = Runs(database)
    assert len(import_runs(store, (V1 / "candor-runs.json").read_bytes(), by=ALONE).added) == len(RUNS)
    run, answers = run_called(store, name)
    assert (run.title, described(answers)) == (EXPECTED[name]["title"], EXPECTED[name]["answers"])
    if name == "imported_failed":  # where its tokenizer lay is not taken from a file
        return
    again = json.loads("".join(export_runs(store, [run.id], by=ALONE)))
    before = json.loads((V1 / "candor-runs.json").read_text().replace(*FORMER))
    assert again["runs"] == [each for each in before["runs"] if each["id"] == run.id]


def test_everything_that_was_asked_is_known(opened: Runs) -> None:
    plans = {name: restored(*run_called(opened, name))["plan"] for name in RUNS}
    assert plans.pop("saved") is None
    one, samples, branch = (plans.pop(f"explore_{name}").call for name in ("one", "samples", "branch"))
    assert (one.source, one.request.prompt, one.request.max_tokens) == (EMBEDDED, "The quick brown fox", 8)
    assert [each.role for each in samples.request.messages] == ["system", "user"]
    assert (samples.request.n, samples.request.seed, samples.request.stop) == (3, 3, ("\n\n",))
    assert (samples.request.temperature, samples.request.k) == (0.8, 3)
    assert branch.fork is not None
    assert (branch.fork.kept, branch.fork.forced, branch.fork.text) == (1, (260,), " the")
    imported = plans.pop("imported_failed").call.source
    assert isinstance(imported, BedrockModel)
    assert imported.arn.endswith("imported-model/abcdef")
    assert (str(imported.imported), imported.form, imported.tokenizer) == ("2026-01-02", "OPENAI", "/models/tok")
    assert plans.pop("failed").call.source == LocalModel("/nowhere/model")
    assert {name: (type(each), len(each.calls())) for name, each in plans.items()} == {
        "prompts": (EarlierPrompts, 2), "prompts_ablation": (AblationPlan, 4), "models": (ModelsPlan, 2),
        "rank": (EarlierRank, 2),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["prompts", "prompts_ablation", "models", "rank"])
def test_a_plan_makes_the_calls_that_were_stored(opened: Runs, name: str) -> None:
    run, answers = run_called(opened, name)
    back = restored(run, answers)
    assert back["plan"].calls() == tuple(map(call_of, run.details["questions"]))
    assert [each.completion for each in back["result"].outcomes] == [each.completion for each in answers]


def test_what_helped_is_known(opened: Runs) -> None:
    came = restored(*run_called(opened, "prompts_ablation"))
    found = helped(came["plan"], came["result"])
    assert found is not None
    assert (len(found.prompts), found.own, len(found.parts)) == (2, 1, 2)
    assert np.isfinite(found.logprob_drops).all()


def test_runs_are_found_in_the_history(opened: Runs) -> None:
    found = listed(opened.database, Filter(text="brown fox"), start=0, count=50).runs
    assert [each.id for each in found if each.title == "Fox, named by hand"] == [EXPECTED["explore_one"]["id"]]
