"""How good flags were on labelled facts, per model: what `candor evaluate-doubts` measured."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.errors import BadFile
from lib.paths import data_directory
from lib.statistics.bootstrap import Interval

_FOLDER = Path(__file__).parent / "measured_models"
_REMEDY = "Write it again with candor evaluate-doubts."
MOST_BYTES = 5_000_000
_MOST_KEPT = 50  # measurements of this machine


@dataclass(frozen=True, eq=False)
class Measured:
    """Labelled facts in answers of one model, with their scores by each method."""

    weights: str  # fingerprint of the model's weights
    model: str  # its name, as shown
    part: str  # of the sets: "development" or "held-out"
    date: str  # ISO 8601
    answers: int  # that the facts were in
    wrong: NDArray[np.bool_]  # bool[n]: whether a fact was wrong
    scores: dict[str, NDArray[np.float64]]  # float64[n] per method, the higher the more doubtful; NaN: not told
    auroc: dict[str, Interval]  # per method, with the interval over entities


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
    if not completion.weights:
        return None
    here = [*of_this_machine(), *shipped()] if known is None else known
    found = [each for each in here if each.weights == completion.weights]
    return min(found, key=lambda each: each.part != "held-out", default=None)


def keep_measured(measured: Measured) -> Path:
    """Write a measurement where pages on this machine look for it. Raises OSError."""
    folder = data_directory() / "flags"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(measured.weights.encode()).hexdigest()[:16]
    path = folder / f"{name}-{measured.part}.json"
    path.write_text(json.dumps(as_json(measured)), encoding="utf-8")
    return path


def of_this_machine() -> tuple[Measured, ...]:
    """What `candor evaluate-doubts` has measured on this machine; files that cannot be read are left out."""
    found = []
    for each in sorted((data_directory() / "flags").glob("*.json"))[:_MOST_KEPT]:
        with suppress(OSError, BadFile):
            found.append(_kept(each, each.stat().st_mtime_ns))
    return tuple(found)


@lru_cache(_MOST_KEPT)
def _kept(path: Path, _changed: int) -> Measured:
    with path.open("rb") as file:
        return measured_in(file.read(MOST_BYTES + 1))


@cache
def shipped() -> tuple[Measured, ...]:
    """The measurements that ship with Candor."""
    return tuple(measured_in(each.read_bytes()) for each in sorted(_FOLDER.glob("*.json")))


def measured_in(data: bytes) -> Measured:
    """The measurement in a file. Raises BadFile."""
    if len(data) > MOST_BYTES:
        raise BadFile("The file is too large to be a measurement.", _REMEDY)
    try:
        return _measured_of(json.loads(data))
    except (ValueError, TypeError, KeyError, LookupError, AttributeError, RecursionError) as error:
        raise BadFile("The file is no measurement of flags.", _REMEDY) from error


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
        "auroc": {name: [each.value, each.low, each.high, each.n] for name, each in measured.auroc.items()},
    }


def _measured_of(values: Any) -> Measured:
    if values["kind"] != "candor doubts" or values["version"] != 1:
        raise ValueError("another kind of file")
    wrong = np.array(values["wrong"], bool)
    scores = {
        str(name): np.array([math.nan if one is None else one for one in each], np.float64)
        for name, each in values["scores"].items()
    }
    if any(each.shape != wrong.shape for each in scores.values()):
        raise ValueError("the columns differ in length")
    auroc = {
        str(name): Interval(float(each[0]), float(each[1]), float(each[2]), int(each[3]))
        for name, each in values["auroc"].items()
    }
    texts = [str(values[name])[:400] for name in ("weights", "model", "part", "date")]
    return Measured(texts[0], texts[1], texts[2], texts[3], int(values["answers"]), wrong, scores, auroc)
