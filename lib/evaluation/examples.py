"""A set that is made rather than read: sums, which the embedded model gets right about half the time."""

from __future__ import annotations

import numpy as np

from lib.evaluation.dataset import Mapped
from lib.evaluation.table import Table

SUMS = "Sums of one digit"
_ROWS = 150
_SHOTS = "3+4=7\n8+1=9\n5+5=10\n"


def sums() -> tuple[Table, Mapped]:
    """A hundred and fifty sums of two or three digits, with how many there are and whether the result carries."""
    chance = np.random.default_rng(1)
    rows: list[dict[str, object]] = []
    seen: set[tuple[int, ...]] = set()
    while len(rows) < _ROWS:
        terms = tuple(chance.integers(0, 10, 2 + len(rows) % 2).tolist())
        if terms in seen:
            continue
        seen.add(terms)
        rows.append(
            {
                "sum": "+".join(map(str, terms)),
                "answer": sum(terms),
                "terms": f"{len(terms)} terms",
                "carries": "carries" if sum(terms) > 9 else "one digit",
            }
        )
    table = Table(("sum", "answer", "terms", "carries"), tuple(rows), tuple(range(1, _ROWS + 1)), ())
    return table, Mapped(f"{_SHOTS}{{sum}}=", "answer", slices=("terms", "carries"))
