"""Runs and the store: save a job, reopen the run a link names, remove a run from history."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from components.shell.access import visitor
from components.shell.escaping import as_text
from components.shell.messages import in_markdown, show_error
from components.shell.services import services
from lib import VERSION
from lib.errors import CandorError
from lib.jobs.answer_tree import Node
from lib.jobs.job import Job
from lib.store.job_runs import restored, run_about, title_of
from lib.store.run import Answer, Run
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from lib.studies.exploration import ExplorePlan

_TOLD = "kept.told"
_SAVING = 5.0  # seconds to write what is not saved yet
_MAX_OTHERS = 50  # runs of other people in a tree, besides the visitor's own

log = logging.getLogger(__name__)


def keep(page: str, job: Job[Any], parent: str = "") -> None:
    """Save a job as a run from now on, including its partial results."""
    if (follows := services().store.writer) is not None:
        job.kept = True
        follows.follow(job, run_about(job, page, owner=job.owner, version=VERSION, parent=parent))


def is_mine(job: Job[Any]) -> bool:
    """Whether the visitor may stop, change or remove the job."""
    return visitor().owns(job.owner)


def find(run_id: str | None) -> Job[Any] | None:
    """The job with that id; None if the visitor may not see any such job."""
    return services().jobs.find(run_id, visitor(), _is_shared)


def stop(job: Job[Any]) -> None:
    """Stop a job if it is the visitor's own."""
    if is_mine(job):
        job.cancel()


def _is_shared(run_id: str) -> bool:
    try:
        found = None if (store := services().store.runs()) is None else store.known(run_id)
    except CandorError:
        return False
    return found is not None and found.shared and not found.removed


def reopen(run_id: str) -> Job[Any] | None:
    """Load the run a link names as a job in a new tree; None if the visitor may not see it.

    The tree holds the run's ancestors and, of its other relatives, the runs that the visitor's own history lists.
    """
    store, who = services().store.runs(), visitor()
    if store is None:
        return None
    try:
        family = {run.id: run for run in store.family(run_id, by=who)}
        line = _line(run_id, family)
        own = {run.id for run in family.values() if who.owns(run.owner)}
        own |= {run.id for run in family.values() if run.id in line and who.opens(run.owner, shared=run.shared)}
        others = [each for each, run in family.items() if each not in own and who.lists(run.owner, shared=run.shared)]
        shown = own | set(others[:_MAX_OTHERS])
        here = {each: store.open(each) for each in family if each in shown}
    except CandorError as error:
        log.warning("run %s cannot be opened: %s", run_id[:6], error.cause)
        return None
    if here.get(run_id) is None:
        return None
    tree = services().trees.new(who)
    made: dict[str, Node] = {}
    for run_id_, opened in here.items():
        if opened is not None:
            made[run_id_] = _node(*opened, made)
            tree.add(made[run_id_])
    return made[run_id].job


def _line(run_id: str, family: Mapping[str, Run]) -> set[str]:
    """The ids of a run and its ancestors."""
    line: set[str] = set()
    while run_id in family and run_id not in line:
        line.add(run_id)
        run_id = family[run_id].parent
    return line


def _node(run: Run, answers: tuple[Answer, ...], made: dict[str, Node]) -> Node:
    before = made[run.parent].completion if run.parent in made else None
    job: Job[Any] = services().jobs.restore(run.id, owner=run.owner, **restored(run, answers, before))
    job.kept = True
    fork = job.plan.call.fork if isinstance(job.plan, ExplorePlan) else None
    node = Node(run.id, job, run.parent if run.parent in made else "", fork)
    node.name = "" if run.title == title_of(job.plan) else run.title
    return node


def keeping(job: Job[Any], *, what: str = "") -> None:
    """Show whether the job is saved, and a button to change that. what: its name, if the page shows several jobs."""
    store, follows = services().store.runs(), services().store.writer
    if store is None or follows is None or not job.kept or not is_mine(job):
        return
    if (lost := follows.given_up(visitor()).get(job.id)) is not None:
        show_error(lost)
        return
    key = f"kept.not.{job.id}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.session_state.get(key):
            state = f"{as_text(what)} is not saved" if what else "Not saved"
            st.caption(f"{state}; it will be lost when you close this page.", width="content")
            st.button("Save to history", key=f"kept.back.{job.id}", type="tertiary", on_click=_back, args=(job,))
        else:
            st.caption(f"{as_text(what)} is saved to history." if what else "Saved to history.", width="content")
            st.button(
                "Remove from history", key=f"kept.forget.{job.id}", type="tertiary",
                on_click=_forget, args=(job, follows),
            )  # fmt: skip


def _forget(job: Job[Any], follows: RunWriter) -> None:
    def forget(_: Runs) -> None:
        follows.forget(job.id, visitor())
        st.session_state[f"kept.not.{job.id}"] = True

    _change(forget)


def _back(job: Job[Any]) -> None:
    def put_back(store: Runs) -> None:
        store.put_back([job.id], by=visitor())
        st.session_state.pop(f"kept.not.{job.id}", None)

    _change(put_back)


def detail_of(run_id: str, name: str) -> Any:
    """A detail of a saved run that was set later; None if there is none, or if the visitor may not open the run."""
    if (store := services().store.runs()) is None:
        return None
    try:
        run = store.get(run_id)
    except CandorError:
        return None
    opens = run is not None and visitor().opens(run.owner, shared=run.shared)
    return run.details.get(name) if run is not None and opens else None


def set_detail(run_id: str, name: str, value: Any) -> None:
    """Save a detail of the visitor's run that is over, once all of it is written."""
    follows = services().store.writer
    if follows is not None and follows.waiting(run_id):
        follows.flush(_SAVING)
    _change(lambda store: store.set_detail(run_id, name, value, by=visitor()))


def named(node: Node) -> None:
    """Give the run of a renamed answer the same name, if it is the visitor's."""
    title = node.name or title_of(node.job.plan)
    _change(lambda store: store.change([node.id], title=title, by=visitor()))


def taken_out(nodes: tuple[Node, ...]) -> None:
    """Remove the visitor's runs among answers that left the tree."""
    _change(lambda store: store.remove([node.id for node in nodes], by=visitor()))


def brought_back(nodes: tuple[Node, ...]) -> None:
    """Restore the visitor's runs among answers that returned to the tree."""
    _change(lambda store: store.put_back([node.id for node in nodes], by=visitor()))


def _change(what: Callable[[Runs], object]) -> None:
    """Pass a change to the store. If it cannot be written, say so and carry on."""
    if (store := services().store.runs()) is None:
        return
    try:
        what(store)
    except CandorError as error:
        _toast(error)


def _toast(error: CandorError) -> None:
    st.toast(in_markdown(error), icon=":material/error:", duration="long")


def tell_if_nothing_is_kept() -> None:
    """Tell the visitor once when saving fails, once when it works again, and of each run that could not be saved."""
    follows = services().store.writer
    for run_id, error in {} if follows is None else follows.given_up(visitor()).items():
        if not st.session_state.get(key := f"kept.lost.{run_id}"):
            st.session_state[key] = True
            _toast(error)
    problem = None if follows is None else follows.problem
    told = st.session_state.get(_TOLD)
    if problem is not None and not told:
        st.session_state[_TOLD] = True
        _toast(problem)
    elif problem is None and told:
        st.session_state.pop(_TOLD)
        st.toast("Runs are being saved again.", icon=":material/check:")
