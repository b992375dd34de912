"""A page with a token map that has flags. Run by test_flags.py."""

from __future__ import annotations

import numpy as np

from lib.core.completion import Completion
from lib.display.flags import Flags
from lib.display.token_map_view import TokenMapView
from tests.e2e.apps.token_map_app import PROMPT, Row, completion
from tests.support.hostile_text import STRINGS

PRESETS = {"Few": 6.0, "Usual": 3.0, "Many": 1.0}
# Passages with their score and what could be there instead; other rows are no terms.
WORDS: tuple[tuple[str, float, tuple[tuple[str, float], ...]], ...] = (
    (" Ada", 0.4, ((" Ada", 0.7), (" Alan", 0.2))),
    (" Lovelace", 0.2, ()),
    (" was born in", -1, ()),
    (" London", 3.5, (("Paris", 0.3), ("Vienna", 0.12), ("Berl…", 0.06))),
    (" on", -1, ()),
    (" 10", 1.5, (("12", 0.25), ("2", 0.1))),
    (" December", 2.5, (("October", 0.3),)),
    (",", -1, ()),
    (" 1815", 7.5, (("1816", 0.2), ("1820", 0.01))),
    (". Her mother, Lady", -1, ()),
    (" Byron", 2.0, (("Anne", 0.4),)),
    (", asked", -1, ()),
    (" Mary", 4.0, (("Augustus", 0.5),)),
    ("-", -1, ()),
    ("Somerville", 5.0, ()),
    (" to teach her.\n", -1, ()),
    ("Babbage", 9.5, (("De Morgan", 0.31), (" עולם", 0.1))),
    (" wrote:\n", -1, ()),
    (" <img src=x onerror=window.pwned=1>", 8.0, (("<script>window.pwned=1</script>", 0.3),)),
    (" and", -1, ()),
    (" \u202eevil", 6.5, (("\u202elive", 0.2),)),
    (" שלום", 3.1, (("עולם", 0.2),)),
    (" in the end", -1, ()),
    (".\n", -1, ()),
)
SUDDEN = (" Mary", "Babbage")  # the terms that are a sudden drop


def answer() -> tuple[Completion, Flags]:
    """The answer of the page, with its terms."""
    rows = [Row(text, float(np.exp(-max(score, 0.02)))) for text, score, _ in WORDS]
    terms = [row for row, (_, score, _) in enumerate(WORDS) if score >= 0]
    return completion(PROMPT, rows), _flags(terms)


def _flags(rows: list[int]) -> Flags:
    return Flags(
        first=np.array(rows, np.int32),
        last=np.array(rows, np.int32) + 1,
        scores=np.array([WORDS[row][1] for row in rows]),
        alternatives=[WORDS[row][2] for row in rows],
        presets=PRESETS,
        threshold=3.0,
        sudden=np.array([WORDS[row][0] in SUDDEN for row in rows]),
    )


def long_answer(tokens: int) -> tuple[Completion, Flags]:
    """An answer of many tokens, three in ten of them terms."""
    some = (" The", " river", " Elbe", " rises", " near", " Prague", " at", " 1,386", " metres", ".")
    rows = [Row(some[i % 10], 0.5 + 0.04 * (i % 10)) for i in range(tokens)]
    terms = np.array([i for i in range(tokens) if i % 10 in (2, 5, 7)], np.int32)
    scores = 12.0 * np.random.default_rng(5).random(len(terms)) ** 2
    return completion((), rows), Flags(
        terms, terms + 1, scores, [(("Rhine", 0.2), ("Danube", 0.1))] * len(terms), PRESETS, 3.0
    )


def hostile() -> tuple[Completion, Flags]:
    """Every hostile text as a flagged token and as its own alternative."""
    rows = [Row(text, 0.1, likely=((text, 0.1),)) for text in STRINGS]
    every = np.arange(len(rows), dtype=np.int32)
    return completion(rows[:1], rows), Flags(
        every, every + 1, 5.0 + every, [[(text, 0.1)] for text in STRINGS], PRESETS, 3.0
    )


def page() -> None:
    """Draw the page."""
    import streamlit as st

    from components.token_map import token_map
    from components.token_map.flags import chosen_threshold

    st.set_page_config(layout="wide")
    state, asked = st.session_state, st.query_params
    state.runs = state.get("runs", 0) + 1
    state.setdefault("shown", "flags")
    with st.container(horizontal=True):
        for name in ("flags", "no flags", "no map"):
            if st.button(name):
                state.shown = name
    if "drawn" not in state:
        done, flags = (
            long_answer(int(asked["tokens"])) if "tokens" in asked else hostile() if "hostile" in asked else answer()
        )
        state.drawn = TokenMapView(done), flags
    view, flags = state.drawn
    if state.shown == "no map":
        st.write("no map")
        return
    pinned = token_map(view, key="map", flags=flags if state.shown == "flags" else None)
    st.write(f"runs: {state.runs} · pinned: {pinned} · from: {chosen_threshold('map', flags):g}")


if __name__ == "__main__":
    page()
