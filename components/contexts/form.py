"""A question, its passages, and how they are scored."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from components.contexts.examples import EXAMPLES
from components.contexts.fitting import fit
from components.jobs.asking_page import Asked, planned
from components.jobs.form import AskButton, as_field, fill, lines, price_of, set_defaults, show_examples, untouched
from components.pickers.capabilities import Limits, limits_of
from components.shell.access import visitor
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.contexts.passages import MOST_BYTES, MOST_PASSAGES, Passages, as_rows, from_file, from_text
from lib.contexts.prompting import TEMPLATES, Order
from lib.contexts.scorings import BM25, DRAFT, GAIN, QUESTION, RETRIEVER, SCORINGS
from lib.core.request import Mode
from lib.core.sources import Source
from lib.errors import CandorError, InvalidRequest
from lib.jobs.plan import Plan
from lib.segmentation.char_classes import marked
from lib.studies.contexts import MOST_DRAFT_TOKENS, ContextsPlan
from lib.studies.contexts_window import cut_note

_PAGE = "contexts"
_READ = "contexts.read"  # what was read last, and what of
_BUTTON = AskButton(_PAGE, "Score passages", ":material/filter_list:")
_ENDINGS = ["json", "jsonl", "ndjson", "csv", "tsv", "parquet", "txt", "md"]
_FREE = (BM25, RETRIEVER)
_DEFAULTS: dict[str, Any] = {
    "question": "",
    "passages": "",
    "template": TEMPLATES[Order.PASSAGE_FIRST],
    "scorings": [QUESTION, DRAFT, BM25],
    "answer": "",
    "draft_tokens": ContextsPlan.draft_tokens,
    "max_tokens": ContextsPlan.max_tokens,
    "stop": r"\n",
}


def contexts_form(before: Plan | None, source: Source) -> Asked:
    """Show the form; return the plan once Score passages is pressed, or why it is invalid."""
    if isinstance(before, ContextsPlan) and untouched(_PAGE, "question"):
        fill(_PAGE, _values(before))
    set_defaults(_PAGE, _DEFAULTS)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        show_examples(_PAGE, EXAMPLES)
    limits = limits_of(source, chat=False)
    st.text_input(
        "Question", key="contexts.question", persist_state="session", placeholder="What the passages should answer"
    )
    found = _passages()
    _scorings(limits)
    plan = planned(lambda: fit(_plan(source, found, limits))) if found is not None else None
    if isinstance(plan, ContextsPlan) and (note := cut_note(plan)):
        st.caption(as_text(note))
    price = "" if plan is None else price_of(plan)
    pressed = _BUTTON.pressed(price, refusal=limits.refusal, disabled=found is None, more=_parameters)
    return _waited(plan) if pressed else None


def _waited(plan: ContextsPlan | CandorError | None) -> Asked:
    """The plan with its passages cut, for which the model may have to be loaded."""
    if not isinstance(plan, ContextsPlan):
        return plan
    try:
        return fit(plan, wait=True)
    except CandorError as error:
        return error


def _passages() -> Passages | None:
    """Show the fields for passages, and what was found in them; None without any, or if they cannot be read."""
    left, right = st.columns([2, 1], gap="medium")
    left.text_area(
        "Passages", key="contexts.passages", persist_state="session", height=170,
        placeholder="Paste passages, with a blank line or --- between them, or a retriever's JSON",
    )  # fmt: skip
    uploaded = right.file_uploader(
        "Or choose a file", type=_ENDINGS, key="contexts.file", max_upload_size=MOST_BYTES // 1_000_000
    )
    typed = st.session_state.get("contexts.passages") or ""
    if uploaded is None and not typed.strip():
        return None
    # A file is read once, not with every key and click: of Parquet, another process reads it.
    name = typed if uploaded is None else uploaded.file_id
    kept: tuple[str, Passages | CandorError] | None = st.session_state.get(_READ)
    if kept is None or kept[0] != name:
        kept = st.session_state[_READ] = (name, _read(typed, uploaded))
    if isinstance(kept[1], CandorError):
        show_error(kept[1])
        return None
    _preview(kept[1])
    return kept[1]


def _read(typed: str, uploaded: UploadedFile | None) -> Passages | CandorError:
    """What was typed or uploaded, or why it cannot be read."""
    try:
        if uploaded is None:
            return from_text(typed)
        data = uploaded.getvalue()
        visitor().check_size(len(data))
        return from_file(data, uploaded.name)
    except CandorError as error:
        return error


def _preview(found: Passages) -> None:
    for note in found.notes:
        st.caption(as_text(note))
    with st.expander(f"{formatting.count(len(found.passages), 'passage')}, at most {MOST_PASSAGES}"):
        rows = [{name: _cell(value) for name, value in row.items()} for row in as_rows(found.passages)]
        st.dataframe(rows, hide_index=True)


def _cell(value: Any) -> Any:
    return marked(formatting.beginning(value, 400)) if isinstance(value, str) else value


def _scorings(limits: Limits) -> None:
    names = [name for name in SCORINGS if limits.can.prompt_scores or name not in (QUESTION, GAIN)]
    chosen = st.session_state.get("contexts.scorings") or []
    if kept := [name for name in chosen if name in names]:
        st.session_state["contexts.scorings"] = kept
    else:
        st.session_state["contexts.scorings"] = [DRAFT]
    st.multiselect(
        "Score by", names, key="contexts.scorings", persist_state="session",
        format_func=lambda name: f"{SCORINGS[name].label}{' (free)' if name in _FREE else ''}",
        help="Question likelihood reads each passage and tells how likely the question is after it: no answer is "
        "generated. A draft is a short answer from each passage. Both together take one call per passage. Of 70 "
        "labelled questions that were held out, question likelihood had the right passage first in 91%, BM25 in 53%, "
        "drafts in 20%, on the embedded model: docs/contexts.md.",
    )  # fmt: skip
    if GAIN in (st.session_state.get("contexts.scorings") or []):
        st.text_input(
            "Answer to score", key="contexts.answer", persist_state="session",
            placeholder="One and the same answer, scored with each passage and without any",
        )  # fmt: skip
    if not limits.can.prompt_scores and not limits.refusal:
        st.caption("This model doesn't return prompt logprobs, so passages are ranked by drafts and by what is free.")


def _parameters() -> None:
    with st.popover("Prompt and lengths", icon=":material/tune:"):
        st.text_area(
            "Prompt template", key="contexts.template", persist_state="session", height=140,
            help="{passage} and {question} once each. With the passage before the question, the question's logprobs "
            "come with the draft.",
        )  # fmt: skip
        left, right = st.columns(2)
        left.number_input("Draft tokens", 1, MOST_DRAFT_TOKENS, key="contexts.draft_tokens", persist_state="session")
        right.number_input("Max new tokens of an answer", 1, 10_000, key="contexts.max_tokens", persist_state="session")
        st.text_area(
            "Stop sequences", key="contexts.stop", persist_state="session", height=68,
            help=r"One per line. An answer ends before the first of them. Write \n for a line break.",
        )  # fmt: skip


def _values(plan: ContextsPlan) -> dict[str, Any]:
    """A plan as values of the form's fields. Passages come back as text, separated by lines of dashes."""
    return {
        "question": plan.question,
        "passages": "\n---\n".join(each.text for each in plan.passages),
        "template": plan.template,
        "scorings": list(plan.scorings),
        "answer": plan.answer,
        "draft_tokens": plan.draft_tokens,
        "max_tokens": plan.max_tokens,
        "stop": as_field(plan.stop),
    }


def _plan(source: Source, found: Passages, limits: Limits) -> ContextsPlan:
    """What the fields ask for. Raises InvalidRequest."""
    values = st.session_state
    scorings = tuple(values.get("contexts.scorings") or ())
    if not scorings:
        raise InvalidRequest("Nothing is chosen to score by.", "Choose at least one.")
    return ContextsPlan(
        source,
        (values.get("contexts.question") or "").strip(),
        found.passages,
        values.get("contexts.template") or "",
        Mode.RAW,
        scorings=scorings,
        answer=(values.get("contexts.answer") or "").strip() if GAIN in scorings else "",
        draft_tokens=int(values["contexts.draft_tokens"]),
        by=next((name for name in (QUESTION, DRAFT) if name in scorings), scorings[0]),
        weights=tuple((name, 1.0) for name in scorings) if len(scorings) > 1 else (),
        max_tokens=int(values["contexts.max_tokens"]),
        stop=lines(values.get("contexts.stop") or ""),
        k=min(ContextsPlan.k, limits.can.max_k),
        prompt_scores=limits.can.prompt_scores,
    )
