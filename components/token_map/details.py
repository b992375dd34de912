"""The details of one cell: its tokens, their exact scores and their alternatives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import streamlit as st

from lib import formatting
from lib.core.tokens import TokenKind, Tokens
from lib.display.tables import alternatives
from lib.display.token_map_view import TokenMapView
from lib.scores.token_scores import entropy_bounds, margin

if TYPE_CHECKING:
    import pandas as pd

_KINDS = {
    TokenKind.SPECIAL: "A control token.",
    TokenKind.STOP: "Ended the answer; not part of its text.",
    TokenKind.REASONING: "Reasoning; excluded from the answer's scores unless you include it.",
    TokenKind.TOOL: "Part of a tool call.",
    TokenKind.IMAGE: "A placeholder for image input.",
}


def token_detail(view: TokenMapView, cell: int | None) -> None:
    """Show the pinned cell's details; without a pin, how to get them."""
    if cell is None:
        st.caption("Hover over a token for its probability, rank and alternatives. Click to pin it here.")
        return
    rows = view.tokens_of(cell)
    st.code(formatting.visible(view.text_of(cell)) or " ", language=None, wrap_lines=True)
    if len(rows) > 1:
        st.caption(f"{len(rows)} tokens that form one unit; their logprobs add up.")
    for row in rows:
        _one_token(view, row, numbered=len(rows) > 1)


def _one_token(view: TokenMapView, row: int, *, numbered: bool) -> None:
    tokens = view.tokens[row : row + 1]
    read = len(view.completion.prompt)
    where = f"prompt, token {row + 1} of {read}" if row < read else f"answer, token {row - read + 1}"
    if numbered:
        st.code(formatting.visible(tokens.pieces.text_of(int(tokens.refs[0]))) or " ", language=None)
    logprob = float(tokens.logprobs[0])
    if math.isnan(logprob):
        listed = bool((tokens.top_refs >= 0).any())
        why = "Nothing precedes the first token." if row == 0 else ""
        st.markdown(
            f"Not scored ({where}). " + ("The response doesn't say which of these was chosen." if listed else why)
        )
        if listed:
            _list(tokens)
        return
    low, high = entropy_bounds(tokens, view.completion.vocabulary_size)
    number = int(tokens.ids[0])
    st.markdown(
        f"**{formatting.percent(math.exp(logprob))}** · logprob {formatting.nats(logprob, 6)}  \n"
        f"rank {formatting.rank(int(tokens.ranks[0]))} · id {number if number >= 0 else 'unknown'} · {where}"
    )
    _list(tokens)
    st.caption(
        f"Margin to the runner-up {formatting.percent(float(margin(tokens)[0]))}  \n"
        f"Entropy {formatting.bracket(float(low[0]), float(high[0]))}"
    )
    if (kind := TokenKind(int(tokens.kinds[0]))) in _KINDS:
        st.caption(_KINDS[kind])


def _list(tokens: Tokens) -> None:
    """Show the alternatives of the single position in `tokens`."""
    st.dataframe(
        _listed(tokens),
        hide_index=True,
        height="content",
        row_height=27,
        column_config={
            "token": st.column_config.TextColumn("Alternative"),
            "share": st.column_config.TextColumn("p", width=70),
            "probability": st.column_config.ProgressColumn("0–1", min_value=0, max_value=1, format=" ", width=60),
        },
    )


def _listed(tokens: Tokens) -> pd.DataFrame:
    """The alternatives of the single position in `tokens`, as text."""
    import pandas as pd

    listed = alternatives(tokens, 0)
    names = [
        "all others" if role == "others" else formatting.visible(text) + (" ◂" if role == "chosen" else "")
        for text, role in zip(listed["text"], listed["role"], strict=True)
    ]
    return pd.DataFrame(
        {
            "token": names,
            "share": listed["probability"].map(formatting.percent),
            "probability": listed["probability"],
        }
    )
