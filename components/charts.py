"""Plotly charts. Texts from models and users are escaped, as Plotly interprets some markup."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from lib import formatting
from lib.core.completion import Completion
from lib.display.tables import table
from lib.scores.token_scores import Column


def logprob_by_position(completion: Completion) -> None:
    """Draw the logprob of every token of prompt and answer, by position."""
    import plotly.graph_objects as go  # takes 0.3 s: only when there is something to draw

    frame = table(completion)
    figure = go.Figure()
    for part, symbol, colour in (("prompt", "circle-open", "#8a8f98"), ("answer", "circle", accent())):
        rows = frame[frame["part"] == part]
        figure.add_trace(
            go.Scatter(
                x=rows.index + 1,
                y=rows["logprob"],
                name=formatting.capital(part),
                mode="lines+markers",
                line={"color": colour, "width": 1.2},
                marker={"color": colour, "symbol": symbol, "size": 6},
                customdata=[
                    (html.escape(formatting.visible(text)), formatting.percent(chance), f"{part}, token {position}")
                    for text, chance, position in zip(rows["text"], rows["probability"], rows["position"], strict=True)
                ],
                hovertemplate="%{customdata[0]}<br>%{y:.3f} nats · %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
            )
        )
    figure.update_layout(**chart_layout("Position", "Logprob (nats)"))
    st.plotly_chart(figure, key="explore.by_position", config={"displayModeBar": False})


def clarity_curves(curves: Mapping[str, Column], k: int) -> None:
    """Draw each prompt's mean logprob over the first tokens of its answers, by their number, with a line at k."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for (name, curve), (colour, dash) in zip(curves.items(), _LINES, strict=False):
        figure.add_trace(
            go.Scatter(
                x=list(range(1, len(curve) + 1)), y=curve, name=html.escape(name), mode="lines+markers",
                line={"color": accent() if colour is None else colour, "width": 1.5, "dash": dash}, marker={"size": 5},
                hovertemplate="first %{x}: %{y:.3f} nats<extra>%{fullData.name}</extra>",
            )
        )  # fmt: skip
    figure.add_vline(k, line={"color": "#8a8f98", "width": 1, "dash": "dot"})
    figure.update_layout(**chart_layout("First tokens of the answer (k)", "Mean logprob (nats)"))
    st.plotly_chart(figure, key="prompts.curves", config={"displayModeBar": False})


def clarity_by_version(names: Sequence[str], values: Sequence[float], k: int) -> None:
    """Draw the mean logprob of each version of a prompt, in the order they were first compared."""
    import plotly.graph_objects as go

    figure = go.Figure(
        go.Scatter(
            x=[html.escape(name) for name in names], y=list(values), mode="lines+markers",
            line={"color": accent(), "width": 1.2}, marker={"size": 7},
            hovertemplate="%{x}: %{y:.3f} nats<extra></extra>",
        )
    )  # fmt: skip
    figure.update_layout(**chart_layout("Version", f"Mean logprob of the first {k} tokens (nats)"))
    figure.update_xaxes(type="category")
    st.plotly_chart(figure, key="prompts.by_version", config={"displayModeBar": False})


# (colour, dash) of each curve: dashes distinguish them without colour. None is the accent colour.
_LINES = ((None, "solid"), ("#8a8f98", "dash"), ("#c2571a", "dot"), ("#2b8a5e", "dashdot"))


def accent() -> str:
    """The accent colour of the theme."""
    return "#5b76f7" if st.context.theme.type == "dark" else "#3b5bdb"


def chart_layout(x: str, y: str) -> dict[str, Any]:
    """What all charts share. x, y: titles of the axes."""
    return {
        "height": 260,
        "margin": {"l": 8, "r": 8, "t": 32, "b": 8},
        "xaxis": {"title": x, "showgrid": False},
        "yaxis": {"title": y},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        "hovermode": "closest",
    }
