"""Several samples for one prompt: progress, failures, and which sample to look at."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from components.jobs.current_job import ask_rest
from components.jobs.progress import stop_button
from components.shell.escaping import as_text
from components.shell.messages import as_shown, show_error
from lib import formatting
from lib.core.completion import Completion
from lib.jobs.batch import Many, State
from lib.jobs.job import Job
from lib.jobs.run import Question

_PAGE = "explore"
_LABEL_LENGTH = 60  # characters of an answer in the list of samples


def many_answers(job: Job[Any], many: Many[Completion], *, live: bool) -> Completion | None:
    """Show the batch's progress and failures; return the sample to look at, None if there is nothing to show."""
    _progress(job, many, live=live)
    if many.cap is not None:
        show_error(many.cap)
    _failed(many)
    if not live:
        _rest(job, many)
    job.seen = job.over
    return _chosen(job, many)


def _progress(job: Job[Any], many: Many[Completion], *, live: bool) -> None:
    total, done, failed = len(many.outcomes), many.count(State.DONE), many.count(State.FAILED)
    left = many.count(State.NOT_STARTED)
    words = [f"{done:,} of {formatting.count(total, 'answer')} done"]
    words += [f"{failed:,} failed"] * bool(failed) + [f"{left:,} not started"] * bool(left)
    if not live:
        st.caption(" · ".join([*words, f"in {formatting.seconds(many.seconds)}"]))
        return
    if many.seconds_left is not None:
        words.append(f"about {formatting.seconds(many.seconds_left)} left")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress((done + failed) / total, text=" · ".join(words))
        stop_button(job)
    waiting = next((each.note for each in many.outcomes if each.state is State.RUNNING and each.note), "")
    st.caption(as_text(f"{job.note}: {waiting}" if waiting else job.note))


def _failed(many: Many[Completion]) -> None:
    rows = [
        {"Answer": place + 1, "What happened": as_shown(each.error.cause), "What to do": as_shown(each.error.remedy)}
        for place, each in enumerate(many.outcomes)
        if each.error is not None
    ]
    if rows:
        with st.expander(f"Why {len(rows):,} failed", icon=":material/error:"):
            st.dataframe(pd.DataFrame(rows), hide_index=True)


def _rest(job: Job[Any], many: Many[Completion]) -> None:
    """Offer to retry the answers that failed or were never started."""
    missing = many.count(State.FAILED, State.NOT_STARTED)
    if missing and isinstance(job.subject, Question):
        question = job.subject
        label = f"Retry the {missing:,} missing" if missing > 1 else "Retry the missing one"

        def ask() -> None:
            st.session_state["many.problem"] = ask_rest(_PAGE, job, question, many)

        st.button(label, key=f"rest.{job.id}", icon=":material/replay:", on_click=ask)
    if (problem := st.session_state.pop("many.problem", None)) is not None:
        show_error(problem)


def _chosen(job: Job[Any], many: Many[Completion]) -> Completion | None:
    here = [place for place, each in enumerate(many.outcomes) if isinstance(each.result, Completion)]
    if not here:
        return None
    place = st.selectbox(
        "Show answer", here, format_func=lambda place: _named(place, many), key=f"many.which.{id(job.subject)}"
    )
    return many.outcomes[place].result


def _named(place: int, many: Many[Completion]) -> str:
    outcome = many.outcomes[place]
    text = formatting.visible(outcome.result.text[:_LABEL_LENGTH]) if outcome.result is not None else ""
    return f"{place + 1}: {text or '(empty)'}{'' if outcome.state is State.DONE else ' (incomplete)'}"
