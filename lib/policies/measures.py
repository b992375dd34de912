"""The numbers that a policy can go by: scores of an answer, its calibrated probability, and its most doubtful term."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lib.core.completion import Completion
from lib.scores.confidence import ALL_SCORES, CHOICE, SCORES, scored_tokens

PROBABILITY = "probability"
DOUBTFUL_TERMS = "doubtful terms"
_ROUNDING = 0.1  # nats; half-precision logits may lift a sum of logprobs this far above 0


@dataclass(frozen=True)
class Measure:
    """A number for an answer, by which a policy decides."""

    name: str
    label: str
    unit: str  # "nats", "log-odds" or "probability"
    low: float  # no value is lower
    high: float  # no value is higher, but for rounding
    doubt: bool = False  # whether higher is more doubtful rather than more confident


def _measure_of(name: str) -> Measure:
    if name == CHOICE:
        return Measure(name, ALL_SCORES[name].label, "log-odds", -math.inf, math.inf)
    return Measure(name, ALL_SCORES[name].label, "nats", -math.inf, 0.0)


MEASURES = {
    **{name: _measure_of(name) for name in ALL_SCORES},
    PROBABILITY: Measure(PROBABILITY, "Probability of being right", "probability", 0.0, 1.0),
    DOUBTFUL_TERMS: Measure(DOUBTFUL_TERMS, "Most doubtful name or number", "nats", 0.0, math.inf, doubt=True),
}


def value_of(measure: str, completion: Completion, *, probability: float = math.nan, doubt: float = math.nan) -> float:
    """The value of a measure for an answer; NaN if it cannot be told, as the choice's score from one answer.

    measure: a name in `MEASURES`. probability: that the answer is right, by a calibration. doubt: the score of its most
    doubtful term, in nats.
    """
    if measure == PROBABILITY:
        return probability
    if measure == DOUBTFUL_TERMS:
        return doubt
    logprobs = scored_tokens(completion)
    return SCORES[measure].of(logprobs) if measure in SCORES and len(logprobs) else math.nan


def threshold_problem(measure: Measure, value: float) -> str:
    """Why a value cannot be a threshold of a measure, as a full sentence; "" if it can."""
    if math.isnan(value):
        return "A threshold is not a number."
    if math.isinf(value):
        return "A threshold is infinite."
    slack = _ROUNDING if measure.unit == "nats" else 0.0
    if measure.low < value <= measure.high + slack:
        return ""
    bounds = {
        "probability": "a probability is between 0 and 1",
        "nats": "a doubt in nats is never below 0" if measure.doubt else "a logprob is never above 0",
    }
    found = "Every value reaches" if value <= measure.low else "No value reaches"
    return f"{found} the threshold {value:g}: {bounds[measure.unit]}."
