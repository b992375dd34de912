"""The passages' scores as bars, those that are kept in the accent colour."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import streamlit as st

from components.charts import accent, chart_layout
from lib import formatting
from lib.contexts.pruning import ranked
from lib.contexts.scorings import Scores
from lib.segmentation.char_classes import marked
from lib.studies.contexts import ContextsPlan

_NAME, _BAR = 30, 30  # characters of a passage beside its bar; pixels of a bar's row


def rank_chart(plan: ContextsPlan, scores: Scores, kept: Sequence[int], label: str) -> None:
    """Draw how far each passage is above the lowest one, best first. label: of the axis, with the unit if any."""
    import plotly.graph_objects as go

    places = [place for place in ranked(scores) if np.isfinite(scores[place])]
    if not places:
        return
    lowest = float(scores[places[-1]])
    names = [html.escape(marked(formatting.beginning(plan.passages[place].text, _NAME))) for place in places]
    figure = go.Figure(
        go.Bar(
            x=[float(scores[place]) - lowest for place in places],
            y=[f"{rank}. {name}" for rank, name in enumerate(names, 1)],
            orientation="h",
            marker={"color": [accent() if place in kept else "#8a8f98" for place in places]},
            customdata=[f"{float(scores[place]):.5g}".replace("-", "−") for place in places],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    layout = chart_layout(label, "")
    layout |= {"height": 66 + _BAR * len(places), "showlegend": False, "margin": {**layout["margin"], "t": 8}}
    figure.update_layout(**layout)
    figure.update_yaxes(autorange="reversed", automargin=True)
    st.plotly_chart(figure, key="contexts.ranks", config={"displayModeBar": False})
