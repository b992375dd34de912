"""The full distribution over a fixed set of labels: read off the answer at once, or scored label by label."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from components.doubts.looks import source_of
from components.jobs.beside import ask_beside
from components.jobs.current_job import Run, job_beside
from components.jobs.form import lines
from components.jobs.job_view import JobView
from components.pickers.capabilities import limits_of
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.core.completion import Completion
from lib.core.request import Mode, mode_of
from lib.doubts.choices import Distribution, from_answer
from lib.errors import InvalidRequest
from lib.segmentation.char_classes import marked
from lib.studies.label_choices import LabelsPlan, distribution_of

_PLACE = "labels"
_VIEW = JobView(
    "doubts.labels", lambda *_: None, "The scoring of labels", answer_name=lambda _, place: f"Label {place + 1}"
)
_NEUTRAL = {Mode.CHAT: "Answer.", Mode.RAW: "Answer:"}


def label_choices(job: Run, done: Completion) -> None:
    """Show the labels' distribution, once there are labels."""
    with st.expander("Choices", icon=":material/ballot:"):
        st.caption(
            "If an answer is one of a few labels, this shows the probability of each, not only of the chosen one."
        )
        typed = st.text_area(
            "Labels, one per line", key="doubts.labels.typed", persist_state="session", height=90,
            placeholder="positive\nnegative\nneutral",
        )  # fmt: skip
        labels = tuple(each.strip() for each in lines(typed or "") if each.strip())
        if not labels:
            return
        try:
            read = from_answer(done, labels)
        except InvalidRequest as error:
            show_error(error)
            return
        st.markdown("**From the answer's own alternatives**")
        _shown(read, scored=False)
        _scored(job, done, labels)


def _scored(job: Run, done: Completion, labels: tuple[str, ...]) -> None:
    """Offer to score every label in full, and show the outcome."""
    source, request = source_of(job), done.request
    if source is None or request is None:
        return
    mode = mode_of(request)
    if not limits_of(source, chat=mode is Mode.CHAT, ask=False).can.scores_candidates:
        st.caption("This model doesn't return prompt logprobs, so it can't score labels one by one.")
        return
    corrected = st.checkbox(
        "Correct for how common each label is", key="doubts.labels.prior", persist_state="session",
        help="Divides by the label's probability after a prompt without a question.",
    )  # fmt: skip
    plan = LabelsPlan(source, request, labels, _NEUTRAL[mode] if corrected else "", "" if mode is Mode.CHAT else "\n")
    ask_beside("doubts", plan, job, _PLACE, label="Score each label", icon=":material/ballot:")
    beside = job_beside("doubts", job, _PLACE)
    if beside is None or beside.plan != plan:
        return
    _VIEW.show(beside)
    if beside.over and beside.result is not None and (found := distribution_of(plan, beside.result)) is not None:
        st.markdown("**Each label scored in full**")
        _shown(found, scored=True)


def _shown(found: Distribution, *, scored: bool) -> None:
    rows: list[dict[str, Any]] = []
    for each in found.rows:
        row = {"Label": marked(each.label), "Probability": _percent(each.probability), "Logprob": _nats(each.logprob)}
        if scored and not all(math.isnan(one.prior) for one in found.rows):
            row |= {"Prior": _percent(each.prior), "Corrected": _percent(each.corrected)}
        if scored:
            row |= {"Per token": _percent(each.by_token), "Per character": _percent(each.by_character)}
        rows.append(row)
    if not scored:
        rows += [
            {"Label": "(undecided)", "Probability": _percent(found.undecided), "Logprob": ""},
            {"Label": "(others)", "Probability": _percent(found.others), "Logprob": ""},
        ]
    st.dataframe(rows, hide_index=True)
    if not scored:
        st.caption(
            "Undecided: alternatives that do not tell the labels apart. Others: alternatives that lead to no label, "
            "and tokens that are not listed. ?: no listed alternative leads to the label."
        )
    for note in found.notes:
        st.caption(as_text(note))


def _percent(value: float) -> str:
    return "?" if math.isnan(value) else formatting.percent(value)


def _nats(value: float) -> str:
    return "?" if math.isnan(value) else formatting.nats(value)
