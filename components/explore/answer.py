"""A completion in full: the map first, then its scores, then details in expanders. Grows while streaming."""

from __future__ import annotations

import streamlit as st

from components.charts import logprob_by_position
from components.explore.answer_tree import all_answers, answer_tree, name_of
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
_POLL = 0.1  # seconds between two looks at a running job


def show_answer(job: Job[Answers] | None) -> None:
    """Show the job's completion as far as it has come; without a job, what will appear here."""
    if job is None:
        st.caption(
            "Your prompt and the answer appear here, each token shaded by how confident the model was. "
            "Pick an example above, or type a prompt and press Generate."
        )
        return
    tree, node = tree_of(_PAGE), in_tree(_PAGE, job)
    with st.container():  # also there while the answer grows, so that the map does not move
        beside = answer_tree(tree, node) if job.over else None
    repeated(show_completion, None if job.over else _POLL)(job, tree.get(node), beside, live=not job.over)


def show_completion(job: Job[Answers], own: Node | None, beside: Node | None, *, live: bool) -> None:
    """Show the answer of node `own`, and `beside` next to it. live: whether the job is still running."""
    # Everything below belongs to this fragment: whatever follows a fragment on a timer may vanish.
    if live and job.over:
        st.rerun()
    # The progress has its own container, so that the map does not move when it disappears.
    with st.container():
        done = _completion(job, live=live)
    if done is None or own is None:
        return
    job.seen = job.over
    view = _view(done)
    with st.container():
        # A fragment of its own: a pin does not redraw the charts and tables.
        if beside is not None and beside.completion is not None:
            st.fragment(_side_by_side)((name_of(own), view), (name_of(beside), TokenMapView(beside.completion)))
        else:
            st.fragment(_map)(job, view, live=live)
    if not live:
        _below_the_map(job, view)


def _below_the_map(job: Job[Answers], view: TokenMapView) -> None:
    """Scores, then charts, tables and files of a finished answer."""
    done = view.completion
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
    show_call(done, getattr(job.subject, "source", None))
    downloads(done)
    keeping(job)


def _completion(job: Job[Answers], *, live: bool) -> Completion | None:
    """Show the job's progress and errors; return the completion to look at, None if there is nothing to show."""
    if live:
        if not isinstance(job.partial, Many):
            job_progress(job)
        # Show new tokens at once instead of with the next poll.
        of, version = st.session_state.get("answer.seen", ("", 0))
        version = job.wait_for_news(version if of == job.id else 0, _POLL)
        st.session_state["answer.seen"] = (job.id, version)
    elif job.error is not None:
        show_error(job.error)
    done = job.result or job.partial
    if isinstance(done, Many):
        return many_answers(job, done, live=live)
    if done is None and not live and job.error is None:
        st.info("Stopped before the first token.", icon=":material/block:")
    return _one_of(done, job.id) if isinstance(done, tuple) else done


def _map(job: Job[Answers], view: TokenMapView, *, live: bool) -> None:
    """The map, with the details of the pinned token beside it."""
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        pinned = token_map(view, key="explore.map", live=live)
    with right, st.container(key="detail"):
        token_detail(view, pinned)
        if not live:
            branch_here(job, view, pinned)
            what_if_here(view, pinned)


def _side_by_side(*answers: tuple[str, TokenMapView]) -> None:
    """Two maps on the same scale, each with the details of its own pinned token."""
    for place, (column, (name, view)) in enumerate(zip(st.columns(2, gap="medium"), answers, strict=True)):
        with column:
            st.markdown(bold(name))
            map_with_pin(view, key=f"explore.beside.{place}", beside="explore.beside")


def _one_of(several: tuple[Completion, ...], key: str) -> Completion:
    """Choose which of the answers in a file to show."""
    if len(several) == 1:
        return several[0]
    number = st.selectbox(
        f"Show answer ({len(several):,} in the file)",
        range(len(several)),
        format_func=lambda place: f"{place + 1}: {formatting.visible(several[place].text[:80]) or '(empty)'}",
        key=f"saved.which.{key}",
    )
    return several[number]


def _view(done: Completion) -> TokenMapView:
    """The view of a completion, cached between reruns."""
    kept: tuple[Completion, TokenMapView] | None = st.session_state.get("answer.view")
    if kept is None or kept[0] is not done:
        kept = st.session_state["answer.view"] = (done, TokenMapView(done))
    return kept[1]
