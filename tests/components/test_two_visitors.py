"""Two visitors: what one may see of the other's, and change. One row for each kind of id, route and action."""

from __future__ import annotations

import inspect
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st

from components.explore import answer_tree
from components.jobs import current_job, history_sync
from components.shell import access
from lib.access.visitor import ALONE, MOST_CHARACTERS, MOST_JOBS, MOST_TOKENS, MOST_UPLOADED, SIGNED_OUT, Visitor
from lib.core.branching import Fork
from lib.core.completion import Completion
from lib.core.request import Request
from lib.core.sources import EMBEDDED
from lib.errors import BadFile, Busy, CandorError, InvalidRequest
from lib.jobs.answer_tree import Node, Trees
from lib.jobs.batch import batch_of
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.store import archive, queries
from lib.store.database import open_database
from lib.store.job_runs import run_about
from lib.store.plan_codec import call_as_json
from lib.store.queries import Filter, listed
from lib.store.run import Answer, Run, RunState
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from lib.studies.exploration import ExplorePlan
from tests.benchmarks.completions import long_completion
from tests.support.asking import over
from tests.support.scripted_engine import ScriptedEngine

ACCOUNTS = (Visitor("user:a", alone=False, signed_in=True), Visitor("user:b", alone=False, signed_in=True))
VISITS = (Visitor("visit:a", alone=False), Visitor("visit:b", alone=False))
DONE = long_completion(20)
PARENT, PRIVATE, SHARED, BRANCH, RUNNING = (
    "parent-of-all",
    "private-run-1",
    "shared-run-1",
    "private-branch",
    "running-job-1",
)
IDS = (PARENT, PRIVATE, SHARED, BRANCH)


@dataclass
class World:
    """A process with two visitors; everything in it is the first one's."""

    runs: Runs
    jobs: Jobs
    trees: Trees
    keeper: RunWriter
    running: Job[Any]
    who: Visitor

    @property
    def services(self) -> SimpleNamespace:
        """What the pages use of the process's services."""
        store = SimpleNamespace(runs=lambda: self.runs, writer=self.keeper)
        engines = Engines(lambda _: ScriptedEngine())
        return SimpleNamespace(
            jobs=self.jobs, trees=self.trees, store=store, engines=engines, check_allowed=lambda _: None
        )

    def opens(self, run_id: str) -> Job[Any] | None:
        """What a link shows."""
        st.session_state.clear()
        st.session_state["explore.job"] = run_id
        return history_sync.find(run_id) or history_sync.reopen(run_id)

    def tree(self, run_id: str) -> set[str]:
        """The answers beside it."""
        if self.opens(run_id) is None:
            return set()
        return {node.id for _, node in current_job.tree_of("explore").walk()}

    def ids(self) -> set[str]:
        """What the history lists."""
        which = Filter(owner=self.who.whose, shared=self.who.signed_in)
        return {run.id for run in listed(self.runs.database, which).runs}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Visitor, Visitor], World]]:
    stop = threading.Event()
    made: list[World] = []

    def make(owner: Visitor, who: Visitor) -> World:
        runs = Runs(open_database(f"sqlite:///{tmp_path}/runs-{len(made)}.sqlite"))
        call = Call(EMBEDDED, Request("Hello"))
        fork = Fork(DONE, 1, (2,), "text", Request("Hello"), "")
        for run_id, parent in ((PARENT, ""), (PRIVATE, PARENT), (SHARED, PARENT), (BRANCH, SHARED)):
            plan = ExplorePlan(replace(call, fork=fork if parent else None))
            job: Job[Any] = Job.over_already(run_id, plan, batch_of([DONE]), None, 1.0)
            run = run_about(job, "explore", owner=owner.owner, version="1", parent=parent)
            runs.finish(replace(run, state=RunState.FINISHED, title=f"Title of {run_id}"), [Answer(DONE)])
        runs.change([SHARED], shared=True, by=owner)
        jobs = Jobs()
        running = jobs.start(lambda _: stop.wait(60), by=owner)
        keeper = RunWriter(lambda: runs)
        keeper.follow(running, Run(id=running.id, page="explore", model="m", owner=owner.owner))
        here = World(runs, jobs, Trees(), keeper, running, who)
        made.append(here)
        for module in (history_sync, current_job):
            monkeypatch.setattr(module, "visitor", lambda: here.who)
            monkeypatch.setattr(module, "services", lambda: here.services)
        monkeypatch.setattr(st, "session_state", {})
        monkeypatch.setattr(st, "query_params", {})
        return here

    yield make
    stop.set()
    for each in made:
        each.keeper.close(0.5)
        each.runs.database.close()


