"""The curve of an evaluation of contexts: a well-formed SVG file with a line and a name for each scoring."""

from __future__ import annotations

import math
from itertools import pairwise
from xml.etree import ElementTree

from lib.contexts.curve import curve_svg
from lib.contexts.recall import Recall, Recalled
from lib.statistics.bootstrap import Interval

_SVG = "{http://www.w3.org/2000/svg}"


def recall(*shares: float) -> Recall:
    return Recall(tuple(Interval(each, each - 0.05, min(1.0, each + 0.05), 40) for each in shares), 0)


FOUND = Recalled(
    40,
    (0.9, 0.5, math.nan),
    {
        "question": recall(0.9, 1.0, 1.0),
        "bm25": recall(0.88, 0.9, 0.95),
        "question + BM25": recall(0.9, 1.0, 1.0),
        "random": recall(0.1, 0.5, 0.9),
    },
    "question",
    {},
)


def test_each_scoring_has_a_line_and_a_name() -> None:
    root = ElementTree.fromstring(curve_svg(FOUND))  # what was just written
    lines = root.findall(f"{_SVG}polyline")
    assert [each.get("class") for each in lines] == ["line best", "line", "line even"], "combinations are in the table"
    assert all(len((each.get("points") or "").split()) == 2 for each in lines), "a number of passages that none has"
    names = [each for each in root.findall(f"{_SVG}text") if each.text in ("Question likelihood", "BM25", "Random")]
    heights = sorted(float(each.get("y") or "nan") for each in names)
    assert len(names) == 3
    assert min(after - before for before, after in pairwise(heights)) >= 15
    assert "40 questions" in (root.get("aria-label") or "")


def test_higher_and_more_saved_is_up_and_right() -> None:
    root = ElementTree.fromstring(curve_svg(FOUND))
    best, _, random = (each.get("points") or "" for each in root.findall(f"{_SVG}polyline"))
    (x1, y1), (x2, y2) = (tuple(map(float, each.split(","))) for each in best.split())
    assert x1 > x2
    assert y1 > y2, "0.9 is below 1.0"
    assert float(random.split()[0].split(",")[1]) > y1
