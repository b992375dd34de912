"""The prompt versions of a session: named, reusable in a comparison, and listed with their clarity."""

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

LONG_ENOUGH = "Samples with at least k answer tokens; shorter answers are left out."
_KEY = "prompts.versions"
_LONGEST = 60  # characters of a name
_SHOWN = 80  # characters of a prompt in the list


@dataclass(frozen=True)
class Version:
    """A prompt that was compared."""

    name: str
    prompt: str
    curve: Column  # float64[k], nats: mean clarity of the first 1, 2, … k tokens; NaN if no sample is that long
    runs: NDArray[np.int64]  # int64[k]: samples each of these means rests on


def note_version(prompt: str, curve: Column, runs: NDArray[np.int64]) -> None:
    """Add a compared prompt to the versions, or update its figures."""
    saved: dict[str, Version] = st.session_state.setdefault(_KEY, {})
    before = saved.get(prompt)
    name = before.name if before is not None else f"Version {len(saved) + 1}"
    saved[prompt] = Version(name, prompt, curve, runs)


def versions(slots: int) -> None:
    """Show the list of versions, if there are any. slots: prompt fields in the form that a version can fill."""
    saved: dict[str, Version] = st.session_state.get(_KEY, {})
    if not saved:
        return
    with st.expander(f"Versions in this session: {len(saved):,}", icon=":material/history_edu:"):
        _rename_and_reuse(saved, slots)
        _table(list(saved.values()), int(st.session_state.get("prompts.k", FIRST)))
        st.caption(
            f"{formatting.count(len(saved), 'version')}, listed until you close this page. All runs are saved to "
            "history."
        )


def _rename_and_reuse(saved: dict[str, Version], slots: int) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        prompt = st.selectbox("Version", list(saved), format_func=lambda each: saved[each].name, key="prompts.version")
        name = st.text_input(
            "Name", saved[prompt].name, max_chars=_LONGEST, key=f"prompts.version.name.{saved[prompt].name}"
        )
        st.button("Rename", key="prompts.version.rename", on_click=_rename, args=(prompt, name.strip()))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for slot in range(slots):
            st.button(
                f"Use as prompt {slot + 1}", key=f"prompts.version.to.{slot}", icon=":material/arrow_upward:",
                on_click=_reuse, args=(slot, prompt),
            )  # fmt: skip


def _table(rows: list[Version], k: int) -> None:
    clarity = f"Clarity: first {k} tokens"
    values = [float(each.curve[k - 1]) for each in rows]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(
            {
                "Version": [each.name for each in rows],
                clarity: [None if math.isnan(value) else value for value in values],
                "Samples": [int(each.runs[k - 1]) for each in rows],
                "Prompt": [formatting.beginning(each.prompt, _SHOWN) for each in rows],
            }
        ),
        hide_index=True,
        column_config={
            clarity: number(format="%.3f", help="Mean logprob, in nats."),
            "Samples": number(help=LONG_ENOUGH),
        },
    )
    if len(rows) > 1:
        clarity_by_version([each.name for each in rows], values, k)


def _rename(prompt: str, name: str) -> None:
    saved: dict[str, Version] = st.session_state[_KEY]
    if name and prompt in saved:
        saved[prompt] = replace(saved[prompt], name=name)


def _reuse(slot: int, prompt: str) -> None:
    st.session_state[f"prompts.prompt.{slot}"] = prompt
