"""How many passages are kept: a number, a minimum score or a token budget, each with a slider."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from lib.contexts.pruning import Rule
from lib.contexts.scorings import DRAFT, GAIN, QUESTION, Scores
from lib.studies.contexts import ContextsPlan
from lib.studies.contexts_outcome import Scored

_CLOSE = 1e-9  # scores that are no further apart are equal


def in_nats(name: str) -> bool:
    """Whether a scoring is in nats."""
    return name in (QUESTION, DRAFT, GAIN)


def kept_value(plan: ContextsPlan, by: str, rule: Rule, scores: Scores, scored: Scored) -> float:
    """Show the slider of a rule, which begins with the plan's own value."""
    own = plan.keep.value if plan.keep.rule is rule else None
    if rule is Rule.TOP:
        number = len(plan.passages)
        if number < 2:
            return 1.0
        usual = min(number, 3 if own is None else int(own))
        return float(st.slider("Passages to keep", 1, number, max(1, usual), key=f"contexts.top.{number}"))
    if rule is Rule.BUDGET:
        total = max(2, sum(scored.tokens))
        usual = total // 2 if own is None else min(total, int(own))
        return float(st.slider("Token budget", 1, total, max(1, usual), key=f"contexts.budget.{total}"))
    return _threshold(scores, own, f"Minimum score{', in nats' if in_nats(by) else ''}")


def _threshold(scores: Scores, own: float | None, name: str) -> float:
    """Show the slider of a score, in a hundred steps whether scores are far apart or close. name: its label."""
    known = scores[np.isfinite(scores)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    span = high - low
    if span < _CLOSE:
        return low
    start_at = (low + high) / 2 if own is None else min(max(own, low), high)
    decimals = max(3, 2 - math.floor(math.log10(span)))
    return float(
        st.slider(
            name, low, high, start_at, span / 100, key=f"contexts.threshold.{low:.9g}.{high:.9g}",
            format=f"%.{decimals}f",
        )
    )  # fmt: skip
