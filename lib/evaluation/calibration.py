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
_LARGEST = 1e12  # absolute value of a score or a length
_KIND = "candor calibration"
_REMEDY = "Export it again from Evaluate."


Range = tuple[float, float]


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
    scores: Range | None = None  # lowest and highest score that it was fitted on; None if unknown
    tokens: Range | None = None  # lengths of answers, likewise

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
        """The probability that an answer is right; beyond what the map was fitted on, that of the nearest point of it.

        NaN for an answer without logprobs or by another model, and for one that is not the model's own: a candidate, or
        a branch with forced tokens.
        """
        found = self._point(completion)
        if found is None:
            return math.nan
        score, tokens = _nearest(found[0], self.scores), round(_nearest(found[1], self.tokens))
        return float(self.map(np.array([score]), np.array([tokens]))[0])

    def is_beyond(self, completion: Completion) -> bool:
        """Whether an answer's score or length is beyond what the map was fitted on."""
        found = self._point(completion)
        return found is not None and found != (_nearest(found[0], self.scores), _nearest(found[1], self.tokens))

    def _point(self, completion: Completion) -> tuple[float, int] | None:
        """The score of an answer and its length in tokens; None if it has no probability."""
        own = completion.origin == Origin.GENERATED and not (completion.generated.kinds == TokenKind.FORCED).any()
        logprobs = scored_tokens(completion) if own and self.usable and self.fits(completion) else np.empty(0)
        return (SCORES[self.score].of(logprobs), len(logprobs)) if len(logprobs) else None

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
            "scores": None if self.scores is None else list(self.scores),
            "tokens": None if self.tokens is None else list(self.tokens),
        }


def _nearest(value: float, inside: Range | None) -> float:
    return value if inside is None else min(max(value, inside[0]), inside[1])


def calibration_of(values: Any) -> Calibration:
    """Read what `Calibration.as_json` returned. Raises BadFile if it is no calibration."""
    try:
        if not isinstance(values, Mapping) or values["kind"] != _KIND or values["version"] != 1:
            raise BadFile("This isn't a Candor calibration.", _REMEDY)
        if values["score"] not in ALL_SCORES:
            raise BadFile(f"The calibration is of an unknown score, “{str(values['score'])[:80]}”.", _REMEDY)
        n = values["n"]
        if type(n) is not int or not 0 < n <= _MOST_LABELS:
            raise BadFile("The calibration doesn't say how many labels it is based on.", _REMEDY)
        names = {name: values[name] for name in ("model", "source", "weights", "questions")}
        if not all(isinstance(each, str) and len(each) <= _LONGEST for each in names.values()):
            raise BadFile("A name in the calibration isn't text, or is too long.", _REMEDY)
        scores, tokens = (_range(values.get(name)) for name in ("scores", "tokens"))
        return Calibration(map_of(values["map"]), values["score"], n, **names, scores=scores, tokens=tokens)
    except (KeyError, TypeError) as error:
        raise BadFile("This isn't a Candor calibration.", _REMEDY) from error


def _range(values: Any) -> Range | None:
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != 2 or not all(map(_is_number, values)) or values[0] > values[1]:
        raise BadFile("The calibration doesn't say which answers it was fitted on.", _REMEDY)
    return float(values[0]), float(values[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def calibration_in(data: bytes) -> Calibration:
    """Read a calibration from a file. Raises BadFile."""
    if len(data) > MOST_CHARACTERS:
        raise BadFile("The file is larger than any calibration.", _REMEDY)
    try:
        return calibration_of(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise BadFile("The file is not JSON.", _REMEDY) from error
