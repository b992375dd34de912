"""Download a completion, or load it in a notebook."""

from __future__ import annotations

import streamlit as st

from components.token_map.export_html import to_html
from lib.core.completion import Completion
from lib.display.export import to_csv, to_json

SNIPPET = """import json

import pandas as pd

with open("candor.json", encoding="utf-8") as file:
    run = json.load(file)

parts = [pd.DataFrame(run[part]).assign(part=part) for part in ("prompt", "generated")]
tokens = pd.concat(parts, ignore_index=True)
tokens["logprob"] = pd.to_numeric(tokens["logprob"])  # in nats; "-inf" becomes a number
tokens[["part", "text", "id", "logprob", "rank"]]
"""


def downloads(completion: Completion) -> None:
    """Buttons for interactive HTML, complete JSON and a CSV table, and code for a notebook.

    Each file is made when its button is pressed.
    """
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download HTML", lambda: to_html(completion), "candor.html", "text/html",
            icon=":material/download:", on_click="ignore",
            help="The interactive map as one file: hover, pin, change the metric. Works offline and as an attachment.",
        )  # fmt: skip
        st.download_button(
            "Download JSON", lambda: to_json(completion), "candor.json", "application/json",
            icon=":material/download:", on_click="ignore", help="Every token with its alternatives, ids and bytes.",
        )  # fmt: skip
        st.download_button(
            "Download CSV", lambda: to_csv(completion), "candor.csv", "text/csv",
            icon=":material/download:", on_click="ignore", help="One row per token, for a spreadsheet.",
        )  # fmt: skip
        with st.popover("Use in a notebook", icon=":material/data_object:"):
            st.caption("Download the JSON, then run:")
            st.code(SNIPPET, language="python")
