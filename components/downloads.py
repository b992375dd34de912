"""Taking a completion away as a file."""

from __future__ import annotations

import streamlit as st

from lib.completion import Completion
from lib.exports import to_csv, to_json


def downloads(completion: Completion) -> None:
    """JSON with everything, CSV for a spreadsheet. The files are made when they are asked for."""
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "JSON", lambda: to_json(completion), "candor.json", "application/json",
            icon=":material/download:", on_click="ignore", help="Every token with its alternatives, ids and bytes.",
        )  # fmt: skip
        st.download_button(
            "CSV", lambda: to_csv(completion), "candor.csv", "text/csv",
            icon=":material/download:", on_click="ignore", help="One row per token, for a spreadsheet.",
        )  # fmt: skip
