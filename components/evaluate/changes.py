"""What a second model or prompt changed on the same questions."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.evaluate.figures import limits, percent
from components.evaluate.selection import show_only
from components.shell.escaping import as_text, bold
from lib import formatting
from lib.statistics.bootstrap import Both
from lib.studies.evaluation_comparison import Comparison
from lib.studies.evaluation_outcome import EvaluationOutcome
from lib.studies.evaluation_text import change_in_words, points, sentence

_SHARES = ("accuracy", "mean probability", "mean calibrated probability", "gap")


def changes(outcome: EvaluationOutcome) -> None:
    """For each further model or prompt, show its differences from the first, and the rows that flipped."""
    first = outcome.sides[0]
    for number, (side, found) in enumerate(zip(outcome.sides[1:], outcome.comparisons, strict=True)):
        st.markdown(f"{bold(side.name)} against {bold(first.name)}")
        if not found.n:
            st.caption("No question was answered by both.")
            continue
        _headline(found)
        with st.expander("All differences", icon=":material/difference:"):
            st.dataframe([_row(name, each, found) for name, each in found.differences.items()], hide_index=True)
            st.caption(
                f"Paired: on the {found.n:,} questions that both answered"
                + (f", of which {found.confident:,} have logprobs from both." if found.confident < found.n else ".")
            )
        _flips(number, found)


def _headline(found: Comparison) -> None:
    each = found.differences.get("accuracy") or found.differences.get("bits per character")
    if each is None:
        return
    name = "accuracy" if "accuracy" in found.differences else "bits per character"
    before, after = found.first[name], found.second[name]
    if name == "accuracy":
        text = f"{percent(before)} → {percent(after)}, {_difference(name, each)}"
    else:
        text = f"{before:.3f} → {after:.3f}, {_difference(name, each)}"
    st.markdown(as_text(f"{sentence(name)} {text}: {change_in_words(name, found)}. n = {found.n:,}."))


def _row(name: str, each: Both, found: Comparison) -> dict[str, Any]:
    def text(value: float) -> str:
        return percent(value) if name in _SHARES else f"{value:.3f}".replace("-", "−")

    return {
        "": sentence(name),
        "Before": text(found.first[name]),
        "After": text(found.second[name]),
        "Difference": _difference(name, each),
        "Verdict": change_in_words(name, found),
        "n": each.within.n,
    }


def _difference(name: str, each: Both) -> str:
    """The difference with its interval; that for other groups where there are any, as it is the wider claim."""
    found = each.over or each.within
    if name in _SHARES:
        return points(found)
    return f"{found.value:+.3f} ({limits(found)})".replace("-", "−")


def _flips(number: int, found: Comparison) -> None:
    """Show how many rows flipped; selecting a line lists them below."""
    if "accuracy" not in found.differences:
        return
    lines = (("Gained: right only after", found.gained), ("Lost: right only before", found.lost))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for place, (name, places) in enumerate(lines):
            st.button(
                f"{name.split(':')[0]}: {len(places):,}", key=f"evaluate.flips.{number}.{place}", disabled=not places,
                on_click=show_only, args=(places, name.lower()), help=f"{name}. Lists these answers below.",
            )  # fmt: skip
        st.caption(
            f"McNemar's exact test: {formatting.p_value(found.p_value)}", width="content",
            help="How often rows would flip as unevenly as this if both were right equally often.",
        )  # fmt: skip
