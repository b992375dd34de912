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
from components.jobs.current_job import Run, in_tree, tree_of
from components.jobs.job_view import answer_label
from components.shell.escaping import bold
from components.shell.messages import show_text_itself, show_warnings
from components.shell.page_scripts import SCRIPTS
from components.token_map import growing_map, token_map
from components.token_map.details import token_detail
from components.token_map.feed import key_for, reachable
from components.token_map.with_details import map_with_pin
from lib.core.completion import Completion
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Batch
from lib.studies.exploration import ExplorePlan

_PAGE = "explore"
_JOINED = "explore.joined"  # the job that has last joined the tree while it ran
_MAP, _COLUMNS = "explore.map", (2.4, 1.0)  # the map, and the details of the pinned token


def show_answers(job: Run, batch: Batch) -> None:
    """Show the job's answer as far as it has come, or the chosen one of several, and another one beside it."""
    live = not job.over
    own, beside = None, None
    with st.container():  # also there while the answer grows, so that the map does not move
        if not live:
            tree = tree_of(_PAGE)
            own = tree.get(in_tree(_PAGE, job))
            beside = None if own is None else answer_tree(tree, own.id)
        elif st.session_state.get(_JOINED) != job.id:  # once, as this may run again and again
            in_tree(_PAGE, job)
            st.session_state[_JOINED] = job.id
    fed = live and reachable()
    done = None if fed else _chosen(job, batch)
    if done is None and not fed:
        return
    view = None if done is None else _view(done)
    with st.container():
        # A fragment of its own: a pin does not redraw the charts and tables.
        if view is not None and own is not None and beside is not None and beside.completion is not None:
            st.fragment(_side_by_side)((name_of(own), view), (name_of(beside), TokenMapView(beside.completion)))
        else:
            st.fragment(_map)(job, view, live=live)
    if not live and view is not None:
        _below_the_map(job, view)


def _chosen(job: Run, batch: Batch) -> Completion | None:
    """Choose which of several answers to look at."""
    here = [place for place, each in enumerate(batch.outcomes) if each.completion is not None]
    if len(batch.outcomes) < 2:
        return batch.outcomes[here[0]].completion if here else None
    place = st.selectbox(
        f"Show answer ({len(here):,} in the file)" if job.plan is None else "Show answer",
        here, format_func=lambda place: answer_label(place, batch), key=f"explore.which.{job.id}",
    )  # fmt: skip
    return batch.outcomes[place].completion if place in here else None


def _below_the_map(job: Run, view: TokenMapView) -> None:
    """Scores, then charts, tables and files of a finished answer."""
    done = view.completion
    show_warnings(done.warnings)
    show_text_itself(done)
    summary(view)
    _to_doubts(job, view)
    with st.expander("Logprob by position", icon=":material/show_chart:", expanded=True):
        logprob_by_position(done)
    with st.expander("What if it were sampled?", icon=":material/casino:"):
        st.fragment(what_if)(view)
    with st.expander("All tokens", icon=":material/table_rows:"):
        token_table(done)
    all_answers(tree_of(_PAGE))
    show_call(done, job.plan.call.source if isinstance(job.plan, ExplorePlan) else None)
    downloads(done)


def _to_doubts(job: Run, view: TokenMapView) -> None:
    """Offer to read the answer for doubts."""
    if len(view.completion.generated) and st.button("Find doubtful words", icon=":material/flag:", type="tertiary"):
        st.session_state["doubts.job"] = job.id
        if (place := st.session_state.get(f"explore.which.{job.id}")) is not None:
            st.session_state[f"doubts.which.{job.id}"] = place
        st.switch_page(SCRIPTS["doubts"], query_params={"run": job.id})


def _map(job: Run, view: TokenMapView | None, *, live: bool) -> None:
    """The map, with the details of the pinned token beside it.

    The same function while the answer grows, so that a pin that is set at its end still finds its fragment.

    view: None while the browser keeps the map up to date by itself.
    """
    left, right = st.columns(_COLUMNS, gap="medium")
    with left:
        if view is not None:
            pinned = token_map(view, key=_MAP, live=live)
        else:
            view, pinned = growing_map(key_for(job), key=_MAP)
            if job.over or not reachable():
                st.rerun()
    if view is None:
        return
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


def _view(done: Completion) -> TokenMapView:
    """The view of a completion, cached between reruns."""
    kept: tuple[Completion, TokenMapView] | None = st.session_state.get("answer.view")
    if kept is None or kept[0] is not done:
        kept = st.session_state["answer.view"] = (done, TokenMapView(done))
    return kept[1]
