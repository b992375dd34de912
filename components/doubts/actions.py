"""What an application should do with an answer: a policy of one's own, applied here and taken away as code."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from components.calibrated import calibrations_for
from components.doubts.flagged import Flagged
from components.doubts.follow_up import follow_up
from components.jobs.current_job import Run
from components.policies import own_policy, use_policy
from components.shell.escaping import as_text, bold
from components.shell.messages import show_error
from lib import formatting
from lib.errors import CandorError, InvalidRequest
from lib.policies.measures import MEASURES, PROBABILITY, Measure, value_of
from lib.policies.policy import READY, Action, Policy, Range, decide, from_ranges
from lib.policies.policy_code import as_python
from lib.policies.policy_file import MOST_BYTES, as_json, policy_in
from lib.scores.confidence import CHOICE, scored_tokens

_CHOSEN, _PROBLEM, _FILE = "doubts.policy", "doubts.policy.problem", "doubts.policy.file"
_TAKE = "doubts.policy.take"  # whether the policy that was just saved is shown from the next run on
_OWN = "Your own"
_VERBS = {
    Action.ANSWER: "Answer",
    Action.VERIFY: "Verify first",
    Action.RETRIEVE: "Retrieve more context",
    Action.CLARIFY: "Ask a clarifying question",
    Action.FALL_BACK: "Fall back",
    Action.PERSON: "Send to a person",
}


def actions(job: Run, found: Flagged) -> None:
    """Show what the policy does with the answer, the follow-up it takes, and the policy itself."""
    if st.session_state.pop(_TAKE, False):
        st.session_state[_CHOSEN] = _OWN
    st.subheader("What to do")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        names = [*READY, _OWN]
        name = st.selectbox(
            "Policy", names, key=_CHOSEN, persist_state="session", width=280, on_change=_forget_problem,
            help="Ranges of one number for how confident the model was, each with an action.",
        )  # fmt: skip
        policy = (own_policy() or next(iter(READY.values()))) if name == _OWN else READY[name]
        value = _value(policy.about, found)
        action = decide(policy, value)
        st.markdown(bold(_VERBS[action]), width="content")
        st.caption(as_text(_because(policy, value, named=len(found.named.terms) > 0)), width="content")
    if text := dict(policy.texts).get(action):
        st.caption(as_text(text))
    follow_up(job, found, action)
    opened = _PROBLEM in st.session_state or st.session_state.get(_FILE) is not None
    with st.expander("Edit or export the policy", icon=":material/tune:", expanded=opened):
        _edit(policy)
        _take_away(policy)


def _value(measure: Measure, found: Flagged) -> float:
    done = found.doubts.completion
    probability = math.nan
    if measure.name == PROBABILITY and (calibration := calibrations_for([done])[0]) is not None:
        probability = calibration.probability(done)
    return value_of(measure.name, done, probability=probability, doubt=_most_doubtful(found))


def _most_doubtful(found: Flagged) -> float:
    """Nats: the highest surprisal of a name, number, date or quoted term; 0 for an answer without any.

    NaN if one of them has no logprob: what is not known is not certain.
    """
    if not len(scored_tokens(found.named.completion)):
        return math.nan
    return float(found.named.scores.max(initial=0.0))


def _because(policy: Policy, value: float, *, named: bool) -> str:
    """Why the policy decides as it does. named: whether the answer has a name, number, date or quoted term."""
    about = policy.about
    if math.isnan(value):
        if about.name == PROBABILITY:
            return "No calibration of this model is in use: fit one on Evaluate."
        if about.name == CHOICE:
            return "This measure compares candidates, so a single answer has no value."
        return f"{about.label}: unknown, as tokens of this answer have no logprobs or are forced."
    if about.doubt and not named:
        return f"This answer has no name, number, date or quoted term, which counts as 0 nats. {policy.note}"
    shown = formatting.percent(value) if about.unit == "probability" else f"{formatting.number(value, 2)} {about.unit}"
    return f"{about.label}: {shown}. {policy.note}"


def _edit(policy: Policy) -> None:
    measures = list(MEASURES)
    with st.form("doubts.policy.form", border=False, enter_to_submit=False):
        left, right = st.columns(2, gap="medium")
        name = left.text_input("Name", policy.name, max_chars=100)
        measure = right.selectbox(
            "Measure", measures, index=measures.index(policy.measure), format_func=lambda each: MEASURES[each].label,
        )  # fmt: skip
        rows = st.data_editor(
            pd.DataFrame(
                [{"From": each.low, "Below": each.high, "Action": str(each.action)} for each in policy.ranges],
                columns=["From", "Below", "Action"],
            ).astype({"From": "Float64", "Below": "Float64"}),
            num_rows="dynamic", hide_index=True, key=f"doubts.policy.rows.{policy.name}",
            column_config={
                "From": st.column_config.NumberColumn(help="Empty for no lower end.", format="%.3f"),
                "Below": st.column_config.NumberColumn(help="Empty for no upper end.", format="%.3f"),
                "Action": st.column_config.SelectboxColumn(options=[str(each) for each in Action], required=True),
            },
        )  # fmt: skip
        missing = st.selectbox(
            "If there is no value", list(Action), index=list(Action).index(policy.missing),
            format_func=lambda each: _VERBS[each], help="For answers without logprobs or without a calibration.",
        )  # fmt: skip
        saved = st.form_submit_button("Use this policy", icon=":material/check:")
    if saved:
        _save(policy, name, str(measure), rows, Action(missing or Action.PERSON))
    if (problem := st.session_state.get(_PROBLEM)) is not None:
        show_error(problem)


def _save(before: Policy, name: str, measure: str, rows: pd.DataFrame, missing: Action) -> None:
    state = st.session_state
    state.pop(_PROBLEM, None)
    ranges = [
        Range(str(row["Action"]), _end(row["From"]), _end(row["Below"]))
        for row in rows.to_dict("records")
        if not pd.isna(row["Action"])
    ]
    try:
        made = replace(from_ranges(name, measure, ranges), missing=missing)
        same = (made.measure, made.rules) == (before.measure, before.rules)
        # A note about thresholds does not hold for others; texts of actions do.
        use_policy(replace(made, texts=before.texts, note=before.note if same else ""))
    except InvalidRequest as error:
        state[_PROBLEM] = error
        return
    state[_TAKE] = True
    st.rerun()


def _forget_problem() -> None:
    st.session_state.pop(_PROBLEM, None)


def _end(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _take_away(policy: Policy) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.download_button(
            "Policy (JSON)", lambda: json.dumps(as_json(policy), indent=1, ensure_ascii=False), "candor-policy.json",
            "application/json", icon=":material/download:", on_click="ignore", type="tertiary",
        )  # fmt: skip
        st.download_button(
            "Function (Python)", lambda: as_python(policy), "policy.py", "text/x-python",
            icon=":material/download:", on_click="ignore", type="tertiary",
            help="One function that an application calls with the logprobs of an answer. It needs nothing of Candor.",
        )  # fmt: skip
    st.code(as_python(policy), language="python")
    st.file_uploader("Open a policy", type=["json"], key=_FILE, on_change=_read, max_upload_size=1)


def _read() -> None:
    state = st.session_state
    state.pop(_PROBLEM, None)
    if (uploaded := state.get(_FILE)) is None:
        return
    try:
        use_policy(policy_in(uploaded.getvalue()[: MOST_BYTES + 1]))
        state[_CHOSEN] = _OWN
    except CandorError as error:
        state[_PROBLEM] = error
