"""What the token map is measured on: the map, and what it is measured against. Run by tests/benchmarks/map.py."""

from __future__ import annotations

import html
import math

import numpy as np
import streamlit as st

from components.token_map import token_map
from lib.core.completion import Completion
from lib.display.flags import Flags
from lib.display.token_map_view import TokenMapView
from lib.formatting import percent
from tests.benchmarks.completions import long_completion


def spans(done: Completion) -> str:
    """The usual way: one span per token with its tint, the alternatives in its title."""
    tokens, names = done.generated, done.pieces.texts
    made = []
    for row in range(len(tokens)):
        p = math.exp(tokens.logprobs[row])
        rivals = "&#10;".join(
            f"{html.escape(names[ref])} {percent(math.exp(logprob))}"
            for ref, logprob in zip(tokens.top_refs[row], tokens.top_logprobs[row], strict=True)
        )
        made.append(
            f'<span style="background:rgba(232,132,28,{1 - p:.2f})" title="{percent(p)}&#10;{rivals}">'
            f"{html.escape(names[tokens.refs[row]])}</span>"
        )
    return f'<div class="spans" style="white-space:pre-wrap">{"".join(made)}</div>'


def flags_of(done: Completion) -> Flags:
    """Flags on three tokens in ten, with three alternatives each."""
    tokens, names = done.generated, done.pieces.texts
    first = np.array([row for row in range(len(tokens)) if row % 10 in (2, 5, 6)], np.int32)
    others = [[(names[ref], 0.1) for ref in refs] for refs in tokens.top_refs[first, :3]]
    presets = {"Few": 6.0, "Usual": 3.0, "Many": 1.0}
    return Flags(first, first + 1, -tokens.logprobs[first].astype(np.float64), others, presets, 3.0)


def main() -> None:
    """Draw a short text, and after a click the one that the page's address asks for."""
    state, asked = st.session_state, st.query_params
    state.runs = state.get("runs", 0) + 1
    state.shown = st.button("Show") or state.get("shown", False)
    st.button("Run again")
    done = long_completion(int(asked["tokens"]) if state.shown else 10)
    if asked["way"] == "spans":
        st.html(spans(done))
    elif asked["way"] in ("map", "flags"):
        if "view" not in state or state.view.completion is not done:
            state.view = TokenMapView(done)
        pinned = token_map(state.view, key="map", flags=flags_of(done) if asked["way"] == "flags" else None)
        st.write(f"runs: {state.runs} · pinned: {pinned}")


main()