def _node(world: World, run_id: str) -> Node:
    opened = world.runs.open(run_id)
    assert opened is not None
    return Node(run_id, Job.over_already(run_id, None, DONE, None, 1.0, opened[0].owner))


SEEN: list[tuple[str, dict[str, tuple[bool, bool]]]] = [
    # which of the other's runs a link opens: (for an account, for a visit without signing in)
    ("a link opens", {PARENT: (False, True), PRIVATE: (False, True), SHARED: (True, True), BRANCH: (False, True)}),
    (
        "the history lists",
        {PARENT: (False, False), PRIVATE: (False, False), SHARED: (True, False), BRANCH: (False,) * 2},
    ),
    ("an export holds", {PARENT: (False, False), PRIVATE: (False, False), SHARED: (True, False), BRANCH: (False,) * 2}),
]


@pytest.mark.parametrize(("route", "run_id"), [(route, each) for route, rows in SEEN for each in rows])
@pytest.mark.parametrize("pair", [ACCOUNTS, VISITS], ids=["accounts", "visits"])
def test_what_is_seen_of_anothers(world: Any, pair: tuple[Visitor, Visitor], route: str, run_id: str) -> None:
    here: World = world(*pair)
    expected = dict(SEEN)[route][run_id][pair is VISITS]
    if route == "a link opens":
        assert (here.opens(run_id) is not None) is expected
        assert session_gone(run_id) is not expected
    elif route == "the history lists":
        assert (run_id in here.ids()) is expected
    else:
        assert (run_id in "".join(archive.export_runs(here.runs, [run_id], by=here.who))) is expected
    here.who = pair[0]
    assert here.opens(run_id) is not None, "its owner sees it in any case"
    assert run_id in here.ids()


def session_gone(run_id: str) -> bool:
    st.query_params["run"] = run_id
    return current_job.gone()


TREES = {
    # what stands beside a run of the other's that a link opens: for an account, for a visit
    PRIVATE: (set(), {PARENT, PRIVATE}),
    SHARED: ({SHARED}, {PARENT, SHARED}),
    BRANCH: (set(), {PARENT, SHARED, BRANCH}),
}


@pytest.mark.parametrize("run_id", TREES)
@pytest.mark.parametrize("pair", [ACCOUNTS, VISITS], ids=["accounts", "visits"])
def test_a_link_shows_the_run_and_what_it_branches_from(world: Any, pair: Any, run_id: str) -> None:
    here: World = world(*pair)
    assert here.tree(run_id) == TREES[run_id][pair is VISITS]
    here.who = pair[0]
    assert here.tree(run_id) == set(IDS), "its owner sees all of the tree"
    here.who = pair[1]
    assert here.tree(run_id) == TREES[run_id][pair is VISITS], "even after its owner has opened it"


