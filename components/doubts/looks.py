"""Second looks at an answer: samples, the model's own verdict, another prompt, whole words. Each has a price."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from components.doubts.flagged import Flagged
from components.jobs.beside import ask_beside
from components.jobs.current_job import Run, job_beside
from components.jobs.job_view import JobView
from components.pickers.capabilities import limits_of
from lib import formatting
from lib.core.completion import Completion
from lib.core.request import Mode, Request, mode_of
from lib.core.sources import Source
from lib.doubts.flags import Flag
from lib.doubts.measured import measured_for
from lib.doubts.verdicts import P_TRUE
from lib.jobs.plan import models_of
from lib.segmentation.char_classes import marked
from lib.statistics.bootstrap import Interval
from lib.statistics.shares import exact_share
from lib.studies.second_looks import (
    MOST_CONTINUED,
    MOST_SAMPLES,
    SecondLooks,
    SecondLooksPlan,
    agreement,
    looks_of,
    shift,
)

_PLACE = "looks"
_ALTERNATIVES = 2  # of a flag that are completed
_MOST_ROWS = 300
_UNMEASURED = (
    "How well the model's own verdict tells right from wrong is not measured on this model, so it is not shown. "
    "`candor evaluate-doubts --verdict` measures it."
)


def source_of(job: Run) -> Source | None:
    """The model that answered; None if there is none to ask."""
    if job.plan is None:
        return None
    models = models_of(job.plan.calls())
    return models[0] if len(models) == 1 else None


def second_looks(job: Run, found: Flagged) -> None:
    """Show the choice of second looks and, once there are any, what they found."""
    source, request = source_of(job), found.doubts.completion.request
    with st.expander("Second looks", icon=":material/visibility:"):
        if source is None or request is None:
            st.caption("A saved response has no model to ask. Ask the question above with a model instead.")
            return
        limits = limits_of(source, chat=mode_of(request) is Mode.CHAT, ask=False)
        plan = _chosen(found, source, request, scores=limits.can.scores_candidates)
        ask_beside("doubts", plan, job, _PLACE, label="Look again", icon=":material/visibility:")
        beside = job_beside("doubts", job, _PLACE)
        if beside is not None and _is_about(beside, found):
            _VIEW.show(beside)
            if beside.over and beside.result is not None and isinstance(beside.plan, SecondLooksPlan):
                _found(beside.plan, looks_of(beside.plan, beside.result), found)


def _is_about(beside: Run, found: Flagged) -> bool:
    return isinstance(beside.plan, SecondLooksPlan) and beside.plan.answer == found.doubts.completion.text


_VIEW = JobView("doubts.looks", lambda *_: None, "The second look", answer_name=lambda _, place: f"Look {place + 1}")


def _chosen(found: Flagged, source: Source, request: Request, *, scores: bool) -> SecondLooksPlan:
    """Show what can be asked; return the plan for what is chosen."""
    done = found.doubts.completion
    prefixes = _prefixes(found.flags, done.generated.ids.tolist(), done.pieces.ids.tolist())
    left, right = st.columns(2, gap="medium")
    samples = left.number_input(
        "More samples", 0, MOST_SAMPLES, 5, key="doubts.looks.samples", persist_state="session",
        help="Answers to the same prompt at temperature 1. A fact that comes back in most of them is not made up at "
        "random; it may still be wrong.",
    )  # fmt: skip
    words = left.checkbox(
        f"Complete {formatting.count(len(prefixes), 'alternative')} to whole words", key="doubts.looks.words",
        persist_state="session", disabled=not prefixes,
    )  # fmt: skip
    measured = _auroc(done) is not None
    verdict = left.checkbox(
        "Ask the model if its answer is correct", key="doubts.looks.verdict", persist_state="session",
        disabled=not measured, help="P(True): the probability of Yes against No." if measured else _UNMEASURED,
    )  # fmt: skip
    other = right.text_area(
        "Score the answer after another prompt", key="doubts.looks.other", persist_state="session", height=110,
        disabled=not scores, placeholder="The prompt without its context, or without its question",
        help="Facts that are as likely without the context do not come from it."
        if scores
        else "This model doesn't return prompt logprobs, so it can't score text you supply.",
    )  # fmt: skip
    return SecondLooksPlan(
        source, request, done.text, int(samples), bool(verdict) and measured, (other or "") if scores else "",
        prefixes if words else (),
    )  # fmt: skip


def _prefixes(flags: tuple[Flag, ...], ids: list[int], vocabulary: list[int]) -> tuple[tuple[int, ...], ...]:
    """The ids that end in each alternative's beginning of a word. Tokens without an id cannot be sent."""
    found = []
    for flag in flags:
        for each in [one for one in flag.alternatives if not one.whole][:_ALTERNATIVES]:
            prefix = (*ids[: each.row], vocabulary[each.ref])
            if min(prefix) >= 0:
                found.append(prefix)
    return tuple(found[:MOST_CONTINUED])


