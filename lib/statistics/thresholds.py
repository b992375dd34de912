"""The threshold that is shown to keep a risk, or why none is and how many labels would show one."""

from __future__ import annotations

from dataclasses import dataclass

from lib.statistics.selective import (
    Guarantee,
    Outcomes,
    Scores,
    fewest_kept,
    guaranteed,
    labels_needed,
)


@dataclass(frozen=True)
class Guaranteed:
    """A risk, and the threshold that is shown to keep it; or why none is."""

    risk: float  # the share of wrong answers among those that go out
    certainty: float
    found: Guarantee | None
    why_not: str = ""
    more_labels: int | None = None  # about how many more would show it; None if labels are not what is missing


def sought(scores: Scores, right: Outcomes, risk: float, certainty: float) -> Guaranteed:
    """The threshold for a risk and a certainty; see `selective.guaranteed`."""
    n, fewest = len(right), fewest_kept(risk, certainty)
    found = guaranteed(scores, right, risk, confidence=certainty) if n >= fewest else None
    if found is not None:
        return Guaranteed(risk, certainty, found)
    needed = labels_needed(scores, right, risk, confidence=certainty)
    if n < fewest:
        why = f"Needs at least {fewest:,} answers, all correct. You have {n:,}."
    elif needed is None:
        why = "Even the most confident answers are wrong too often."
    else:
        why = f"{n:,} labelled answers are too few."
    return Guaranteed(risk, certainty, None, why, max(needed - n, 0) if needed else None)
