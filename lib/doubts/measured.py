"""How good flags were on labelled facts, per model: what `candor evaluate-doubts` measured."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.errors import BadFile
from lib.measurements import Measurements
from lib.segmentation.char_classes import plain
from lib.statistics.bootstrap import Interval

_REMEDY = "Write it again with candor evaluate-doubts."
MOST_BYTES = 5_000_000
_MOST_KEPT = 50  # measurements of this machine
_MOST_COUNTED = 1_000_000_000  # of facts or answers
_LARGEST = 1e9  # of a score, in whichever unit it has


@dataclass(frozen=True, eq=False)
class Measured:
    """Labelled facts in answers of one model, with their scores by each method."""

    weights: str  # fingerprint of the model's weights; "" if its name alone tells the model, as an ARN does
    model: str  # its name, as shown
    part: str  # of the sets: "development" or "held-out"
    date: str  # ISO 8601
    answers: int  # that the facts were in
    wrong: NDArray[np.bool_]  # bool[n]: whether a fact was wrong
    scores: dict[str, NDArray[np.float64]]  # float64[n] per method, the higher the more doubtful; NaN: unknown
    auroc: dict[str, Interval]  # per method, with the interval over entities

    def fits(self, completion: Completion) -> bool:
        """Whether a completion is by the model that was measured."""
        if self.weights or completion.weights:
            return self.weights == completion.weights
        return bool(self.model) and self.model == completion.model


@dataclass(frozen=True)
class AtThreshold:
    """What flags from one threshold on would have found."""

    n: int  # facts with a score
    flagged: int
    wrong: int  # facts that were wrong
    found: int  # of these, flagged
    precision: Interval  # of the flagged facts, the share that was wrong
    recall: Interval  # of the wrong facts, the share that was flagged


def at_threshold(measured: Measured, method: str, threshold: float) -> AtThreshold | None:
    """What flags from a threshold on would have found; None if the method was not measured."""
    if method not in measured.scores:
        return None
    scores = measured.scores[method]
    told = ~np.isnan(scores)
    wrong, flags = measured.wrong[told], scores[told] >= threshold
    found = int((wrong & flags).sum())
    return AtThreshold(
        len(wrong),
        int(flags.sum()),
        int(wrong.sum()),
        found,
        _share(found, int(flags.sum())),
        _share(found, int(wrong.sum())),
    )


def _share(count: int, n: int) -> Interval:
    """A share with its exact interval; NaN for none of none."""
    from lib.statistics.shares import exact_share  # needs scipy, slow to import

    return Interval(count / n, *exact_share(count, n), n) if n else Interval(math.nan, math.nan, math.nan, 0)


def measured_for(completion: Completion, known: Sequence[Measured] | None = None) -> Measured | None:
    """The measurement of an answer's model, on the held-out part if there is one; None without any.

    known: where to look; by default, what was measured on this machine and what ships with Candor.
    """
    here = [*of_this_machine(), *shipped()] if known is None else known
    found = [each for each in here if each.fits(completion)]
    return min(found, key=lambda each: each.part != "held-out", default=None)


def keep_measured(measured: Measured) -> Path:
    """Write a measurement where pages on this machine look for it. Raises OSError."""
    name = hashlib.sha256((measured.weights or measured.model).encode()).hexdigest()[:16]
    return _FILES.keep(f"{name}-{measured.part}", as_json(measured))


def has_more(measured: Measured) -> bool:
    """Whether a measurement of the same model and part that is kept on this machine has more facts."""
    return any(
        (each.weights, each.weights or each.model, each.part)
        == (measured.weights, measured.weights or measured.model, measured.part)
        and len(each.wrong) > len(measured.wrong)
        for each in of_this_machine()
    )


def of_this_machine() -> tuple[Measured, ...]:
    """What `candor evaluate-doubts` has measured on this machine; files that cannot be read are left out."""
    return _FILES.read(sorted(_FILES.files(), key=itemgetter(1))[:_MOST_KEPT])


def shipped() -> tuple[Measured, ...]:
    """The measurements that ship with Candor."""
    return _FILES.shipped()


def measured_in(data: bytes) -> Measured:
    """The measurement in a file. Raises BadFile."""
    if len(data) > MOST_BYTES:
        raise BadFile("The file is too large to be a measurement.", _REMEDY)
    try:
        return _measured_of(json.loads(data))
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BadFile("The file is not a measurement of flags.", _REMEDY) from error


def as_json(measured: Measured) -> dict[str, Any]:
    """The measurement as JSON values; `measured_in` reads them."""
    return {
        "kind": "candor doubts",
        "version": 1,
        "weights": measured.weights,
        "model": measured.model,
        "part": measured.part,
        "date": measured.date,
        "answers": measured.answers,
        "wrong": measured.wrong.astype(int).tolist(),
        "scores": {
            name: [None if math.isnan(each) else round(each, 3) for each in values.tolist()]
            for name, values in measured.scores.items()
        },
        "auroc": {
            name: [*(None if math.isnan(one) else one for one in (each.value, each.low, each.high)), each.n]
            for name, each in measured.auroc.items()
        },
    }


def _measured_of(values: Any) -> Measured:
    if values["kind"] != "candor doubts" or values["version"] != 1:
        raise ValueError("another kind of file")
    wrong = np.array([bool(_count(each, 1)) for each in values["wrong"]], bool)
    scores = {
        str(name): np.array([_number(one, _LARGEST) for one in each], np.float64)
        for name, each in values["scores"].items()
    }
    if any(each.shape != wrong.shape for each in scores.values()):
        raise ValueError("the columns differ in length")
    auroc = {
        str(name): Interval(_number(value, 1), _number(low, 1), _number(high, 1), _count(n))
        for name, (value, low, high, n) in values["auroc"].items()
    }
    weights, model, part, date = (plain(str(values[name]))[:400] for name in ("weights", "model", "part", "date"))
    return Measured(weights, model, part, date, _count(values["answers"]), wrong, scores, auroc)


def _count(value: Any, most: int = _MOST_COUNTED) -> int:
    """A count. Raises ValueError for anything else."""
    if isinstance(value, int) and 0 <= value <= most:
        return int(value)
    raise ValueError("not a count")


def _number(value: Any, most: float) -> float:
    """A number of at most that size; NaN for a missing one. Raises ValueError for anything else."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > most:
        raise ValueError("not a number of this kind")
    return float(value)


_FILES = Measurements("flags", measured_in, MOST_BYTES, Path(__file__).parent / "measured_models")
