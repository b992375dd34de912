"""Flags: passages of an answer with a score of doubt each, as the token map shows and lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_STEP = 1.5  # between severities, as a factor of the threshold, where presets do not say


@dataclass(frozen=True, eq=False)
class Flags:
    """`m` terms for flags. Which of them are flagged depends on the reader's threshold."""

    first: NDArray[np.int32]  # int32[m], the row in `completion.generated` of each term's first token
    last: NDArray[np.int32]  # int32[m], the row after its last token
    scores: NDArray[np.float64]  # float64[m], in `unit`; the higher the more doubtful; NaN: no score
    alternatives: Sequence[Sequence[tuple[str, float]]]  # m lists of (text, probability), most likely first
    presets: Mapping[str, float]  # thresholds by name, such as {"few": 9.0, "usual": 6.0, "many": 3.0}
    threshold: float  # the score that flags start from until the reader chooses another
    unit: str = "nats"  # of scores and thresholds
    sudden: NDArray[np.bool_] | None = None  # bool[m], whether a term is a sudden drop; None: not looked at

    def __post_init__(self) -> None:
        if not len(self.first) == len(self.last) == len(self.scores) == len(self.alternatives):
            raise ValueError("flags need one first row, last row, score and list of alternatives per term")
        if self.sudden is not None and len(self.sudden) != len(self.first):
            raise ValueError("flags need to know of all terms whether they are a sudden drop, or of none")

    def __len__(self) -> int:
        return len(self.first)

    @property
    def severities(self) -> tuple[float, float]:
        """The scores that clear and strong flags start from; lower ones are mild. Higher presets are more severe."""
        levels = sorted(set(self.presets.values()))
        if len(levels) > 1:
            return levels[(len(levels) - 1) // 2], levels[-1]
        step = abs(self.threshold) * (_STEP - 1) or 1.0
        return self.threshold + step, self.threshold + 2 * step

    @property
    def scale(self) -> int:
        """A checksum of unit, presets and threshold. A threshold chosen on another scale means nothing here."""
        return crc32(json.dumps([self.unit, list(self.presets.items()), self.threshold]).encode())
