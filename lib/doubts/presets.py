"""The score from which a term is flagged: few, usual or many, for each method. docs/doubts.md says what they find."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Presets:
    """Thresholds of a method, in its unit."""

    few: float
    usual: float
    many: float

    @property
    def by_name(self) -> dict[str, float]:
        """The thresholds by the names of their buttons."""
        return {"Few": self.few, "Usual": self.usual, "Many": self.many}


_LOG = Presets(few=3.0, usual=1.6, many=0.7)  # nats: a probability of 5%, 20% and 50%
_PRESETS = {
    "drop": Presets(few=4.0, usual=2.0, many=1.0),
    "length": Presets(few=6, usual=4, many=2),
    "margin": Presets(few=0.95, usual=0.8, many=0.5),
    "entropy": Presets(few=2.5, usual=1.7, many=1.0),
    "entropy sum": Presets(few=5.0, usual=2.5, many=1.2),
}


def presets_of(method: str) -> Presets:
    """The thresholds of a method of `METHODS`."""
    return _PRESETS.get(method, _LOG)
