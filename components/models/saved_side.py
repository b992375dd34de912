"""Choose a saved run as one side of a comparison."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from components.pickers.model_label import model_name
from components.shell.access import visitor
from components.shell.messages import show_error
from components.shell.services import services
from components.shell.sign_in import identity
from lib import formatting
from lib.core.completion import Completion
from lib.core.sources import LocalModel
from lib.errors import CandorError
from lib.jobs.call import Call
from lib.jobs.plan import Plan, places_of
from lib.segmentation.char_classes import marked, plain
from lib.store.plan_codec import plan_of
from lib.store.queries import Filter, listed
from lib.store.run import Run
from lib.store.runs import Runs
from lib.studies.model_comparison import ModelsPlan, SavedAnswer, saved_answer

_COUNT = 50  # newest runs offered
_SHOWN = 48  # characters of a title or an answer in a list


def saved_side(slot: str) -> SavedAnswer | None:
    """Show the picker of saved runs for "first" or "second"; return the chosen answer, None without one."""
    store = services().store.runs()
    if store is None:
        return None
    try:
        return _saved_side(store, slot)
    except CandorError as error:
        show_error(error)
        return None


def choose_saved(slot: str, run_id: str | None, place: int = 0) -> None:
    """Choose a saved run for a side, or none. place: which of its answers."""
    st.session_state[f"models.{slot}.run"] = run_id
    if run_id is not None:
        st.session_state[f"models.{slot}.run.{run_id}"] = place


def moment(created: int) -> str:
    """Microseconds since 1970 as a date and time; "" if out of range, as a file may hold anything."""
    try:
        return f"{datetime.fromtimestamp(created / 1e6, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return ""


def _saved_side(store: Runs, slot: str) -> SavedAnswer | None:
    key = f"models.{slot}.run"
    who, shared = visitor(), bool(identity())
    found = listed(store.database, Filter(owner=who.whose, shared=shared), count=_COUNT).runs
    offered = {run.id: run for run in found if run.tokens}
    held = st.session_state.get(key)
    if held is not None and held not in offered:  # an older run, which a link or History led to
        run = store.get(held)
        if run is not None and who.opens(run.owner, shared=run.shared):
            offered[held] = run
        else:
            st.session_state[key] = None
    if not offered:
        return None
    label = f"Or a saved run as the {'first' if slot == 'first' else 'second'} model"
    chosen = st.selectbox(
        label, list(offered), None, key=key, persist_state="session", placeholder="Choose from history",
        format_func=lambda run_id: _label(offered[run_id]) if run_id in offered else "",
        help="Compares the tokens as they were scored then, without calling the model again.",
    )  # fmt: skip
    if chosen is None or chosen not in offered or (opened := store.open(chosen)) is None:
        return None
    run, answers = opened
    done = {place: each.completion for place, each in enumerate(answers) if each.completion is not None}
    plan = plan_of(run)
    place = _place(done, plan, f"{key}.{chosen}")
    if place is None:
        st.caption("This run has no tokens to compare.")
        return None
    if plan is None:
        return saved_answer(LocalModel(run.source or run.model), None, done[place], run.created)
    call = _call(plan, place)
    when = plan.sides[place].saved if isinstance(plan, ModelsPlan) else 0  # a comparison holds copies of older answers
    return saved_answer(call.source, call.original_request, done[place], when or run.created)


def _place(done: dict[int, Completion], plan: Plan | None, key: str) -> int | None:
    """Which answer of the run to compare; shows a picker if it has several."""
    if len(done) < 2:
        return next(iter(done), None)

    def label(place: int) -> str:
        text = formatting.beginning(done[place].text, _SHOWN) if place in done else ""
        model = "" if plan is None else model_name(_call(plan, place).source)
        return f"{place + 1}: {marked(text or plain(model) or '(empty)')}"

    place: int = st.selectbox("Answer", list(done), key=key, format_func=label)
    return place if place in done else next(iter(done))


def _call(plan: Plan, place: int) -> Call:
    """The call that an answer belongs to."""
    calls = plan.calls()
    return calls[places_of(calls)[place]]


def _label(run: Run) -> str:
    title = marked(plain(formatting.beginning(run.title, _SHOWN))) or "Untitled"
    return " · ".join(filter(None, [title, plain(run.model)[-_SHOWN:], moment(run.created)]))
