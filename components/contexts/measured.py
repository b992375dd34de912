"""What was measured of the scorings, on the model that scored the passages."""

from __future__ import annotations

import math
from collections.abc import Collection

import streamlit as st

from components.shell.escaping import as_text
from lib.contexts.measured import HELD_OUT, Measured, measured_for
from lib.contexts.prompting import TEMPLATES, order_of
from lib.contexts.scorings import SCORINGS
from lib.core.request import Mode
from lib.jobs.batch import Batch
from lib.segmentation.char_classes import marked
from lib.statistics.bootstrap import Interval
from lib.studies.contexts import ContextsPlan

_DAY = 10  # characters of a date


def measured_of(plan: ContextsPlan, batch: Batch) -> Measured | None:
    """What was measured of the model behind a batch, with the plan's mode and order; None if nothing was."""
    model = next((each.weights or each.model for each in batch.completions), "")
    return measured_for(model, plan.mode, order_of(plan.template))


def best_of(measured: Measured, known: Collection[str]) -> str:
    """What measured best of the scorings that are known, as without prompt logprobs not all are; "" if none of them."""
    if measured.best in known:
        return measured.best
    found = [name for name in measured.first if name in known]
    return max(found, key=lambda name: measured.first[name].value, default="")


def measured_note(plan: ContextsPlan, measured: Measured | None) -> None:
    """Say how often each scoring found the right passage, or that this is not measured."""
    if measured is None:
        st.caption(
            f"Which scoring finds the right passage is not measured on this model, {as_text(_how(plan))}. "
            "`candor evaluate-contexts` measures it on labelled questions."
        )
        return
    known = sorted((name for name in measured.first if name in SCORINGS), key=lambda name: -measured.first[name].value)
    shares = [f"{SCORINGS[name].in_sentence} in {_share(measured.first[name])}" for name in known]
    data = marked(measured.data) if measured.data else "a labelled set"
    held_out = "held-out " if measured.part == HELD_OUT else ""
    other = "" if plan.template == TEMPLATES[measured.order] else " Your template may do better or worse."
    text = (
        f"Measured on {held_out}questions of {data}, {_how(plan)}, n = {measured.n:,}. The right passage ranks first "
        f"by {', by '.join(shares)}. Intervals are 95%."
    )
    about = f" {marked(measured.model)}, {measured.date[:_DAY]}."
    st.caption(as_text(f"{text}{other}{about}"))


def _share(found: Interval) -> str:
    """A share with its interval, if that is known."""
    limits = "" if math.isnan(found.low) else f" ({found.low:.0%} to {found.high:.0%})"
    return f"{found.value:.0%}{limits}"


def _how(plan: ContextsPlan) -> str:
    return f"{'as a chat' if plan.mode is Mode.CHAT else 'as raw text'}, {order_of(plan.template)}"
