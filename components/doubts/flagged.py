"""The flags of an answer: how they are found, the map and the list, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from components.shell.escaping import as_text
from components.token_map import token_map
from components.token_map.details import token_detail
from components.token_map.flags import chosen_threshold
from lib import formatting
from lib.core.completion import Completion
from lib.display.flags import Flags
from lib.display.token_map_view import TokenMapView
from lib.doubts.flags import Doubts, Flag, doubts_of, shown
from lib.doubts.measured import Measured, at_threshold, measured_for
from lib.doubts.methods import DEFAULT, DEFAULT_GATE, METHODS
from lib.doubts.presets import presets_of
from lib.doubts.words import Gate
from lib.json_answers.fields import fields_of
from lib.segmentation.char_classes import marked

_MAP, _COLUMNS = "doubts.map", (2.4, 1.0)
_KEPT = "doubts.kept"
_DAY = len("2026-11-30")  # of a moment in ISO 8601
_GATES = {
    Gate.TERMS: "Names and numbers",
    Gate.CONTENT: "Content words",
    Gate.ALL: "All",
}
_NOTHING = {
    Gate.TERMS: "This answer has no names, numbers, dates or quoted terms. Choose more words above.",
    Gate.CONTENT: "This answer has no names, numbers or content words. Choose all words above.",
    Gate.ALL: "This answer has no words to flag.",
}


@dataclass(frozen=True)
class _Read:
    """What is read off an answer by one choice of method and gate."""

    method: str
    gate: Gate
    doubts: Doubts
    flags: Flags
    named: Doubts


@dataclass(frozen=True)
class Flagged:
    """What is flagged on the page."""

    doubts: Doubts
    named: Doubts  # names, numbers, dates and quoted terms by the default method, whatever is flagged
    gate: Gate
    threshold: float
    flags: tuple[Flag, ...]  # in reading order


def flagged(done: Completion) -> Flagged:
    """Show how flags are found, the map with its list, and what flags mean; return what is flagged."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        gate = _gate()
        method = _method(done)
    view, read = _view(done), _read(done, method, gate)
    left, right = st.columns(_COLUMNS, gap="medium")
    with left:
        pinned = token_map(view, key=_MAP, shown=("fold", "mute"), flags=read.flags)
    with right, st.container(key="detail"):
        token_detail(view, pinned)
    threshold = chosen_threshold(_MAP, read.flags)
    found = Flagged(read.doubts, read.named, gate, threshold, read.doubts.flags(threshold))
    _meaning(done, found)
    return found


def _gate() -> Gate:
    st.session_state.setdefault("doubts.gate", DEFAULT_GATE)
    gate = st.segmented_control(
        "Flag", list(Gate), key="doubts.gate", required=True, persist_state="session",
        format_func=lambda each: _GATES[each],
        help="Names and numbers: also dates and quoted terms, which most facts are in. Content words: also ordinary "
        "words, which have many alternatives that mean the same.",
    )  # fmt: skip
    return gate or DEFAULT_GATE


def _method(done: Completion) -> str:
    """Show the methods; one that needs more alternatives than the answer has is listed as such."""
    k = max(done.generated.k, 1)
    names = sorted(METHODS, key=lambda name: METHODS[name].needs_k > k)
    usable = [name for name in names if METHODS[name].needs_k <= k]

    def label(name: str) -> str:
        needs = METHODS[name].needs_k
        return METHODS[name].label if needs <= k else f"{METHODS[name].label} (needs k = {needs})"

    chosen = st.selectbox(
        "Doubt score", names, index=names.index(DEFAULT), key="doubts.method", persist_state="session", width=280,
        format_func=label, help="The higher, the more doubtful. docs/doubts.md says how good each is.",
    )  # fmt: skip
    if chosen in usable:
        return str(chosen)
    st.caption(
        f"{METHODS[chosen].label} needs {METHODS[chosen].needs_k} alternatives per position; this answer has {k}. "
        f"{METHODS[DEFAULT].label} is used.",
        width="content",
    )
    return DEFAULT


def _view(done: Completion) -> TokenMapView:
    kept: tuple[Completion, TokenMapView] | None = st.session_state.get("doubts.view")
    if kept is None or kept[0] is not done:
        kept = st.session_state["doubts.view"] = (done, TokenMapView(done))
    return kept[1]


def _read(done: Completion, method: str, gate: Gate) -> _Read:
    """What is read off an answer, kept between reruns."""
    kept: _Read | None = st.session_state.get(_KEPT)
    if kept is None or (kept.method, kept.gate) != (method, gate) or kept.doubts.completion is not done:
        keys = [(each.first, each.last) for each in fields_of(done).keys]  # of JSON: names of values, not statements
        doubts = doubts_of(done, method, gate, leave_out=keys)
        kept = st.session_state[_KEPT] = _Read(method, gate, doubts, _as_flags(doubts), doubts_of(done, DEFAULT))
    return kept


def _as_flags(doubts: Doubts) -> Flags:
    presets = presets_of(doubts.method.name)
    found = doubts.terms
    return Flags(
        found.first,
        found.last,
        doubts.scores,
        [shown(doubts.alternatives(place)) for place in range(len(found))],
        presets.by_name,
        presets.usual,
        doubts.method.unit,
        doubts.sudden,
    )


def _meaning(done: Completion, found: Flagged) -> None:
    """Say what flags mean, with what was measured on this model."""
    if not len(found.doubts.terms):
        st.caption(_NOTHING[found.gate])
        return
    st.caption(
        "A flag marks words that the model found unlikely or could not decide on. It does not mean that they are "
        "wrong, and words without a flag may be made up with confidence."
    )
    measured = measured_for(done)
    if measured is None:
        st.caption(
            "How often flags are right is not measured on this model. `candor evaluate-doubts` measures it on labelled "
            "facts."
        )
    elif found.doubts.method.name not in measured.scores:
        st.caption("How often flags by this method are right is not measured on this model.")
    else:
        _figures(measured, found)


def _figures(measured: Measured, found: Flagged) -> None:
    method = found.doubts.method.name
    at = at_threshold(measured, method, found.threshold)
    if at is None:
        return
    auroc = measured.auroc.get(method)
    separation = "" if auroc is None else f" AUROC {auroc.value:.2f} ({auroc.low:.2f} to {auroc.high:.2f})."
    if not at.flagged:
        text = f"Of {at.n:,} labelled facts, this threshold flags none."
    else:
        text = (
            f"On {at.n:,} labelled facts in {formatting.count(measured.answers, 'answer')}, {at.wrong:,} of them "
            f"wrong, flags from this threshold on find {at.recall.value:.0%} of the wrong ones "
            f"({at.recall.low:.0%} to {at.recall.high:.0%}), and {at.precision.value:.0%} of the flagged facts are "
            f"wrong ({at.precision.low:.0%} to {at.precision.high:.0%})."
        )
    others = "" if found.gate is Gate.TERMS else " Flags of ordinary words are not in these figures."
    about = f"{marked(measured.model)}, {measured.part} part, {measured.date[:_DAY]}."
    st.caption(as_text(f"{text}{others}{separation} {about}"))
