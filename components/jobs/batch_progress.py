"""Many answers to one question: how far they have come, which of them failed and why, and which one to look at."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from components.jobs.current_job import ask_rest
from components.jobs.history_sync import is_mine, stop
from components.shell.escaping import as_text
from components.shell.messages import as_shown, show_error
from lib import formatting
from lib.core.completion import Completion
from lib.jobs.batch import Many, State
from lib.jobs.job import Job
from lib.jobs.run import Question

_PAGE = "explore"
_SHOWN = 60  # characters of an answer in the list of all


def many_answers(job: Job[Any], many: Many[Completion], *, live: bool) -> Completion | None:
    """Show how things stand; returns the answer that was chosen to be looked at, None while there is none."""
    _standing(job, many, live=live)
    if many.cap is not None:
        show_error(many.cap)
    _failed(many)
    if not live:
        _rest(job, many)
    job.seen = job.over
    return _chosen(job, many)


def _standing(job: Job[Any], many: Many[Completion], *, live: bool) -> None:
    total, done, failed = len(many.outcomes), many.count(State.DONE), many.count(State.FAILED)
    left = many.count(State.NOT_STARTED)
    words = [f"{done:,} of {formatting.count(total, 'answer')} here"]
    words += [f"{failed:,} failed"] * bool(failed) + [f"{left:,} not begun"] * bool(left)
    if not live:
        st.caption(" · ".join([*words, f"in {formatting.seconds(many.seconds)}"]))
        return
    if many.seconds_left is not None:
        words.append(f"about {formatting.seconds(many.seconds_left)} left")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.progress((done + failed) / total, text=" · ".join(words))
        label = "Drop what is under way" if job.cancelled else "Stop"
        if is_mine(job):
            st.button(
                label,
                key=f"stop.{job.id}.{job.cancelled}",
                on_click=stop,
                args=(job,),
                disabled=job.force_stopped,
                icon=":material/stop:",
            )
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
    missing = many.count(State.FAILED, State.NOT_STARTED)
    if missing and isinstance(job.subject, Question):
        question = job.subject
        label = f"Ask for the {missing:,} missing" if missing > 1 else "Ask for the missing one"

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
        "Look at", here, format_func=lambda place: _named(place, many), key=f"many.which.{id(job.subject)}"
    )
    return many.outcomes[place].result


def _named(place: int, many: Many[Completion]) -> str:
    outcome = many.outcomes[place]
    text = formatting.visible(outcome.result.text[:_SHOWN]) if outcome.result is not None else ""
    return f"{place + 1}: {text or '(empty)'}{'' if outcome.state is State.DONE else ' (broke off)'}"
