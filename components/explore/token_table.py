"""The tokens of a completion as a table."""

from __future__ import annotations

import streamlit as st

from lib import formatting
from lib.core.completion import Completion
from lib.display.tables import table


def token_table(completion: Completion) -> None:
    """Show one row per token, prompt first."""
    frame = table(completion)
    frame["text"] = frame["text"].map(formatting.visible)
    number = st.column_config.NumberColumn
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            "part": "Part",
            "position": number("Position"),
            "id": number("Token id", format="%d"),
            "text": "Text",
            "kind": "Kind",
            "probability": number("Probability", format="%.4g"),
            "logprob": number("Logprob (nats)", format="%.4f"),
            "rank": number("Rank", format="%d"),
            "entropy_at_least": number("Entropy, lower bound (nats)", format="%.2f"),
            "entropy_at_most": number("Entropy, upper bound (nats)", format="%.2f"),
            "margin": number("Margin", format="%.3f"),
            "others": number("Outside top k", format="%.3f"),
        },
    )
