"""Charts of an evaluation: the reliability diagram, and risk by coverage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.charts import accent, chart_layout
from lib.statistics.calibration import Reliability
from lib.statistics.selective import RiskCoverage

_GREY = "#8a8f98"
_MOST_POINTS = 1_000  # of a line, and of the rug


def reliability_diagram(found: Reliability, *, key: str, on_select: Callable[[], None]) -> None:
    """The share of right answers by stated probability, with the band in which a calibrated model lies."""
    import plotly.graph_objects as go

    keep = _thinned(len(found.p))
    p = found.p[keep]
    figure = go.Figure()
    band = np.concatenate([found.high[keep], found.low[keep][::-1]])
    figure.add_trace(
        go.Scatter(
            x=np.concatenate([p, p[::-1]]), y=band, fill="toself", fillcolor="rgba(138,143,152,0.22)",
            line={"width": 0}, hoverinfo="skip", name="Where a calibrated model lies (95%)",
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": _GREY, "width": 1, "dash": "dot"}, showlegend=False)
    )
    figure.add_trace(
        go.Scatter(
            x=p, y=found.right[keep], mode="lines+markers", line={"color": accent(), "width": 2, "shape": "hv"},
            marker={"size": 4},
            name="Right answers", hovertemplate="stated %{x:.0%}: right %{y:.0%}<extra></extra>",
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=p, y=np.zeros(len(p)), mode="markers", showlegend=False, hovertemplate="stated %{x:.0%}<extra></extra>",
            marker={"symbol": "line-ns-open", "size": 8, "color": _GREY, "opacity": 0.5},
        )
    )  # fmt: skip
    figure.update_layout(**_layout("Probability", "Share that is right"))
    st.plotly_chart(
        figure, key=key, config={"displayModeBar": False}, on_select=on_select, selection_mode="points"
    )  # fmt: skip


def confidence_histogram(p: NDArray[np.floating], right: NDArray[np.bool_], *, key: str) -> None:
    """How many right answers, upwards, and wrong ones, downwards, have each probability, in twenty bins."""
    import plotly.graph_objects as go

    edges = np.linspace(0, 1, 21)
    figure = go.Figure()
    for name, which, sign, colour in (("Right", right, 1, accent()), ("Wrong", ~right, -1, _GREY)):
        counts = np.histogram(p[which], edges)[0]
        figure.add_trace(
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2, y=sign * counts, name=name, marker={"color": colour}, width=0.045,
                customdata=counts, hovertemplate="stated %{x:.0%}: %{customdata}<extra>%{fullData.name}</extra>",
            )
        )  # fmt: skip
    layout = chart_layout("Probability", "Answers")
    layout["height"], layout["barmode"] = 220, "relative"
    layout["xaxis"] |= {"tickformat": ".0%", "range": [-0.02, 1.02]}
    layout["yaxis"] |= {"showticklabels": False}
    figure.update_layout(**layout)
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})


def risk_by_coverage(found: RiskCoverage, *, key: str, on_select: Callable[[], None]) -> None:
    """The share of wrong answers among those that are kept, by the share kept."""
    import plotly.graph_objects as go

    keep = _thinned(len(found.coverage))
    coverage, last = found.coverage[keep], float(found.risk[-1])
    ideal = np.maximum(coverage - (1 - last), 0) / coverage
    figure = go.Figure()
    for name, risk, colour, dash in (
        ("Uninformative score", np.full(len(coverage), last), _GREY, "dot"),
        ("Perfect score", ideal, _GREY, "dash"),
        ("This score", found.risk[keep], accent(), "solid"),
    ):
        points = {"mode": "lines+markers", "marker": {"size": 3}} if dash == "solid" else {"mode": "lines"}
        figure.add_trace(
            go.Scatter(
                x=coverage, y=risk, **points, name=name, line={"color": colour, "width": 1.5, "dash": dash},
                hovertemplate="%{x:.0%} kept: %{y:.1%} wrong<extra></extra>",
            )
        )  # fmt: skip
    figure.update_layout(**_layout("Answers released, most confident first", "Wrong among them"))
    st.plotly_chart(
        figure, key=key, config={"displayModeBar": False}, on_select=on_select, selection_mode="points"
    )  # fmt: skip


def _thinned(count: int) -> Any:
    """Places of a thousand points at most, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_POINTS)).astype(int))


def _layout(x: str, y: str) -> dict[str, Any]:
    found = chart_layout(x, y)
    found["height"] = 320
    found["xaxis"] |= {"tickformat": ".0%", "range": [-0.02, 1.02]}
    found["yaxis"] |= {"tickformat": ".0%", "rangemode": "tozero"}
    return found
