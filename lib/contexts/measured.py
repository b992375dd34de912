"""Which scoring found right passages best, per model, mode and order: what `candor evaluate-contexts` measured."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib.contexts.prompting import Order
from lib.contexts.scorings import SCORINGS
from lib.core.request import Mode
from lib.errors import BadFile
from lib.measurements import Measurements
from lib.segmentation.char_classes import plain
from lib.statistics.bootstrap import Interval

DEVELOPMENT, HELD_OUT = "development", "held-out"
FEWEST = 20  # questions of a measurement that is kept, as fewer do not tell scorings apart
MOST_BYTES = 100_000
_REMEDY = "Write it again with candor evaluate-contexts."
_KIND, _VERSION = "candor contexts", 1
_MOST_KEPT = 100  # measurements of this machine
_MOST_QUESTIONS = 1_000_000_000
_TEXTS = ("weights", "model", "part", "date", "data", "digest", "chosen_on")
_FIRST = (HELD_OUT, DEVELOPMENT)  # parts whose figures are taken before those of others


@dataclass(frozen=True)
class Measured:
    """What was measured on labelled questions, with one model, mode and order."""

    weights: str  # fingerprint of the model's weights, or the ARN of an imported model
    model: str  # its name, as shown
    mode: Mode
    order: Order  # what the template has first
    part: str  # of the questions, such as "held-out"; "" for all
    date: str  # ISO 8601
    data: str  # name of the file with the questions; "" for the ready set
    digest: str  # SHA-256 of that file, in hex
    n: int  # questions
    best: str  # the scoring that most often had the right passage first
    chosen_on: str  # the part that `best` was chosen on
    first: Mapping[str, Interval]  # by scoring, the share of questions with the right passage first


def measured_for(weights: str, mode: Mode, order: Order, known: Sequence[Measured] | None = None) -> Measured | None:
    """What was measured for a model, in a mode and an order; None without any.

    The figures are those of the held-out part if there are any, and the best scoring is the one that was chosen on the
    development part. Your own questions come before the ready set, and the last ones before earlier ones.
    weights: the fingerprint, or the ARN of an imported model.
    known: where to look; by default, what was measured on this machine and what ships with Candor.
    """
    if not weights:
        return None
    here = [*of_this_machine(), *shipped()] if known is None else known
    found = [each for each in here if (each.weights, each.mode, each.order) == (weights, mode, order)]
    if not found:
        return None
    newest = max(found, key=lambda each: (bool(each.data), each.date))
    found = [each for each in found if each.digest == newest.digest]
    figures = min(found, key=lambda each: _FIRST.index(each.part) if each.part in _FIRST else len(_FIRST))
    chosen = next((each for each in found if each.part == DEVELOPMENT and each.best in figures.first), figures)
    return replace(figures, best=chosen.best, chosen_on=chosen.chosen_on)


def keep_measured(measured: Measured) -> Path:
    """Write a measurement where pages on this machine look for it. Raises OSError."""
    about = [measured.weights, measured.mode, measured.order, measured.digest, measured.part]
    return _FILES.keep(hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24], as_json(measured))


def of_this_machine() -> tuple[Measured, ...]:
    """What was measured on this machine, the last first; files that cannot be read are left out."""
    return _FILES.read(sorted(_FILES.files(), reverse=True)[:_MOST_KEPT])


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
        raise BadFile("The file is not a measurement of scorings.", _REMEDY) from error


def as_json(measured: Measured) -> dict[str, Any]:
    """The measurement as JSON values; `measured_in` reads them."""
    return {
        "kind": _KIND,
        "version": _VERSION,
        **{name: getattr(measured, name) for name in _TEXTS},
        "mode": str(measured.mode),
        "order": str(measured.order),
        "n": measured.n,
        "best": measured.best,
        "first": {
            name: [*(None if math.isnan(one) else round(one, 5) for one in (each.value, each.low, each.high)), each.n]
            for name, each in measured.first.items()
        },
    }


def _measured_of(values: Any) -> Measured:
    if values["kind"] != _KIND or values["version"] != _VERSION:
        raise ValueError("another kind of file")
    found = {
        name: _interval(_share(value), _share(low), _share(high), _count(n))
        for name, (value, low, high, n) in values["first"].items()
    }
    first = {name: each for name, each in found.items() if not math.isnan(each.value)}
    if not set(first) <= set(SCORINGS) or values["best"] not in first:
        raise ValueError("a scoring is not known")
    texts = {name: plain(str(values[name]))[:400] for name in _TEXTS}
    mode, order = Mode(values["mode"]), Order(values["order"])
    return Measured(mode=mode, order=order, n=_count(values["n"]), best=str(values["best"]), first=first, **texts)


def _interval(value: float, low: float, high: float, n: int) -> Interval:
    """A share with its interval, which may be missing. Raises ValueError if only one end is, or they are swapped."""
    if math.isnan(low) != math.isnan(high) or low > high:
        raise ValueError("not an interval")
    return Interval(value, low, high, n)


def _count(value: Any) -> int:
    """A number of questions. Raises ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_QUESTIONS:
        return value
    raise ValueError("not a count")


def _share(value: Any) -> float:
    """A share; NaN for a missing one. Raises ValueError for anything else."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("not a share")
    return float(value)


_FILES = Measurements("contexts", measured_in, MOST_BYTES, Path(__file__).parent / "measured_models")
