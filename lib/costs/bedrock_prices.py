"""Estimate what calls of imported models cost. The estimate is a lower bound.

Bedrock bills an imported model per active copy, in five-minute windows from the first answer: copies × Custom Model
Units per copy × price per unit and minute × 5 × windows. It does not report the number of copies, which may grow under
load; one is assumed. Source: the AWS documentation, "Calculate the cost of running a custom model", and the example on
the Bedrock pricing page. (The documented formula also divides by 60, which contradicts the example.)
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 300.0  # seconds
_RATES = {"v1.0": 0.05718, "v2.0": 0.1433}  # US dollars per unit and minute, us-east-1, as of 2026
_USUAL = "v1.0"


@dataclass(frozen=True)
class Units:
    """The Custom Model Units of one copy of a model."""

    number: int = 1
    version: str = _USUAL  # version of the unit, which sets its price
    known: bool = False  # False if the service did not report it and one unit is assumed


def usual_rate(version: str) -> float:
    """US dollars per Custom Model Unit and minute. Unknown versions cost the same as v1.0."""
    return _RATES.get(version, _RATES[_USUAL])


def window_price(units: Units, rate: float | None = None) -> float:
    """US dollars per window of one copy. rate: US dollars per unit and minute; None for the list price."""
    return units.number * (usual_rate(units.version) if rate is None else rate) * WINDOW / 60


@dataclass(frozen=True)
class WindowPrice:
    """What a call of an imported model costs: nothing within a window that is open, or a window."""

    dollars: float  # US dollars per window of one copy
    known: bool  # whether the service said how many units a copy takes; if not, one is assumed
    open_for: float  # seconds left in the window that is open; 0 if none is
    billed: bool  # False for an endpoint other than AWS's, where this is what AWS would charge


@dataclass(frozen=True)
class BillingWindows:
    """Billed windows of one copy."""

    number: int = 0  # windows so far
    until: float = float("-inf")  # seconds on the caller's clock, end of the last window

    def with_call(self, began: float, ended: float) -> BillingWindows:
        """Add a call that was being answered from `began` to `ended`, in seconds on the same clock."""
        number, until = (self.number, self.until) if began < self.until else (self.number + 1, began + WINDOW)
        while until < ended:
            number, until = number + 1, until + WINDOW
        return BillingWindows(number, until)
