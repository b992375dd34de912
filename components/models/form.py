"""A text, and the two models that read it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.jobs.estimate import budget
from components.pickers.capabilities import limits_of
from components.pickers.model_label import model_name
from components.shell.escaping import as_text, bold
from lib.core.request import Request
from lib.core.sources import EMBEDDED, Source
from lib.errors import CandorError, InvalidRequest
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.jobs.run import Question

_EXAMPLE = (
    "The capital of France is Paris, and the capital of Australia is Canberra. "
    "Strike while the iron is hot, they say; a stitch in time saves nine."
)
_SLOTS = {"first": "First model, such as the base", "second": "Second model, such as the tuned one"}


def models_form(source: Source) -> tuple[Question, ...] | CandorError | None:
    """The questions when Compare was pressed, or why they cannot be asked. What was typed stays.

    source: the model in the sidebar.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Try", width="content")
        st.button(
            "Sayings and capitals", key="models.example", type="tertiary",
            on_click=lambda: st.session_state.update({"models.text": _EXAMPLE}),
        )  # fmt: skip
    st.text_area(
        "Text", key="models.text", persist_state="session", height=120, placeholder="What both models are to read"
    )
    for (slot, label), column in zip(_SLOTS.items(), st.columns(2, gap="medium"), strict=True):
        with column:
            _slot(slot, label, source)
    asked = _questions()
    refusals = [_refusal(st.session_state[f"models.{slot}"]) for slot in _SLOTS]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Compare", type="primary", icon=":material/compare_arrows:", key="models.go", disabled=any(refusals)
        )
        st.caption(budget(Several("models", asked)) if isinstance(asked, tuple) else "", width="content")
    for refusal in filter(None, dict.fromkeys(refusals)):
        st.caption(as_text(refusal))
    return asked if pressed else None


def restore(job: Job[Any] | None) -> None:
    """Fill the form with what was asked before, unless something has been typed already."""
    if job is None or not isinstance(job.subject, Several) or "models.text" in st.session_state:
        return
    st.session_state["models.text"] = job.subject.questions[0].request.prompt
    for slot, question in zip(_SLOTS, job.subject.questions, strict=False):
        st.session_state[f"models.{slot}"] = question.source


def _refusal(source: Source) -> str:
    """Why a model cannot read a text here, "" where it can or that is not known."""
    limits = limits_of(source, chat=False)
    if limits.refusal or limits.prompt_scores:
        return limits.refusal and f"{model_name(source)}: {limits.refusal}"
    return (
        f"{model_name(source)} returns no scores of what it reads, which this page compares. "
        "What it writes can be explored, ranked and compared by prompt."
    )


def _slot(slot: str, label: str, source: Source) -> None:
    key = f"models.{slot}"
    st.session_state.setdefault(key, EMBEDDED if slot == "first" else "")
    held: Source = st.session_state[key]
    st.markdown(f"{label}  \n{bold(model_name(held) if held else 'none yet')}")

    def take() -> None:
        st.session_state[key] = source

    st.button(
        "Take the one in the sidebar", key=f"{key}.take", icon=":material/arrow_back:", type="tertiary",
        disabled=not source or source == held, on_click=take,
    )  # fmt: skip


def _questions() -> tuple[Question, ...] | CandorError:
    text = st.session_state.get("models.text") or ""
    sources: list[Source] = [st.session_state[f"models.{slot}"] for slot in _SLOTS]
    try:
        if not all(sources):
            raise InvalidRequest("A model is missing.", "Choose one in the sidebar, and take it over.")
        if sources[0] == sources[1]:
            raise InvalidRequest("Both models are the same.", "Choose another one in the sidebar, and take it over.")
        request = Request(prompt=text, max_tokens=0, k=5)
    except CandorError as error:
        return error
    return tuple(Question(source, request) for source in sources)