CHANGES: dict[str, Callable[[World, str], object]] = {
    "name it": lambda here, run_id: here.runs.change([run_id], title="Taken", by=here.who),
    "note it": lambda here, run_id: here.runs.change([run_id], note="Taken", by=here.who),
    "share it": lambda here, run_id: here.runs.change([run_id], shared=True, by=here.who),
    "stop sharing it": lambda here, run_id: here.runs.change([run_id], shared=False, by=here.who),
    "tag it": lambda here, run_id: here.runs.tag(run_id, ["taken"], by=here.who),
    "delete it": lambda here, run_id: here.runs.remove([run_id], by=here.who),
    "delete all": lambda here, _: queries.remove_all(here.runs.database, Filter(), by=here.who),
    "delete all that is listed": lambda here, _: queries.remove_all(
        here.runs.database, Filter(owner=here.who.owner, shared=True), by=here.who
    ),
    "do not save it": lambda here, run_id: here.keeper.forget(run_id, here.who),
    "name it in the tree": lambda here, run_id: history_sync.named(replace(_node(here, run_id), name="Taken")),
    "prune it": lambda here, run_id: history_sync.taken_out((_node(here, run_id),)),
    "prune it from the page's tree": lambda here, run_id: (
        [answer_tree.prune(current_job.tree_of("explore"), _node(here, run_id))] if here.opens(run_id) else None
    ),
}


def _state(here: World) -> list[Any]:
    opened = [here.runs.open(run_id) for run_id in IDS]
    return [replace(run[0], touched=0) if run else None for run in opened]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("pair", [ACCOUNTS, VISITS], ids=["accounts", "visits"])
def test_nothing_of_anothers_is_changed(world: Any, pair: Any, change: str) -> None:
    here: World = world(*pair)
    before = _state(here)
    for run_id in IDS:
        CHANGES[change](here, run_id)
    assert _state(here) == before
    here.who = pair[0]
    CHANGES[change](here, PRIVATE if change != "stop sharing it" else SHARED)
    assert _state(here) != before, "its owner may"


@pytest.mark.parametrize("pair", [ACCOUNTS, VISITS], ids=["accounts", "visits"])
def test_what_was_deleted_is_not_brought_back_by_another(world: Any, pair: Any) -> None:
    here: World = world(*pair)
    here.runs.remove([PRIVATE], by=pair[0])
    node = Node(PRIVATE, Job.over_already(PRIVATE, None, DONE, None, 1.0, pair[0].owner))
    when = queries.remove_all(here.runs.database, Filter(), by=pair[0])
    here.runs.put_back([PRIVATE], by=here.who)
    queries.put_back_all(here.runs.database, when, by=here.who)
    history_sync.brought_back((node,))
    assert _state(here) == [None] * 4
    queries.put_back_all(here.runs.database, when, by=pair[0])
    here.runs.put_back([PRIVATE], by=pair[0])
    assert None not in _state(here)


@pytest.mark.parametrize("pair", [ACCOUNTS, VISITS], ids=["accounts", "visits"])
def test_a_job_at_work_is_stopped_and_continued_by_its_owner_alone(world: Any, pair: Any) -> None:
    here: World = world(*pair)
    assert (here.jobs.find(here.running.id, here.who) is None) is (pair is ACCOUNTS)
    history_sync.stop(here.running)
    assert not here.running.cancelled
    with pytest.raises(InvalidRequest, match="someone else"):
        here.jobs.go_on(here.running, lambda _: True, here.who)
    here.who = pair[0]
    history_sync.stop(here.running)
    assert here.running.cancelled


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_branch_of_anothers_shared_run_is_in_the_own_tree_alone(world: Any, turns: int) -> None:
    """The first visitor's reloads never lead into the tree of the second, however often they take turns."""
    a, b = ACCOUNTS
    here: World = world(a, b)
    shared = here.opens(SHARED)
    assert shared is not None
    tree = current_job.tree_of("explore")
    tree.add(Node("branch-of-b", Job.over_already("branch-of-b", None, DONE, None, 1.0, b.owner), SHARED))
    for _ in range(turns):
        here.who = a
        assert "branch-of-b" not in here.tree(SHARED)
        here.who = b
        assert here.tree(SHARED) == {SHARED, "branch-of-b"}
    here.runs.change([SHARED], shared=False, by=a)
    st.session_state["explore.tree"] = tree
    assert {node.id for _, node in current_job.tree_of("explore").walk()} == {"branch-of-b"}, (
        "no longer shared: left out"
    )


