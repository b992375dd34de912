"""One completion in full: the map first, then its numbers, details folded away. Grows while it is being written."""

from __future__ import annotations

import streamlit as st

from components.charts import logprob_by_position
from components.explore.answer_tree import all_answers, answer_tree, said_of
from components.explore.branch import branch_here
from components.explore.downloads import downloads
from components.explore.resampling import what_if, what_if_here
from components.explore.snippet import show_call
from components.explore.summary import summary
from components.explore.token_table import token_table
from components.jobs.batch_progress import many_answers
from components.jobs.current_job import Answers, in_tree, tree_of
from components.jobs.history_sync import keeping
from components.jobs.progress import job_progress
from components.shell.escaping import bold
from components.shell.fragments import repeated
from components.shell.messages import show_error, show_text_itself, show_warnings
from components.token_map import token_map
from components.token_map.details import token_detail
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.core.completion import Completion
from lib.display.token_map_view import TokenMapView
from lib.jobs.answer_tree import Node
from lib.jobs.batch import Many
from lib.jobs.job import Job

_PAGE = "explore"
_POLL = 0.1  # seconds between two looks at a job that is at work


def show_answer(job: Job[Answers] | None) -> None:
    """The job's completion as far as it has come; without a job, what will stand here."""
    if job is None:
        st.caption(
            "Your text and the model's answer will stand here, every token tinted by how sure the model was of it."
        )
        return
    tree, node = tree_of(_PAGE), in_tree(_PAGE, job)
    with st.container():  # there while the answer grows, too, so that the map keeps its place
        beside = answer_tree(tree, node) if job.over else None
    repeated(_show, None if job.over else _POLL)(job, tree.get(node), beside, live=not job.over)


def _show(job: Job[Answers], own: Node | None, beside: Node | None, *, live: bool) -> None:
    # Everything below belongs to this fragment: what follows a fragment that reruns by itself may vanish.
    if live and job.over:
        st.rerun()
    # What comes and goes with the progress stands in a place of its own, so that the map keeps its place.
    with st.container():
        done = _what_came(job, live=live)
    if done is None or own is None:
        return
    job.seen = job.over
    source = getattr(job.subject, "source", None)
    view = _view(done)
    with st.container():
        # On its own, so that a pin does not have the charts and tables made again.
        if beside is not None and beside.completion is not None:
            st.fragment(_side_by_side)((said_of(own), view), (said_of(beside), TokenMapView(beside.completion)))
        else:
            st.fragment(_map)(job, view, live=live)
    if live:
        return
    show_warnings(done.warnings)
    show_text_itself(done)
    summary(view)
    with st.expander("Logprob by position", icon=":material/show_chart:", expanded=True):
        logprob_by_position(done)
    with st.expander("What if it were sampled?", icon=":material/casino:"):
        st.fragment(what_if)(view)
    with st.expander("All tokens", icon=":material/table_rows:"):
        token_table(done)
    all_answers(tree_of(_PAGE))
    show_call(done, source)
    downloads(done)
    keeping(job)


def _what_came(job: Job[Answers], *, live: bool) -> Completion | None:
    """How far the job has come, and the completion to look at, if there is one yet."""
    if live:
        if not isinstance(job.partial, Many):
            job_progress(job)
        # What comes in this moment shows at once, and not only when somebody looks the next time.
        of, version = st.session_state.get("answer.seen", ("", 0))
        version = job.wait_for_news(version if of == job.id else 0, _POLL)
        st.session_state["answer.seen"] = (job.id, version)
    elif job.error is not None:
        show_error(job.error)
    done = job.result or job.partial
    if isinstance(done, Many):
        return many_answers(job, done, live=live)
    if done is None and not live and job.error is None:
        st.info("Cancelled before anything had come.", icon=":material/block:")
    return _one_of(done, job.id) if isinstance(done, tuple) else done


def _map(job: Job[Answers], view: TokenMapView, *, live: bool) -> None:
    """The map, and beside it everything about the token that is pinned."""
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        pinned = token_map(view, key="explore.map", live=live)
    with right, st.container(key="detail"):
        token_detail(view, pinned)
        if not live:
            branch_here(job, view, pinned)
            what_if_here(view, pinned)


def _side_by_side(*answers: tuple[str, TokenMapView]) -> None:
    """Two maps on the same scale, each with the details of the token that is pinned in it."""
    for place, (column, (name, view)) in enumerate(zip(st.columns(2, gap="medium"), answers, strict=True)):
        with column:
            st.markdown(bold(name))
            map_with_pin(view, key=f"explore.beside.{place}", beside="explore.beside")


def _one_of(several: tuple[Completion, ...], key: str) -> Completion:
    """The one to look at, of the responses in a file."""
    if len(several) == 1:
        return several[0]
    number = st.selectbox(
        f"{len(several):,} answers in the file",
        range(len(several)),
        format_func=lambda place: f"{place + 1}: {formatting.visible(several[place].text[:80]) or '(empty)'}",
        key=f"saved.which.{key}",
    )
    return several[number]


def _view(done: Completion) -> TokenMapView:
    """The view of a completion, kept from one run to the next."""
    kept: tuple[Completion, TokenMapView] | None = st.session_state.get("answer.view")
    if kept is None or kept[0] is not done:
        kept = st.session_state["answer.view"] = (done, TokenMapView(done))
    return kept[1]
