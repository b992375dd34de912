"""Facts about chemical elements, from the database of mendeleev, which is read without the package's code."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.making.facts import Fact, Relation, as_number, fact

_LAST = 110  # the last element that is asked about
_SPELLINGS = {"Aluminum": ("aluminum", "aluminium"), "Cesium": ("cesium", "caesium"), "Sulfur": ("sulfur", "sulphur")}
_SERIES = {
    "Noble gases": ("noble gas", "noble gases"),
    "Alkali metals": ("alkali metal", "alkali metals"),
    "Alkaline earth metals": ("alkaline earth metal", "alkaline earth metals"),
    "Metalloids": ("metalloid", "metalloids"),
    "Halogens": ("halogen", "halogens"),
    "Transition metals": ("transition metal", "transition metals"),
    "Lanthanides": ("lanthanide", "lanthanides", "rare earth", "rare earth metal", "rare earth element"),
    "Actinides": ("actinide", "actinides"),
}
_DEBATED = ("Po", "At", "Lu", "Lr", "Zn", "Cd", "Hg", "Hs")  # chemists disagree about their family
_FIELDS = "name, symbol, atomic_number, period, group_id, block, series_id, discovery_year, atomic_weight"
Row = tuple[str, str, int, int, int | None, str, int, int | None, float]


@cache
def _rows() -> tuple[tuple[Row, ...], dict[int, str]]:
    origin = importlib.util.find_spec("mendeleev")
    assert origin is not None
    assert origin.origin is not None
    with sqlite3.connect(Path(origin.origin).parent / "elements.db") as base:
        rows = base.execute(f"select {_FIELDS} from elements where atomic_number <= {_LAST} order by atomic_number")
        return tuple(rows), dict(base.execute("select id, name from series"))


def _names(name: str) -> tuple[str, ...]:
    return _SPELLINGS.get(name, (name.lower(),))


def _of(row: Row, answers: str | tuple[str, ...], subject: str = "") -> Fact:
    return fact("element", row[0].lower(), answers, subject or row[0].lower())


def _series() -> Iterator[Fact]:
    rows, names = _rows()
    for row in rows:
        if names[row[6]] in _SERIES and row[1] not in _DEBATED:
            yield _of(row, _SERIES[names[row[6]]])


def _metals() -> Iterator[Fact]:
    rows, names = _rows()
    for row in rows:
        if names[row[6]] in ("Noble gases", "Nonmetals", "Halogens"):
            yield _of(row, ("nonmetal", "non-metal", "non metal"))
        elif names[row[6]] != "Metalloids" and row[2] % 3 == 0:  # not many more metals than nonmetals
            yield _of(row, "metal")


def _centuries() -> Iterator[Fact]:
    for row in _rows()[0]:
        if row[7] and row[7] > 1600:
            century = (row[7] - 1) // 100 + 1
            yield _of(row, (f"{century}th century", f"{century}th"))


def relations() -> Iterator[Relation]:
    """All relations between elements and something else."""
    rows = _rows()[0]
    following = {row[2]: row[0] for row in rows}

    def of(
        name: str, line: str, question: str, facts: Iterator[Fact], invented: str = "", chat: bool = True
    ) -> Relation:
        return Relation(name, "elements", line, question, tuple(facts), invented, chat)

    yield of("symbol", "The chemical symbol for {0} is", "What is the chemical symbol for {0}?",
             (_of(row, row[1]) for row in rows), "element")  # fmt: skip
    yield of("symbol's element", "The chemical symbol {0} stands for", "Which element has the symbol {0}?",
             (_of(row, _names(row[0]), row[1]) for row in rows))  # fmt: skip
    yield of("atomic number", "The atomic number of {0} is", "What is the atomic number of {0}?",
             (_of(row, as_number(row[2])) for row in rows), "element")  # fmt: skip
    yield of("number's element", "The element with atomic number {0} is", "Which element has atomic number {0}?",
             (_of(row, _names(row[0]), str(row[2])) for row in rows))  # fmt: skip
    yield of("series", "Family of {0} in the periodic table:", "To which family of elements does {0} belong?",
             _series(), "element")  # fmt: skip
    yield of("metal or not", "Metal or nonmetal? {0}:", "Is {0} a metal or a nonmetal?", _metals(), chat=False)
    yield of("block", "The block of {0} in the periodic table:", "In which block of the periodic table is {0}?",
             (_of(row, (row[5], f"{row[5]} block")) for row in rows))  # fmt: skip
    yield of("period", "{0} is in period", "In which period of the periodic table is {0}?",
             (_of(row, as_number(row[3])) for row in rows))  # fmt: skip
    yield of("group", "{0} is in group", "In which group of the periodic table is {0}?",
             (_of(row, as_number(row[4])) for row in rows if row[4]))  # fmt: skip
    yield of("next element", "In the periodic table, {0} is followed by",
             "Which element comes after {0} in the periodic table?",
             (_of(row, _names(following[row[2] + 1])) for row in rows if row[2] + 1 in following))  # fmt: skip
    yield of(
        "discovery century",
        "{0} was discovered in the",
        "In which century was {0} discovered?",
        _centuries(),
        "element",
    )
    yield of("discovery year", "{0} was discovered in", "In which year was {0} discovered?",
             (_of(row, str(row[7])) for row in rows if row[7] and row[7] > 1600))  # fmt: skip
    yield of("atomic weight", "The atomic weight of {0}, rounded, is",
             "What is the atomic weight of {0}, to the nearest whole number?",
             (_of(row, as_number(round(row[8]))) for row in rows if row[2] < 90), chat=False)  # fmt: skip
