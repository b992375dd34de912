"""The probability of being right that an exported calibration gives an answer, and the choice of calibrations."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from components.shell.access import visitor
from components.shell.escaping import as_text, bold
from components.shell.messages import show_error
from lib import formatting
from lib.core.completion import Completion
from lib.errors import BadFile, CandorError
from lib.evaluation.calibration import MOST_IN_USE, Calibration, calibration_in, calibration_of
from lib.scores.confidence import ALL_SCORES
from lib.segmentation.char_classes import marked

if TYPE_CHECKING:
    import pandas as pd

CHOSEN = "calibrations"  # the setting: calibrations as JSON values
COLUMN = "Probability of being right"
_PROBLEM = "calibrations.problem"
_MARK = " (beyond)"
_BEYOND = "the answer's score or length is outside that range, so this is the probability at its nearest point"


def chosen() -> tuple[Calibration, ...]:
    """The calibrations in use, the newest first."""
    found = []
    for values in st.session_state.get(CHOSEN) or ():
        try:
            found.append(calibration_of(values))
        except BadFile:
            continue
    return tuple(found)


def calibrations_for(completions: Sequence[Completion]) -> list[Calibration | None]:
    """For each answer, the newest calibration in use for its model; None without one."""
    usable = [each for each in chosen() if each.usable]
    return [next((each for each in usable if each.fits(done)), None) for done in completions]


def about(found: Calibration) -> str:
    """What a calibration rests on: "calibrated, n = 200, SmolLM2, Sum of logprobs"."""
    return f"calibrated, n = {found.n:,}, {marked(found.model)}, {ALL_SCORES[found.score].label}"


def probability_metric(completion: Completion) -> None:
    """Show the calibrated probability that an answer is right, if a calibration for its model is in use."""
    found = calibrations_for([completion])[0]
    if found is None or math.isnan(p := found.probability(completion)):
        return
    st.metric(
        COLUMN, formatting.percent(p), width="content",
        help=as_text(
            f"{formatting.sentence(about(found))} Fitted on {marked(found.questions)}. It holds for questions "
            "like those it was fitted on; elsewhere it may be far off."
        ),
    )  # fmt: skip
    st.caption(as_text(about(found)), width="content")
    if found.is_beyond(completion):
        st.caption(as_text(f"Beyond what it was fitted on: {_BEYOND}."), width="content")


def with_probability(rows: pd.DataFrame, completions: Sequence[Completion]) -> None:
    """Add a column with the calibrated probabilities of answers to their table, if there are any."""
    found = calibrations_for(completions)
    if any(found):
        rows[COLUMN] = [
            None if each is None else _cell(each, done) for each, done in zip(found, completions, strict=True)
        ]


def note_under_table(completions: Sequence[Completion]) -> None:
    """Say what the calibrated probabilities in a table rest on."""
    pairs = [
        (each, done) for each, done in zip(calibrations_for(completions), completions, strict=True) if each is not None
    ]
    if not pairs:
        return
    found = dict.fromkeys(about(each) for each, _ in pairs)
    beyond = f" {_MARK.strip()}: {_BEYOND}." if any(each.is_beyond(done) for each, done in pairs) else ""
    st.caption(as_text(f"{COLUMN}: {'; '.join(found)}. It holds for questions like those.{beyond}"))


def _cell(found: Calibration, completion: Completion) -> str | None:
    p = found.probability(completion)
    mark = _MARK if found.is_beyond(completion) else ""
    return None if math.isnan(p) else f"{formatting.percent(p)}{mark}"


def use(found: Calibration) -> None:
    """Use a calibration from now on, instead of an earlier one for the same model."""
    others = [each for each in chosen() if (each.source, each.weights) != (found.source, found.weights)]
    st.session_state[CHOSEN] = [each.as_json() for each in (found, *others)][:MOST_IN_USE]


def in_use(found: Calibration) -> bool:
    """Whether this very calibration is in use."""
    return found.as_json() in (st.session_state.get(CHOSEN) or [])


def settings() -> None:
    """Show the calibrations in use, each with a button that drops it, and take one from a file."""
    st.subheader("Calibrated confidence")
    found = chosen()
    if not found:
        st.caption(
            "None in use. Evaluate fits a map from a model's confidence to the probability that its answer is right. "
            "Use it there, or open one that was exported; Explore and Rank then show that probability."
        )
    for number, each in enumerate(found):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"{bold(marked(each.model))}: {as_text(about(each))}", width="content")
            st.button(
                "Remove", key=f"calibrations.drop.{number}", type="tertiary", icon=":material/close:",
                on_click=_drop, args=(each,),
            )  # fmt: skip
    st.file_uploader("Open a calibration", type=["json"], key="calibrations.file", on_change=_read)
    if (problem := st.session_state.get(_PROBLEM)) is not None:
        show_error(problem)


def export_button(found: Calibration, key: str) -> None:
    """Offer a calibration as a file."""
    st.download_button(
        "Export", lambda: json.dumps(found.as_json(), indent=1, ensure_ascii=False), "candor-calibration.json",
        "application/json", key=key, icon=":material/download:", on_click="ignore", type="tertiary",
    )  # fmt: skip


def _drop(found: Calibration) -> None:
    values: list[Any] = st.session_state.get(CHOSEN) or []
    st.session_state[CHOSEN] = [each for each in values if each != found.as_json()]


def _read() -> None:
    state = st.session_state
    state.pop(_PROBLEM, None)
    uploaded = state.get("calibrations.file")
    if uploaded is None:
        return
    try:
        data = uploaded.getvalue()
        visitor().check_size(len(data))
        use(calibration_in(data))
    except CandorError as error:
        state[_PROBLEM] = error