def test_one_who_is_alone_may_do_everything(world: Any) -> None:
    here: World = world(ACCOUNTS[0], ALONE)
    assert here.ids() >= set(IDS)
    for run_id, change in itertools.product([PRIVATE], ["name it", "tag it", "delete it"]):
        CHANGES[change](here, run_id)
    assert here.runs.open(PRIVATE) is None


def test_a_visitor_has_a_share_of_the_jobs() -> None:
    everything, go = Jobs(), threading.Event()
    a, b = VISITS
    mine = [everything.start(lambda _: go.wait(60), by=a) for _ in range(MOST_JOBS)]
    with pytest.raises(Busy, match="You have 4 answers running"):
        everything.start(lambda _: True, by=a)
    others = [everything.start(lambda _: go.wait(60), by=b)]
    alone = [everything.start(lambda _: go.wait(60), by=ALONE) for _ in range(MOST_JOBS + 2)]
    go.set()
    assert all(job.wait(10) for job in [*mine, *others, *alone])
    assert everything.start(lambda _: True, by=a).wait(10)


def test_a_visitor_has_a_share_of_the_tokens() -> None:
    VISITS[0].check_tokens(MOST_TOKENS)
    ALONE.check_tokens(10**9)
    with pytest.raises(InvalidRequest, match="20,001 new tokens") as raised:
        VISITS[0].check_tokens(MOST_TOKENS + 1)
    assert "max new tokens" in raised.value.remedy


def test_a_visitor_has_a_share_of_what_is_uploaded() -> None:
    VISITS[0].check_size(MOST_UPLOADED * 1_000_000)
    ALONE.check_size(10**12)
    with pytest.raises(InvalidRequest, match="is 20 MB per upload"):
        VISITS[0].check_size(MOST_UPLOADED * 1_000_000 + 1)


def test_one_who_has_not_signed_in_sees_and_starts_nothing(world: Any) -> None:
    here: World = world(ACCOUNTS[0], SIGNED_OUT)
    assert [run_id for run_id in IDS if here.opens(run_id) is not None] == []
    assert here.jobs.find(here.running.id, SIGNED_OUT) is None
    assert "Title of" not in "".join(archive.export_runs(here.runs, IDS, by=SIGNED_OUT))
    before = _state(here)
    for run_id, change in itertools.product(IDS, CHANGES.values()):
        change(here, run_id)
    assert _state(here) == before
    with pytest.raises(InvalidRequest, match="not signed in"):
        here.jobs.start(lambda _: True, by=SIGNED_OUT)


@pytest.mark.parametrize(
    ("signs_in", "who", "expected"), [(True, "", SIGNED_OUT), (True, "me", "user:me"), (False, "", "")]
)
def test_who_asks(monkeypatch: pytest.MonkeyPatch, signs_in: bool, who: str, expected: object) -> None:
    monkeypatch.setattr(access, "is_set_up", lambda: signs_in)
    monkeypatch.setattr(access, "identity", lambda: who)
    found = access.visitor()
    assert found == expected or found.owner == expected
    assert found.alone is not signs_in


def test_a_visitor_has_a_share_of_what_is_read() -> None:
    VISITS[0].check_characters(MOST_CHARACTERS)
    ALONE.check_characters(10**12)
    with pytest.raises(InvalidRequest, match="characters of input"):
        VISITS[0].check_characters(MOST_CHARACTERS + 1)
    asked = Call(EMBEDDED, Request("x" * 1_000, n=8))
    assert asked.max_characters_read == 8_000
    assert replace(asked, candidates=("ab", "cd")).max_characters_read == 8_004


def test_a_call_with_candidates_never_generates() -> None:
    """Its share of new tokens is none, so that no page may have it generate."""
    given = Call(EMBEDDED, Request("x", max_tokens=1_000_000, n=64), candidates=("y",))
    assert (given.max_new_tokens, given.answers) == (0, 1)
    scored: list[Any] = []

    def score(*asked: Any, **_: Any) -> tuple[Completion, ...]:
        scored.append(asked)
        return (DONE,)

    engine = SimpleNamespace(busy=False, score=score, stream=lambda *_, **__: pytest.fail("generated"))
    assert over(Engines(lambda _: engine), given).completions == (DONE,)  # type: ignore[arg-type,return-value]
    assert len(scored) == 1