def _found(plan: SecondLooksPlan, looks: SecondLooks, found: Flagged) -> None:
    rows = _rows(plan, looks, found)
    if rows:
        st.dataframe(rows[:_MOST_ROWS], hide_index=True)
    if n := len(looks.samples):
        st.caption(
            f"In samples: how many of {formatting.count(n, 'answer')} have the same words. Even {n:,} of {n:,} fits a "
            f"true share as low as {exact_share(n, n)[0]:.0%}."
        )
    if plan.other_prompt.strip():
        st.caption(
            "Gain from the prompt: how much more likely the words are after their own prompt than after the other one."
            if looks.with_prompt is not None and looks.without is not None
            else "The answer could not be scored after both prompts."
        )
    if plan.verdict:
        _verdict(looks, found)


def _rows(plan: SecondLooksPlan, looks: SecondLooks, found: Flagged) -> list[dict[str, Any]]:
    done = found.doubts.completion
    shifts = shift(looks, found.doubts.terms) if plan.other_prompt.strip() else []
    completed = dict(looks.words)
    ids, vocabulary = done.generated.ids.tolist(), done.pieces.ids.tolist()
    rows = []
    for flag in found.flags:
        row: dict[str, Any] = {"Flagged": marked(flag.text), "Doubt": formatting.number(flag.score, 2)}
        if looks.samples:
            row["In samples"] = f"{agreement(flag.text, looks.samples)} of {len(looks.samples)}"
        if shifts:
            row["Gain from the prompt (nats)"] = (
                "?" if math.isnan(shifts[flag.place]) else formatting.signed(shifts[flag.place], 2)
            )
        if completed:
            row["Alternatives as words"] = ", ".join(
                f"{marked(each.text)}{marked(completed.get((*ids[: each.row], vocabulary[each.ref]), ''))} "
                f"{formatting.percent(each.probability)}"
                for each in flag.alternatives[:_ALTERNATIVES]
            )
        rows.append(row)
    return rows


def _verdict(looks: SecondLooks, found: Flagged) -> None:
    """Show P(True) beside how well it tells right from wrong on this model; not without that."""
    if looks.p_true is None:
        st.caption("The model answered neither Yes nor No, so it gives no verdict.")
        return
    auroc = _auroc(found.doubts.completion)
    if auroc is None:
        st.caption(_UNMEASURED)
        return
    st.metric("P(True), by the model itself", formatting.percent(looks.p_true), width="content")
    st.caption(
        f"Yes and No together have {formatting.percent(looks.told or 0.0)} of the probability. On {auroc.n:,} labelled "
        f"answers of this model, the AUROC of P(True) is {auroc.value:.2f} ({auroc.low:.2f} to {auroc.high:.2f}); "
        "0.5 is chance."
    )


def _auroc(done: Completion) -> Interval | None:
    """How well P(True) tells right from wrong on the model of an answer; None if that is not measured."""
    measured = measured_for(done)
    return None if measured is None else measured.auroc.get(P_TRUE)
