"""A question, its passages, and how they are scored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from components.contexts.examples import EXAMPLES
from components.contexts.fitting import fit
from components.contexts.gain import answer_field
from components.contexts.parameters import parameters
from components.jobs.asking_page import Asked, Known, planned
from components.jobs.current_job import current_job
from components.jobs.estimate import budget
from components.jobs.form import AskButton, as_field, fill, lines, mode_and_examples, price_of, set_defaults, untouched
from components.pickers.capabilities import Limits, limits_of
from components.shell.access import visitor
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.contexts.passages import MOST_BYTES, MOST_PASSAGES, Passages, as_pasted, as_rows, from_file, from_text
from lib.contexts.prompting import TEMPLATES, Order
from lib.contexts.scorings import BEST_FIRST, BM25, DRAFT, GAIN, QUESTION, RETRIEVER, SCORINGS
from lib.core.request import Mode
from lib.core.sources import Source
from lib.errors import CandorError, InvalidRequest
from lib.jobs.batch import Batch
from lib.jobs.plan import Plan
from lib.jobs.run_plan import plan_left
from lib.segmentation.char_classes import marked
from lib.studies.contexts import ContextsPlan, answering_first
from lib.studies.contexts_window import cut_note

_PAGE = "contexts"
_READ = "contexts.read"  # what was read last, and what of
_BUTTON = AskButton(_PAGE, "Score passages", ":material/filter_list:")
_ENDINGS = ["json", "jsonl", "ndjson", "csv", "tsv", "parquet", "txt", "md"]
_FREE = (BM25, RETRIEVER)
_DEFAULTS: dict[str, Any] = {
    "mode": Mode.RAW,
    "question": "",
    "passages": "",
    "system": "",
    "template": TEMPLATES[Order.PASSAGE_FIRST],
    "scorings": [QUESTION, DRAFT, BM25],
    "answer": "",
    "draft_tokens": ContextsPlan.draft_tokens,
    "max_tokens": ContextsPlan.max_tokens,
    "stop": r"\n",
}


def contexts_form(before: Plan | None, source: Source) -> Asked:
    """Show the form; return the plan once a button is pressed, or why it is invalid."""
    if isinstance(before, ContextsPlan) and untouched(_PAGE, "question"):
        fill(_PAGE, _values(before))
    set_defaults(_PAGE, _DEFAULTS)
    mode = Mode(mode_and_examples(_PAGE, EXAMPLES))
    limits = limits_of(source, chat=mode is Mode.CHAT)
    st.text_input(
        "Question", key="contexts.question", persist_state="session", placeholder="What the passages should answer"
    )
    found = _passages()
    _scorings(limits)
    own = None
    if found is not None and GAIN in st.session_state["contexts.scorings"]:
        own = answer_field(lambda: fit(answering_first(_plan(source, found, mode, limits))), _price)
    plan = planned(lambda: fit(_plan(source, found, mode, limits))) if found is not None else None
    if isinstance(plan, ContextsPlan) and (note := cut_note(plan)):
        st.caption(as_text(note))
    price = _price(plan) if isinstance(plan, ContextsPlan) else ""
    pressed = _BUTTON.pressed(price, refusal=limits.refusal, disabled=found is None, more=lambda: parameters(mode))
    return _waited(plan) if pressed else _waited(own)


def _waited(plan: ContextsPlan | CandorError | None) -> Asked:
    """The plan with its passages cut, for which the model may have to be loaded, and with what is known of it."""
    if not isinstance(plan, ContextsPlan):
        return plan
    try:
        plan = fit(plan, wait=True)
    except CandorError as error:
        return error
    earlier = _earlier(plan)
    return plan if earlier is None else Known(plan, earlier[1], earlier[0])


def _earlier(plan: ContextsPlan) -> tuple[ContextsPlan, Batch] | None:
    """The page's run and its outcome, whose calls a changed form reuses; None if the form is unchanged."""
    job = current_job(_PAGE)
    if job is None or not job.over or not isinstance(job.plan, ContextsPlan) or job.result is None:
        return None
    same = replace(
        job.plan, by=plan.by, weights=plan.weights, keep=plan.keep, answers=plan.answers, context=plan.context,
        cut=plan.cut,
    )  # fmt: skip
    return None if same == plan and not plan.answers else (job.plan, job.result)


def _price(plan: ContextsPlan) -> str:
    earlier = _earlier(plan)
    if earlier is None:
        return price_of(plan)
    return budget(plan_left(plan, earlier[1], earlier[0])) or "Every call has already been made."


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
    names = [name for name in SCORINGS if _possible(name, limits)]
    chosen = st.session_state.get("contexts.scorings") or []
    if kept := [name for name in chosen if name in names]:
        st.session_state["contexts.scorings"] = kept
    else:
        st.session_state["contexts.scorings"] = [DRAFT]
    st.multiselect(
        "Score by", names, key="contexts.scorings", persist_state="session",
        format_func=lambda name: f"{SCORINGS[name].label}{' (free)' if name in _FREE else ''}",
        help="Question likelihood: how likely the question is after the passage. Nothing is generated. "
        "Draft confidence: how likely the model's short answer from the passage is. Both together take one call per "
        "passage. Measured with the embedded model and raw text on held-out questions, n = 70: question likelihood "
        "ranks the right passage first in 91%, BM25 in 53%, draft confidence in 20%. Intervals are in "
        "docs/contexts.md.",
    )  # fmt: skip
    if not limits.can.prompt_scores and not limits.refusal:
        st.caption(
            "This model doesn't return prompt logprobs, so only draft confidence, BM25 and the retriever's "
            "score are available."
        )


def _possible(name: str, limits: Limits) -> bool:
    """Whether the model returns what a scoring needs."""
    if name == GAIN:
        return limits.can.prompt_scores and limits.can.scores_candidates
    return name != QUESTION or limits.can.prompt_scores


def _values(plan: ContextsPlan) -> dict[str, Any]:
    """A plan as values of the form's fields."""
    return {
        "mode": plan.mode,
        "question": plan.question,
        "passages": as_pasted(plan.passages),
        "template": plan.template,
        "system": plan.system,
        "scorings": list(plan.scorings),
        "answer": plan.answer,
        "draft_tokens": plan.draft_tokens,
        "max_tokens": plan.max_tokens,
        "stop": as_field(plan.stop),
    }


def _plan(source: Source, found: Passages, mode: Mode, limits: Limits) -> ContextsPlan:
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
        mode,
        (values.get("contexts.system") or "").strip() if mode is Mode.CHAT else "",
        scorings=scorings,
        answer=(values.get("contexts.answer") or "").strip() if GAIN in scorings else "",
        draft_tokens=int(values["contexts.draft_tokens"]),
        by=next((name for name in BEST_FIRST if name in scorings), scorings[0]),
        weights=tuple((name, 1.0) for name in scorings) if len(scorings) > 1 else (),
        max_tokens=int(values["contexts.max_tokens"]),
        stop=lines(values.get("contexts.stop") or ""),
        k=min(ContextsPlan.k, limits.can.max_k),
        prompt_scores=limits.can.prompt_scores,
    )
