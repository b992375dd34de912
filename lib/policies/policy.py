"""A policy: what an application does with an answer, by ranges of one number for how confident the model was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from lib.doubts.methods import DEFAULT
from lib.doubts.presets import presets_of
from lib.errors import InvalidRequest
from lib.formatting import exact_percent
from lib.policies.measures import DOUBTFUL_TERMS, MEASURES, PROBABILITY, Measure, threshold_problem
from lib.segmentation.char_classes import encodable

if TYPE_CHECKING:
    from lib.statistics.thresholds import Guaranteed  # which needs scipy, slow to import

MOST_RULES = 20
LONGEST_NAME = 100  # characters
LONGEST_TEXT = 2_000  # characters of a note, or of an action's text
_RULES_REMEDY = f"Give 1 to {MOST_RULES} ranges."
_NUMBER_REMEDY = "Use a finite number."


class Action(StrEnum):
    """What an application does with an answer. The values are stored."""

    ANSWER = "answer"
    VERIFY = "verify"
    RETRIEVE = "retrieve more"
    CLARIFY = "ask a clarifying question"
    FALL_BACK = "fall back"
    PERSON = "send to a person"


@dataclass(frozen=True)
class Rule:
    """An action for all values from a threshold up to the rule before."""

    action: Action
    at_least: float  # in the measure's unit; −inf for the last rule, which takes all lower values


@dataclass(frozen=True)
class Range:
    """A rule as a person writes it, with both ends."""

    action: str
    low: float | None  # the lowest value in the range; None for no lower end
    high: float | None  # the lowest value above it; None for no upper end


@dataclass(frozen=True)
class Policy:
    """Ranges of a measure, each with its action. Raises InvalidRequest if they are not a policy."""

    name: str
    measure: str  # a name in `MEASURES`
    rules: tuple[Rule, ...]  # highest threshold first; the last one takes all lower values
    missing: Action = Action.PERSON  # for an answer without a value, such as one without logprobs
    texts: tuple[tuple[Action, str], ...] = ()  # what the application says or asks with an action
    note: str = ""  # what the thresholds rest on

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", encodable(self.name))
        object.__setattr__(self, "note", encodable(self.note))
        object.__setattr__(self, "texts", tuple((action, encodable(text)) for action, text in self.texts))
        if not self.name.strip():
            raise InvalidRequest("The policy has no name.", "Give it a name.")
        _check_length("name", self.name, LONGEST_NAME)
        for text in (self.note, *(text for _, text in self.texts)):
            _check_length("text", text, LONGEST_TEXT)
        for action in (self.missing, *(rule.action for rule in self.rules), *(action for action, _ in self.texts)):
            action_of(action)
        if len({action for action, _ in self.texts}) < len(self.texts):
            raise InvalidRequest("The policy has two texts for the same action.", "Remove one of them.")
        _check_rules(self.rules, _measure(self.measure))

    @property
    def about(self) -> Measure:
        """The measure that it goes by."""
        return MEASURES[self.measure]

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The rules with both ends, highest values first."""
        ends = [None, *(rule.at_least for rule in self.rules)]
        lows = [*(rule.at_least for rule in self.rules[:-1]), None]
        return tuple(Range(rule.action, low, high) for rule, low, high in zip(self.rules, lows, ends, strict=False))


def decide(policy: Policy, value: float) -> Action:
    """The action for a value of the policy's measure; NaN is a missing value."""
    if math.isnan(value):
        return policy.missing
    return next(rule.action for rule in policy.rules if value >= rule.at_least)


def action_of(value: str) -> Action:
    """The action of that name. Raises InvalidRequest."""
    try:
        return Action(value)
    except ValueError:
        raise InvalidRequest(
            f"There is no action “{str(value)[:80]}”.", f"Use one of these: {', '.join(Action)}."
        ) from None


def from_ranges(name: str, measure: str, ranges: Sequence[Range]) -> Policy:
    """The policy of some ranges, in any order. Raises InvalidRequest for gaps, overlaps and empty ranges.

    Together they must cover all values of the measure. An end at the measure's own limit is as good as none.
    """
    _check_count(len(ranges))
    about = _measure(measure)
    ends = []
    for each in ranges:
        low = -math.inf if each.low is None or each.low == about.low else float(each.low)
        high = math.inf if each.high is None else float(each.high)
        if math.isnan(low) or math.isnan(high):
            raise InvalidRequest("An end of a range is not a number.", _NUMBER_REMEDY)
        if low >= high:
            raise InvalidRequest(
                f"The range from {_exact(low)} to {_exact(high)} is empty.", "The first number must be the lower one."
            )
        ends.append((low, high, action_of(each.action)))
    ends.sort(key=lambda each: each[:2])
    if ends[0][0] != -math.inf:
        raise InvalidRequest(
            f"No range covers values below {_exact(ends[0][0])}.", "Leave the lowest range open below."
        )
    reach = ends[0][1]  # the end of what the ranges so far cover
    for low, high, _ in ends[1:]:
        if low > reach:
            raise InvalidRequest(
                f"There is a gap: no range covers values from {_exact(reach)} to {_exact(low)}.",
                "Let each range begin where another ends.",
            )
        if low < reach:
            raise InvalidRequest(
                f"Two ranges overlap{_ends(low, min(high, reach))}.", "Let each range begin where another ends."
            )
        reach = high
    if reach not in (about.high, math.inf):
        raise InvalidRequest(f"No range covers values from {_exact(reach)} up.", "Leave the highest range open above.")
    return Policy(name, measure, tuple(Rule(action, low) for low, _, action in reversed(ends)))


