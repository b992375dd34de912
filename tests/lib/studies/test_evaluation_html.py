"""The page of an evaluation: complete, self-contained, and nothing in it is markup but its own."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np

from lib.evaluation.dataset import Question
from lib.statistics.calibration import reliability
from lib.statistics.selective import risk_coverage
from lib.studies.evaluation_html import as_html
from lib.studies.evaluation_rows import Answered
from lib.studies.evaluation_svg import histogram_svg, reliability_svg, risk_svg
from tests.support.evaluations import outcome

ATTACK = "<img src=x onerror=alert(1)>\u202e"


def rows(n: int = 60) -> list[Answered]:
    random = np.random.default_rng(0)
    found = []
    for number in range(n):
        p = float(random.uniform(0.1, 0.9))
        question = Question(number + 1, str(number), ATTACK, (ATTACK,), slices=((ATTACK, ATTACK),))
        found.append(Answered(question, None, bool(random.random() < p), ATTACK, 3, {"sum": math.log(p)}, p))
    return found


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.addresses: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href") or name.startswith("on")]


def test_it_is_one_page_that_loads_and_runs_nothing() -> None:
    first = rows()
    page = as_html(outcome(first, [replace(each, right=not each.right) for each in first]))
    tags = _Tags()
    tags.feed(page)
    assert not {"script", "img", "link", "iframe", "object"} & set(tags.seen)
    assert tags.addresses == []
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "\u202e" not in page


def test_it_shows_flips_first_then_each_side() -> None:
    first = rows()
    page = as_html(outcome(first, [replace(each, right=True) for each in first]))
    gained = sum(not each.right for each in first)
    order = ["m2 against m1", f"{gained} gained, 0 lost", "Gained</h3>", "<h2>m1</h2>", "<h2>m2</h2>"]
    places = [page.index(each) for each in order]
    assert places == sorted(places)
    assert (
        page.count("<svg") == 5
    )  # of m1: two calibrations with two charts each, and a risk curve; all of m2 are right
    assert "All 60 answers are right" in page


def test_charts_are_well_formed_and_within_their_frame() -> None:
    random = np.random.default_rng(1)
    p = random.random(2_000)
    right = random.random(2_000) < p
    for chart in (reliability_svg(reliability(p, right)), risk_svg(risk_coverage(p, right)), histogram_svg(p, right)):
        ElementTree.fromstring(chart)
        points = re.findall(r'points="([^"]*)"', chart)
        places = [tuple(map(float, point.split(","))) for each in points for point in each.split()]
        assert all(48 <= x <= 440 and 8 - 0.1 <= y <= 260.1 for x, y in places)
