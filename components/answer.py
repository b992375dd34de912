"""One completion in full: the map first, then its numbers, details folded away. Grows while it is being written."""

from __future__ import annotations

import streamlit as st

from components.charts import logprob_by_position
from components.downloads import downloads
from components.many import many_answers
from components.notices import show_error, show_warnings
from components.progress import job_progress
from components.session import Answers
from components.show_call import show_call
from components.summary import summary
from components.token_detail import token_detail
from components.token_map import token_map
from components.token_table import token_table
from lib import formats
from lib.completion import Completion
from lib.jobs import Job
from lib.many import Many
from lib.view import View

_POLL = 0.25  # seconds between two looks at a job that is at work


def show_answer(job: Job[Answers] | None) -> None:
    """The job's completion as far as it has come; without a job, what will stand here."""
    if job is None:
        st.caption(
            "Your text and the model's answer will stand here, every token tinted by how sure the model was of it."
        )
        return
    st.fragment(_show, run_every=None if job.over else _POLL)(job, live=not job.over)


def _show(job: Job[Answers], *, live: bool) -> None:
    # Everything below belongs to this fragment: what follows a fragment that reruns by itself may vanish.
    if live and job.over:
        st.rerun()
    if live:
        if not isinstance(job.partial, Many):
            job_progress(job)
        job.wait_for_first(_POLL)  # so that it shows at once, and not only when somebody looks the next time
    elif job.error is not None:
        show_error(job.error)
    done = job.result or job.partial
    if isinstance(done, Many):
        done = many_answers(job, done, live=live)
        if done is None:
            return
    if done is None:
        if not live and job.error is None:
            st.info("Cancelled before anything had come.", icon=":material/block:")
        return
    job.seen = job.over
    if isinstance(done, tuple):
        done = _one_of(done, job.id)
    source = getattr(job.subject, "source", None)
    view = _view(done)
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        pinned = token_map(view, key="explore.map", live=live)
    with right, st.container(key="detail"):
        token_detail(view, pinned)
    if live:
        return
    show_warnings(done.warnings)
    summary(view)
    with st.expander("Logprob by position", icon=":material/show_chart:", expanded=True):
        logprob_by_position(done)
    with st.expander("All tokens", icon=":material/table_rows:"):
        token_table(done)
    show_call(done, source)
    downloads(done)


def _one_of(several: tuple[Completion, ...], key: str) -> Completion:
    """The one to look at, of the replies in a file."""
    if len(several) == 1:
        return several[0]
    number = st.selectbox(
        f"{len(several):,} answers in the file",
        range(len(several)),
        format_func=lambda place: f"{place + 1}: {formats.visible(several[place].text[:80]) or '(empty)'}",
        key=f"saved.which.{key}",
    )
    return several[number]


def _view(done: Completion) -> View:
    """The view of a completion, kept from one run to the next."""
    kept: tuple[Completion, View] | None = st.session_state.get("answer.view")
    if kept is None or kept[0] is not done:
        kept = st.session_state["answer.view"] = (done, View(done))
    return kept[1]
