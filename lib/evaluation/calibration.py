"""A calibration that an evaluation exports: from then on, the model's answers have a probability of being right.

It holds for answers like those it was fitted on: the same model, and the same kind of prompt and question.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.core.completion import Completion, Origin
from lib.core.tokens import TokenKind
from lib.errors import BadFile
from lib.scores.confidence import ALL_SCORES, SCORES, scored_tokens
from lib.statistics.maps import Map, map_of

MOST_IN_USE = 10  # calibrations of one owner
MOST_CHARACTERS = 20_000  # of a calibration as JSON
_LONGEST = 400  # characters of a name
_MOST_LABELS = 10_000_000
_KIND = "candor calibration"
_REMEDY = "Export it again from Evaluate."


@dataclass(frozen=True)
class Calibration:
    """A map from a score to the probability of being right, with what it was fitted on."""

    map: Map
    score: str  # its name in `lib.scores.confidence.ALL_SCORES`
    n: int  # labelled answers
    model: str  # its name, as shown
    source: str  # its path, hub id or ARN
    weights: str  # fingerprint of its weights; "" if the source alone tells the model, as an ARN does
    questions: str  # what it was fitted on, such as the name of a file

    @property
    def usable(self) -> bool:
        """Whether it can be used for any answer; a score of multiple choice cannot."""
        return self.score in SCORES

    def fits(self, completion: Completion) -> bool:
        """Whether a completion is by the model that it was fitted on."""
        if self.weights or completion.weights:
            return self.weights == completion.weights
        return self.source == completion.model

    def probability(self, completion: Completion) -> float:
        """The probability that an answer is right.

        NaN for an answer without logprobs or by another model, and for one that is not the model's own: a candidate, or
        a branch with forced tokens.
        """
        own = completion.origin == Origin.GENERATED and not (completion.generated.kinds == TokenKind.FORCED).any()
        logprobs = scored_tokens(completion) if own and self.usable and self.fits(completion) else np.empty(0)
        if not len(logprobs):
            return math.nan
        return float(self.map(np.array([SCORES[self.score].of(logprobs)]), np.array([len(logprobs)]))[0])

    def as_json(self) -> dict[str, Any]:
        """The calibration as JSON values; `calibration_of` reads them."""
        return {
            "kind": _KIND,
            "version": 1,
            "map": self.map.as_json(),
            "score": self.score,
            "n": self.n,
            "model": self.model[:_LONGEST],
            "source": self.source[:_LONGEST],
            "weights": self.weights,
            "questions": self.questions[:_LONGEST],
        }


def calibration_of(values: Any) -> Calibration:
    """Read what `Calibration.as_json` returned. Raises BadFile if it is no calibration."""
    try:
        if not isinstance(values, Mapping) or values["kind"] != _KIND or values["version"] != 1:
            raise BadFile("This is no calibration of Candor.", _REMEDY)
        if values["score"] not in ALL_SCORES:
            raise BadFile(f"The calibration is of an unknown score, “{str(values['score'])[:80]}”.", _REMEDY)
        n = values["n"]
        if type(n) is not int or not 0 < n <= _MOST_LABELS:
            raise BadFile("The calibration does not say how many labels it rests on.", _REMEDY)
        names = {name: values[name] for name in ("model", "source", "weights", "questions")}
        if not all(isinstance(each, str) and len(each) <= _LONGEST for each in names.values()):
            raise BadFile("A name in the calibration is no text, or too long.", _REMEDY)
        return Calibration(map_of(values["map"]), values["score"], n, **names)
    except (KeyError, TypeError) as error:
        raise BadFile("This is no calibration of Candor.", _REMEDY) from error


def calibration_in(data: bytes) -> Calibration:
    """Read a calibration from a file. Raises BadFile."""
    if len(data) > MOST_CHARACTERS:
        raise BadFile("The file is larger than any calibration.", _REMEDY)
    try:
        return calibration_of(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise BadFile("The file is not JSON.", _REMEDY) from error
