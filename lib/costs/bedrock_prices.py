"""What calls of imported models cost, as far as it can be told from here: an estimate, and the least it can be.

Bedrock bills an imported model by the copies that are awake, in windows of five minutes from the first answer on:
copies × Custom Model Units per copy × price of a unit's minute × 5 × windows. How many copies it keeps awake is not
told, and may grow when many calls come at once; one is assumed. Source: the AWS documentation, "Calculate the cost of
running a custom model", with the example of the Bedrock pricing page (its formula's division by 60 is left out: it
contradicts the example).
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 300.0  # seconds
_RATES = {"v1.0": 0.05718, "v2.0": 0.1433}  # US dollars per unit and minute in us-east-1, read in 2026
_USUAL = "v1.0"


@dataclass(frozen=True)
class Units:
    """What one copy of a model takes. known: False where the service did not say, and one unit is assumed."""

    number: int = 1
    version: str = _USUAL
    known: bool = False


def usual_rate(version: str) -> float:
    """US dollars for a Custom Model Unit and minute; of another version, those of the first."""
    return _RATES.get(version, _RATES[_USUAL])


def window_price(units: Units, rate: float | None = None) -> float:
    """US dollars for five minutes of one copy. rate: for a unit and minute, by default the usual one."""
    return units.number * (usual_rate(units.version) if rate is None else rate) * WINDOW / 60


@dataclass(frozen=True)
class BillingWindows:
    """Billed windows of one copy. number: so far. until: when the last one ends, on the caller's clock."""

    number: int = 0
    until: float = float("-inf")

    def with_call(self, began: float, ended: float) -> BillingWindows:
        """After a call that was answered between these moments."""
        number, until = (self.number, self.until) if began < self.until else (self.number + 1, began + WINDOW)
        while until < ended:
            number, until = number + 1, until + WINDOW
        return BillingWindows(number, until)
