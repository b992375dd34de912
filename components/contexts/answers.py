"""The answers from the kept passages, from all of them and without any, and what each sentence leans on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import streamlit as st

from components.contexts.gain import score_by
from components.jobs.beside import ask_beside
from components.jobs.current_job import Run, job_beside
from components.jobs.job_view import JobView
from components.shell.escaping import as_lines, as_text, bold
from components.shell.messages import show_error
from components.token_map import ANSWER_FIRST
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.core.completion import Completion
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Batch, State
from lib.scores.token_scores import summarise_answer
from lib.segmentation.char_classes import marked
from lib.studies.contexts import ALL, KEPT, NONE, ContextsPlan
from lib.studies.contexts_outcome import Answer, Scored, outcome_of
from lib.studies.leaning import Leaning, LeaningPlan, leaning_of

_NAMES = {KEPT: "From the kept passages", ALL: "From all passages", NONE: "Without any passage"}
_PLACE = "leaning"
_HELP = 200  # characters of a passage in the tooltip of its column
_VIEW = JobView(
    "contexts.leaning", lambda *_: None, "What it leans on", answer_name=lambda _, place: f"Call {place + 1}"
)


def answers(job: Run, plan: ContextsPlan, batch: Batch, scored: Scored) -> None:
    """Show the answers side by side, with tokens and time; nothing before they are asked for."""
    found = outcome_of(plan, batch, scored).answers

    def below(name: str, each: Answer) -> None:
        if (done := each.outcome.completion) is not None and each.outcome.state is State.DONE:
            score_by(plan, batch, name, done)

    texts_of_answers(found, below)
    if not found:
        return
    _map(found)
    own = found.get(KEPT)
    if own is not None and own.outcome.completion is not None:
        _leaning(job, plan, own, own.outcome.completion)


def texts_of_answers(found: Mapping[str, Answer], below: Callable[[str, Answer], None] | None = None) -> None:
    """Show the answers so far as texts side by side. below: shows more under each, by its name."""
    if not found:
        return
    st.subheader("Answers")
    for column, (name, each) in zip(st.columns(len(found), gap="medium"), found.items(), strict=True):
        with column:
            st.markdown(bold(_NAMES[name]))
            _answer(each)
            if below is not None:
                below(name, each)


def _answer(each: Answer) -> None:
    """An answer's text and what it took."""
    done = each.outcome.completion
    if each.left_out:
        st.caption(f"{formatting.count(each.left_out, 'passage')} did not fit into the model's context.")
    if each.outcome.error is not None:
        show_error(each.outcome.error)
    if done is None:
        st.caption("Not answered yet.")
        return
    with st.container(border=True):
        if done.text.strip():
            st.markdown(as_lines(done.text.strip()))
        else:
            st.caption("Empty: the model stopped before the first token. Try a chat or other stop sequences.")
    mean, total = summarise_answer(done).mean_logprob, done.timing.total
    st.caption(
        f"{formatting.count(len(done.prompt), 'prompt token')}, "
        f"{formatting.count(len(done.generated), 'generated token')}"
        + ("" if total is None else f", {total:.1f} s")
        + ("." if math.isnan(mean) else f", mean logprob {formatting.nats(mean)}.")
    )


def _map(found: Mapping[str, Answer]) -> None:
    """The map of one of the answers."""
    done = {name: each.outcome.completion for name, each in found.items() if each.outcome.completion is not None}
    if not done:
        return
    usual = next((name for name, each in done.items() if each.text.strip()), next(iter(done)))
    name = st.segmented_control(
        "Map of the answer", list(done), default=usual, required=True, format_func=lambda each: _NAMES[each],
        key=f"contexts.map.of.{'.'.join(done)}.{usual}",
    )  # fmt: skip
    if name in done:
        map_with_pin(TokenMapView(done[name]), key="contexts.map", shown=ANSWER_FIRST)


def _leaning(job: Run, plan: ContextsPlan, own: Answer, done: Completion) -> None:
    """Offer to score the answer with each kept passage left out, and show what that does to each sentence."""
    if not plan.prompt_scores or not done.text.strip():
        return
    held = tuple(plan.passages[place] for place in own.passages)
    asked = LeaningPlan(plan.source, replace(plan, passages=held, answers=()), done.text)
    with st.expander("Which passage does each sentence lean on?", icon=":material/account_tree:"):
        st.caption("Scores the answer with each kept passage left out in turn. Nothing new is generated.")
        ask_beside("contexts", asked, job, _PLACE, label="Find out", icon=":material/account_tree:")
        beside = job_beside("contexts", job, _PLACE)
        if beside is None or beside.plan != asked:
            return
        _VIEW.show(beside)
        if beside.over and beside.result is not None:
            _leans(asked, leaning_of(asked, beside.result))


def _leans(plan: LeaningPlan, found: Leaning) -> None:
    names = [f"Passage {marked(each.id)}" for each in plan.asked.passages]  # no id can be a name of another column
    texts = [marked(formatting.beginning(each.text, _HELP)) for each in plan.asked.passages]
    rows = []
    for sentence, gains in zip(found.sentences, found.gains, strict=True):
        known = np.isfinite(gains)
        best = int(np.where(known, gains, -np.inf).argmax()) if known.any() else None
        row = {"Sentence": marked(formatting.beginning(sentence, 300))}
        row["Leans on"] = "nothing" if best is None or gains[best] <= 0 else names[best]
        row |= {name: formatting.signed(float(gain), 2) for name, gain in zip(names, gains, strict=True)}
        rows.append(row)
    about = {name: st.column_config.Column(help=as_text(text)) for name, text in zip(names, texts, strict=True)}
    st.dataframe(rows, hide_index=True, column_config=about)
    st.caption("How much more likely each sentence is with a passage than without it, in nats.")
