"""What helped an answer: how likely it is after each prompt, token by token, and what each part of its prompt does."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from components.difference_map import difference_map
from components.jobs.current_job import start_beside
from components.jobs.estimate import budget
from components.jobs.history_sync import find, keeping
from components.jobs.progress import when_done
from components.pickers.capabilities import limits_of
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.core.completion import Completion
from lib.jobs.batch import Many
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.scores.alignment import aligned
from lib.store.runs import beginning
from lib.studies.ablation import Helped, helped, usefulness

_PAGE = "prompts"
_SHOWN = 70  # characters of an answer in the list


def what_helped(job: Job[Any] | None) -> None:
    """Choose an answer and find out; below it what was found out. Only of a comparison that is over."""
    if job is None or not job.over or not isinstance(job.subject, Several) or job.subject.marks:
        return
    several, many = job.subject, job.result
    if not isinstance(many, Many):
        return
    came = {
        place: each.result
        for place, each in enumerate(many.outcomes)
        if each.result is not None and each.result.text.strip()
    }
    if not came:
        return
    st.subheader("What helped?")
    first = several.questions[0]
    if not limits_of(first.source, chat=bool(first.request.messages), ask=False).given_scores:
        st.caption("This needs scores of texts that are given, and the model returns none of what it reads.")
        return
    st.caption(
        "Takes one answer and asks how likely it is after each prompt, and after its own prompt without each of its "
        "sentences. Nothing is written anew."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        place = st.selectbox(
            "Answer", list(came), key="prompts.helped.answer",
            format_func=lambda at: f"{several.places[at] + 1}: {beginning(came[at].text, _SHOWN)}",
        )  # fmt: skip
        asks = usefulness(_PAGE, several.questions, several.places[place], came[place].text)
        pressed = st.button("Find out", icon=":material/troubleshoot:", key="prompts.helped.go")
        st.caption(budget(asks), width="content")
    if pressed:
        error = start_beside(_PAGE, asks, job)
        if error is not None:
            show_error(error)
    beside = find(st.session_state.get(f"{_PAGE}.beside"))
    if beside is not None and st.session_state.get(f"{_PAGE}.beside_of") == job.id:
        show_helped(beside)
        if beside.over:
            keeping(beside, what="What helped")


def show_helped(job: Job[Any]) -> None:
    """What was found out, once it is."""
    if isinstance(job.subject, Several):
        when_done(job, partial(_show, job.subject))


def _show(several: Several, many: Many[Completion]) -> None:
    for error in {str(each.error): each.error for each in many.outcomes if each.error is not None}.values():
        show_error(error)
    found = helped(several, many)
    if found is not None:
        _parts(found)
        _prompts(found)


def _parts(found: Helped) -> None:
    own, prompt = found.own + 1, found.prompts[found.own]
    if not found.parts:
        st.caption(f"Prompt {own} has one sentence only; there is nothing to leave out of it.")
        return
    st.markdown(f"**Prompt {own}, by what each sentence does for its answer**")
    ends = [0, *(part.end for part in found.parts)]
    starts = [*(part.start for part in found.parts), len(prompt)]
    difference_map(
        [prompt[part.start : part.end] for part in found.parts], found.falls, key="prompts.helped.parts",
        around=[prompt[end:start] for end, start in zip(ends, starts, strict=True)],
        less="likelier without it", more="helps", label="How much each sentence of the prompt helps the answer",
    )  # fmt: skip
    st.dataframe(
        pd.DataFrame(
            {
                "Sentence": [
                    formatting.visible(prompt[part.start : part.end]).replace("·", " ") for part in found.parts
                ],
                "Fall when it is left out (nats)": found.falls,
            }
        ).sort_values("Fall when it is left out (nats)", ascending=False),
        hide_index=True,
        column_config={"Fall when it is left out (nats)": st.column_config.NumberColumn(format="%.3f")},
    )


def _prompts(found: Helped) -> None:
    own = found.under[found.own]
    if own is None:
        return
    for number, other in enumerate(found.under):
        if number == found.own or other is None:
            continue
        spans = aligned(other.generated, own.generated)
        st.markdown(
            f"**The answer, after prompt {found.own + 1} and not after prompt {number + 1}:** "
            f"{as_text(formatting.signed(float(spans.differences.sum()), 3))} nats"
        )
        difference_map(
            spans.texts, spans.differences, around=spans.around, key=f"prompts.helped.{number}",
            less=f"likelier after prompt {number + 1}", more=f"after prompt {found.own + 1}",
            label="The answer, by how much likelier one of two prompts makes it",
        )  # fmt: skip
