"""The versions of a prompt in a working session: named, brought back to be compared, and how clear each was."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from components.charts import clarity_by_version
from lib import formatting
from lib.scores.clarity import FIRST
from lib.scores.token_scores import Column
from lib.store.runs import beginning

LONG_ENOUGH = "Runs whose answer has so many tokens. Shorter answers are in no mean over them."
_KEY = "prompts.versions"
_LONGEST = 60  # characters of a name
_SHOWN = 80  # characters of a prompt in the list


@dataclass(frozen=True)
class Version:
    """A prompt as it was compared. curve: its clarity by k, each the mean over so many runs."""

    name: str
    prompt: str
    curve: Column
    runs: NDArray[np.int64]


def note_version(prompt: str, curve: Column, runs: NDArray[np.int64]) -> None:
    """Keep a prompt that was compared; one that was before keeps its name, and has the newer figures."""
    kept: dict[str, Version] = st.session_state.setdefault(_KEY, {})
    before = kept.get(prompt)
    name = before.name if before is not None else f"Version {len(kept) + 1}"
    kept[prompt] = Version(name, prompt, curve, runs)


def versions(slots: int) -> None:
    """The list, once there are versions. slots: prompts in the form, into each of which one can be brought back."""
    kept: dict[str, Version] = st.session_state.get(_KEY, {})
    if not kept:
        return
    with st.expander(f"Versions of this session: {len(kept):,}", icon=":material/history_edu:"):
        k = int(st.session_state.get("prompts.k", FIRST))
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            prompt = st.selectbox(
                "Version", list(kept), format_func=lambda each: kept[each].name, key="prompts.version"
            )
            name = st.text_input(
                "Its name", kept[prompt].name, max_chars=_LONGEST, key=f"prompts.version.name.{kept[prompt].name}"
            )
            st.button("Rename", key="prompts.version.rename", on_click=_rename, args=(prompt, name.strip()))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            for slot in range(slots):
                st.button(
                    f"Compare as prompt {slot + 1}", key=f"prompts.version.to.{slot}", icon=":material/arrow_upward:",
                    on_click=_bring_back, args=(slot, prompt),
                )  # fmt: skip
        rows = list(kept.values())
        values = [float(each.curve[k - 1]) for each in rows]
        number = st.column_config.NumberColumn
        st.dataframe(
            pd.DataFrame(
                {
                    "Version": [each.name for each in rows],
                    f"Clarity: first {k} tokens": [None if math.isnan(value) else value for value in values],
                    "Runs": [int(each.runs[k - 1]) for each in rows],
                    "Prompt": [beginning(each.prompt, _SHOWN) for each in rows],
                }
            ),
            hide_index=True,
            column_config={
                f"Clarity: first {k} tokens": number(format="%.3f", help="Mean logprob, in nats."),
                "Runs": number(help=LONG_ENOUGH),
            },
        )
        if len(rows) > 1:
            clarity_by_version([each.name for each in rows], values, k)
        st.caption(f"{formatting.count(len(rows), 'version')}, while this page is open; every run is in the history.")


def _rename(prompt: str, name: str) -> None:
    kept: dict[str, Version] = st.session_state[_KEY]
    if name and prompt in kept:
        kept[prompt] = replace(kept[prompt], name=name)


def _bring_back(slot: int, prompt: str) -> None:
    st.session_state[f"prompts.prompt.{slot}"] = prompt