def _file(*ids: str, **values: Any) -> bytes:
    """A file of runs with these ids."""
    plain = {"page": "explore", "model": "m", "source": "m", "title": "Theirs", "note": "", "tags": [], "parent": ""}
    plain |= {"details": {}, "state": "finished", "error": None, "version": "1", "seconds": 1.0, "answers": []}
    runs = [{**plain, "id": each, "created_microseconds": 10**15, **values} for each in ids]
    return json.dumps({"format": "candor-runs", "version": 1, "runs": runs}).encode()


@pytest.mark.parametrize("pair", [ACCOUNTS, VISITS], ids=["accounts", "visits"])
def test_an_import_takes_no_id_and_names_no_run_of_another(world: Any, pair: Any) -> None:
    here: World = world(*pair)
    before = _state(here)
    # Of a run that is there, of a job that only memory has, and of neither: the same to the one who imports.
    gone = here.jobs.start(lambda _: DONE, by=pair[0])
    assert gone.wait(10)
    ids = (PRIVATE, gone.id, "an-id-of-none")
    added = archive.import_runs(here.runs, _file(*ids, parent=SHARED), by=here.who).added
    assert len(added) == 3
    assert not set(added) & {*ids, *IDS}
    assert _state(here) == before
    for run_id in added:
        run, _ = here.runs.open(run_id)  # type: ignore[misc]
        assert (run.owner, run.parent) == (here.who.owner, "")
    assert archive.import_runs(here.runs, _file(*ids, parent=SHARED), by=here.who).known == added, "the same every time"
    found = here.jobs.find(gone.id, here.who)
    assert (found is None) is (pair is ACCOUNTS)


def test_branches_in_a_file_stay_branches_of_each_other(world: Any) -> None:
    here: World = world(*ACCOUNTS)
    document = json.loads(_file("the-parent-run", "the-branch-run"))
    document["runs"][1]["parent"] = "the-parent-run"
    parent, branch = archive.import_runs(here.runs, json.dumps(document).encode(), by=here.who).added
    run, _ = here.runs.open(branch)  # type: ignore[misc]
    assert run.parent == parent


def test_a_job_of_another_is_not_restored(world: Any) -> None:
    """Even if a run of that id is one's own, as it might be in a store that others write to."""
    here: World = world(*ACCOUNTS)
    secret = here.jobs.start(lambda _: "secret", by=ACCOUNTS[0])
    assert secret.wait(10)
    mine = here.jobs.restore(secret.id, None, result="mine", error=None, seconds=1.0, owner=ACCOUNTS[1].owner)
    assert mine.result == "mine"
    assert here.jobs.find(secret.id, ACCOUNTS[1]) is None
    found = here.jobs.find(secret.id, ACCOUNTS[0])
    assert found is not None
    assert found.result == "secret"


def test_branches_of_others_crowd_out_no_run_of_ones_own(world: Any) -> None:
    a, b = ACCOUNTS
    here: World = world(a, a)
    for number in range(250):
        run = Run(id=f"crowd-{number:04}", page="explore", model="m", owner=b.owner, shared=True, parent=SHARED)
        here.runs.finish(replace(run, state=RunState.FINISHED), [])
    branch = Run(id="the-newest-of-a", page="explore", model="m", owner=a.owner, parent=SHARED)
    here.runs.finish(replace(branch, state=RunState.FINISHED), [Answer(DONE)])
    assert here.opens(branch.id) is not None
    assert {*IDS, branch.id} <= here.tree(SHARED)


