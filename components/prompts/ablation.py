"""What helped: how likely an answer is after each prompt, and what each sentence of its own prompt contributes."""

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
from lib.studies.ablation import Helped, helped, usefulness

_PAGE = "prompts"
_SHOWN = 70  # characters of an answer in the list
_FALL = "Drop without it (nats)"


def what_helped(job: Job[Any] | None) -> None:
    """Offer the ablation of one answer of a finished comparison, and show its result below."""
    if job is None or not job.over or not isinstance(job.subject, Several) or job.subject.marks:
        return
    several, many = job.subject, job.result
    if not isinstance(many, Many):
        return
    answers = {
        place: each.result
        for place, each in enumerate(many.outcomes)
        if each.result is not None and each.result.text.strip()
    }
    if not answers:
        return
    st.subheader("What helped?")
    first = several.questions[0]
    if not limits_of(first.source, chat=bool(first.request.messages), ask=False).given_scores:
        st.caption("This model doesn't return prompt logprobs, so it can't score text you supply.")
        return
    st.caption(
        "Scores one answer after each prompt, and after its own prompt with one sentence left out at a time. Nothing "
        "new is generated."
    )
    _choose_and_start(job, several, answers)
    beside = find(st.session_state.get(f"{_PAGE}.beside"))
    if beside is not None and st.session_state.get(f"{_PAGE}.beside_of") == job.id:
        show_helped(beside)
        if beside.over:
            keeping(beside, what="What helped")


def _choose_and_start(job: Job[Any], several: Several, answers: dict[int, Completion]) -> None:
    """answers: by their place in the job."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        place = st.selectbox(
            "Answer", list(answers), key="prompts.helped.answer",
            format_func=lambda at: f"Prompt {several.places[at] + 1}: {formatting.beginning(answers[at].text, _SHOWN)}",
        )  # fmt: skip
        plan = usefulness(_PAGE, several.questions, several.places[place], answers[place].text)
        pressed = st.button("Analyze", icon=":material/troubleshoot:", key="prompts.helped.go")
        st.caption(budget(plan), width="content")
    if pressed:
        error = start_beside(_PAGE, plan, job)
        if error is not None:
            show_error(error)


def show_helped(job: Job[Any]) -> None:
    """Show the ablation's progress, then its result."""
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
    """Show what each sentence of the answer's own prompt contributes."""
    own, prompt = found.own + 1, found.prompts[found.own]
    if not found.parts:
        st.caption(f"Prompt {own} has only one sentence, so there is nothing to leave out.")
        return
    st.markdown(f"**How much each sentence of prompt {own} helps its answer**")
    ends = [0, *(part.end for part in found.parts)]
    starts = [*(part.start for part in found.parts), len(prompt)]
    difference_map(
        [prompt[part.start : part.end] for part in found.parts], found.logprob_drops, key="prompts.helped.parts",
        around=[prompt[end:start] for end, start in zip(ends, starts, strict=True)],
        ends=("more likely without it", "helps"), label="How much each sentence of the prompt helps the answer",
    )  # fmt: skip
    sentences = [formatting.visible(prompt[part.start : part.end]).replace("·", " ") for part in found.parts]
    st.dataframe(
        pd.DataFrame({"Sentence": sentences, _FALL: found.logprob_drops}).sort_values(_FALL, ascending=False),
        hide_index=True,
        column_config={
            _FALL: st.column_config.NumberColumn(
                format="%.3f", help="How much the answer's log-probability drops when this sentence is left out."
            )
        },
    )


def _prompts(found: Helped) -> None:
    """Compare the answer after its own prompt with the answer after each of the others."""
    own = found.by_prompt[found.own]
    if own is None:
        return
    for number, other in enumerate(found.by_prompt):
        if number == found.own or other is None:
            continue
        spans = aligned(other.generated, own.generated)
        st.markdown(
            f"**The answer after prompt {found.own + 1}, compared with prompt {number + 1}:** "
            f"{as_text(formatting.signed(float(spans.differences.sum()), 3))} nats"
        )
        difference_map(
            spans.texts, spans.differences, around=spans.around, key=f"prompts.helped.{number}",
            ends=(f"more likely after prompt {number + 1}", f"after prompt {found.own + 1}"),
            label="The answer, shaded by which of two prompts makes each part more likely",
        )  # fmt: skip