def _exact(value: float) -> str:
    """A number with every digit that tells it from another."""
    return repr(value).removesuffix(".0")


def _ends(low: float, high: float) -> str:
    """Where a range is, as the end of a sentence; "" for all values."""
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(low):
        return f" below {_exact(high)}"
    return f" from {_exact(low)} up" if math.isinf(high) else f" from {_exact(low)} to {_exact(high)}"


def from_threshold(
    found: Guaranteed, measure: str, *, name: str = "Guaranteed threshold", otherwise: Action = Action.VERIFY
) -> Policy:
    """The policy that answers from a guaranteed threshold on. Raises InvalidRequest if there is no such threshold.

    measure: what the threshold was sought on. Doubts must have been negated, as higher scores must be more confident.
    """
    if found.found is None:
        raise InvalidRequest(
            f"No threshold keeps the risk at {exact_percent(found.risk)}. {found.why_not}",
            "Allow a higher risk, or label more answers.",
        )
    threshold = found.found.threshold
    rules: tuple[Rule, ...]
    if _measure(measure).doubt:
        # A doubt of exactly −threshold still passes, so that the other action begins just above it.
        rules = (Rule(otherwise, math.nextafter(-threshold, math.inf)), Rule(Action.ANSWER, -math.inf))
    else:
        rules = (Rule(Action.ANSWER, threshold), Rule(otherwise, -math.inf))
    if math.isinf(threshold):  # even the lowest score passes
        rules = (Rule(Action.ANSWER, -math.inf),)
    note = (
        f"With {exact_percent(found.certainty)} certainty, at most {exact_percent(found.risk)} of the answers that go "
        f"out are wrong. Measured on {found.found.n:,} labelled answers, of which {found.found.kept:,} would go out "
        f"and {found.found.wrong:,} of these are wrong. It holds for the same model, prompt and kind of question."
    )
    return Policy(name, measure, rules, note=note)


def _measure(name: str) -> Measure:
    if name not in MEASURES:
        raise InvalidRequest(f"There is no measure “{name[:80]}”.", f"Use one of these: {', '.join(MEASURES)}.")
    return MEASURES[name]


def _check_count(rules: int) -> None:
    if not 0 < rules <= MOST_RULES:
        raise InvalidRequest(f"The policy has {rules:,} ranges.", _RULES_REMEDY)


def _check_rules(rules: Sequence[Rule], measure: Measure) -> None:
    _check_count(len(rules))
    for rule in rules[:-1]:
        if problem := threshold_problem(measure, rule.at_least):
            raise InvalidRequest(problem, _remedy(measure) if math.isfinite(rule.at_least) else _NUMBER_REMEDY)
    last = rules[-1].at_least
    if math.isnan(last):
        raise InvalidRequest("A threshold is not a number.", _NUMBER_REMEDY)
    if last != -math.inf:
        raise InvalidRequest(
            f"There is a gap: no range covers values below {_exact(last)}.", "Leave the lowest range open below."
        )
    for first, second in pairwise(rules):
        if first.at_least == second.at_least:
            raise InvalidRequest(f"Two ranges overlap: both begin at {_exact(first.at_least)}.", "Remove one of them.")
        if first.at_least < second.at_least:
            raise InvalidRequest(
                f"The thresholds are out of order: {_exact(first.at_least)} comes before {_exact(second.at_least)}.",
                "Put the highest threshold first.",
            )


def _remedy(measure: Measure) -> str:
    """What to do about a threshold that every value or none reaches."""
    if measure.unit == "probability":
        return "Use a value above 0 and at most 1."
    return "Use a value above 0." if measure.doubt else "Use a value of at most 0."


def _check_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise InvalidRequest(f"A {what} of the policy has {len(text):,} characters.", f"Use at most {most:,}.")


_START = "A starting point: these thresholds are not measured on your model. Evaluate finds some on labelled answers."
_TERMS = presets_of(DEFAULT)  # so that an answer is verified if the map flags a name or number of it at Usual
READY = {
    each.name: replace(each, note=_START)
    for each in (
        Policy(
            "Answer or verify", DOUBTFUL_TERMS, (Rule(Action.VERIFY, _TERMS.usual), Rule(Action.ANSWER, -math.inf)),
        ),
        Policy(
            "Research", DOUBTFUL_TERMS,
            (Rule(Action.RETRIEVE, _TERMS.few), Rule(Action.VERIFY, _TERMS.usual), Rule(Action.ANSWER, -math.inf)),
        ),
        Policy(
            "Support desk", PROBABILITY,
            (
                Rule(Action.ANSWER, 0.9), Rule(Action.VERIFY, 0.7), Rule(Action.CLARIFY, 0.4),
                Rule(Action.PERSON, -math.inf),
            ),
        ),
        Policy(
            "Bulk extraction", "min",
            (Rule(Action.ANSWER, -0.7), Rule(Action.VERIFY, -2.3), Rule(Action.FALL_BACK, -math.inf)),
        ),
    )
}  # fmt: skip