@pytest.mark.parametrize("pair", [ACCOUNTS, VISITS], ids=["accounts", "visits"])
def test_an_export_names_no_directory_of_the_server(world: Any, pair: Any) -> None:
    here: World = world(*pair)
    error = ("There is no model at /opt/operator/secret.", "Look there.")
    run = Run(id="failed-run-1", page="explore", model="m", owner=here.who.owner, error=error, state=RunState.FAILED)
    here.runs.finish(run, [Answer(None, error)])
    assert "operator" not in "".join(archive.export_runs(here.runs, [run.id], by=here.who))
    assert "operator" in "".join(archive.export_runs(here.runs, [run.id], by=ALONE))


def test_all_that_is_stored_of_a_run_counts(world: Any) -> None:
    here: World = world(*ACCOUNTS)
    data = _file("a-run-of-mine", details={"padding": "x" * 1_000_000}, note="y" * 50_000)
    (added,) = archive.import_runs(here.runs, data, by=here.who).added
    run, _ = here.runs.open(added)  # type: ignore[misc]
    assert run.bytes > 1_050_000
    with pytest.raises(BadFile):
        archive.import_runs(here.runs, _file("another-run", details={"padding": "x" * 5_000_000}), by=here.who)


@pytest.mark.parametrize(
    "change",
    [
        lambda here: here.runs.change([PRIVATE], title="x" * 2_000, by=ACCOUNTS[0]),
        lambda here: here.runs.change([PRIVATE], note="x" * 200_000, by=ACCOUNTS[0]),
        lambda here: here.runs.tag(PRIVATE, ["x" * 3_000], by=ACCOUNTS[0]),
        lambda here: here.runs.tag(PRIVATE, map(str, range(1_000)), by=ACCOUNTS[0]),
    ],
)
def test_texts_of_a_run_are_bounded_on_the_server(world: Any, change: Any) -> None:
    here: World = world(ACCOUNTS[0], ACCOUNTS[0])
    before = _state(here)
    with pytest.raises(InvalidRequest):
        change(here)
    assert _state(here) == before


def test_a_run_of_very_many_questions_opens_without_them(world: Any) -> None:
    here: World = world(*ACCOUNTS)
    about = call_as_json(Call(EMBEDDED, Request("a", n=64)))
    (added,) = archive.import_runs(
        here.runs, _file("many-questions", details={"questions": [about] * 1_001}), by=here.who
    ).added
    opened = here.opens(added)
    assert opened is not None
    assert opened.plan is None


# What takes an id without a visitor, and why that is right.
INTERNAL = {
    "Jobs.restore": "called with runs that were looked up with the visitor",
    "Runs.begin": "the keeper writes a job's own run",
    "Runs.append": "the keeper writes a job's own run",
    "Runs.append_all": "the keeper writes a job's own run",
    "Runs.finish": "the keeper writes a job's own run; imports write under the visitor's owner",
    "Runs.get": "tells whose it is, so that it can be decided",
    "Runs.known": "tells whose it is, so that it can be decided",
    "Runs.open": "tells whose it is, so that it can be decided",
    "RunWriter.waiting": "tells nothing of the run",
}


def test_whatever_finds_or_changes_by_an_id_is_told_who_asks() -> None:
    """A new function is decided on here before it is used."""
    missing = []
    for owner in (Jobs, Trees, Runs, RunWriter, archive, queries):
        for name, function in inspect.getmembers(owner, callable):
            if name.startswith("_") or inspect.isclass(function):
                continue
            if inspect.ismodule(owner) and function.__module__ != owner.__name__:
                continue
            named = set(inspect.signature(function).parameters)
            full = f"{owner.__name__.rpartition('.')[2]}.{name}"
            if named & {"run_id", "run_ids", "job_id", "run", "when"} and "by" not in named and full not in INTERNAL:
                missing.append(full)
    assert [each for each in missing if each not in ("RunWriter.follow", "archive.exported_size")] == []


def test_a_visitor_without_a_name_owns_nothing() -> None:
    nameless = Visitor("", alone=False)
    assert not nameless.owns("")
    with pytest.raises(CandorError):
        Jobs().go_on(Job.over_already("x", None, 1, None, 1.0), lambda _: 2, nameless)
