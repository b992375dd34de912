from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.display.scales import COLOURS, OUTSIDE, PROBABILITY, RANK, SCALES, SURPRISAL, UNSCORED, Scale
from tests.support.strategies import INF, NAN

each_scale = pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)


def fine(scale: Scale, value: float) -> int:
    return int(scale.fine(np.array([value]))[0])


def step(scale: Scale, value: float) -> int:
    return int(scale.colours(scale.fine(np.array([value])))[0])


@each_scale
def test_a_scale_has_as_many_colours_as_words_for_them(scale: Scale) -> None:
    assert len(scale.edges) == COLOURS - 1
    assert len(scale.words) == len(scale.grid) < 250
    assert len(set(scale.words)) == len(scale.words)
    assert len(scale.legend()) == COLOURS
    assert len(set(scale.legend())) == COLOURS
    assert scale.label
    assert scale.explanation.endswith(".")
    assert scale.reason.endswith(".")


@each_scale
def test_a_value_on_an_edge_is_on_the_surer_side(scale: Scale) -> None:
    for i, place in enumerate(scale.edges):
        edge, away = scale.grid[place], INF if scale.rising else -INF
        assert step(scale, edge) == i
        assert step(scale, np.nextafter(edge, away)) == i + 1
        assert step(scale, np.nextafter(edge, -away)) == i


@each_scale
def test_the_grid_runs_from_the_surest_on(scale: Scale) -> None:
    for run in (scale.grid, [scale.grid[edge] for edge in scale.edges]):
        assert all((a < b) == scale.rising and a != b for a, b in pairwise(run))


@each_scale
def test_unknown_has_no_step(scale: Scale) -> None:
    steps = scale.fine(np.array([NAN, scale.grid[0], NAN]))
    assert steps.tolist() == [UNSCORED, 0, UNSCORED]
    assert scale.colours(np.array([UNSCORED, 0, OUTSIDE], np.uint8)).tolist() == [UNSCORED, 0, OUTSIDE]
    assert scale.fine(np.array([])).tolist() == []


@each_scale
@given(values=st.lists(st.floats(allow_nan=True), max_size=8))
def test_steps_are_absolute_and_monotone(scale: Scale, values: list[float]) -> None:
    steps = scale.fine(np.array(values)).tolist()
    assert steps == [fine(scale, value) for value in values]
    known = sorted((value, place) for value, place in zip(values, steps, strict=True) if value == value)
    places = [place for _, place in known]
    assert places == sorted(places, reverse=not scale.rising)
    assert all(0 <= place <= len(scale.grid) < OUTSIDE for place in places)


@each_scale
@given(data=st.data(), value=st.floats(0, 1e6))
def test_moved_edges_part_the_colours_where_the_legend_says(scale: Scale, data: st.DataObject, value: float) -> None:
    places = st.lists(st.integers(0, len(scale.grid) - 1), min_size=COLOURS - 1, max_size=COLOURS - 1)
    edges = sorted(data.draw(places))
    colour = int(scale.colours(scale.fine(np.array([value])), edges)[0])
    beyond = [value > scale.grid[edge] if scale.rising else value < scale.grid[edge] for edge in edges]
    assert colour == sum(beyond)
    legend = scale.legend(edges)
    assert legend[colour] != ""
    assert [words == "" for words in legend[1:-1]] == [a == b for a, b in pairwise(edges)]


def test_extremes() -> None:
    assert [step(PROBABILITY, value) for value in (1, 0)] == [0, 7]
    assert [step(SURPRISAL, value) for value in (0, -0.0, INF)] == [0, 0, 7]
    assert [step(RANK, value) for value in (1, 2, 4, 1001)] == [0, 1, 3, 7]


def test_legends_in_the_metrics_own_words() -> None:
    assert PROBABILITY.legend() == (
        "≥ 90%", "70% – 90%", "50% – 70%", "30% – 50%", "15% – 30%", "5% – 15%", "1% – 5%", "< 1%",
    )  # fmt: skip
    assert SURPRISAL.legend()[:2] == ("≤ 0.1", "0.1 – 0.3")
    assert SURPRISAL.legend()[-1] == "> 5.0"
    assert RANK.legend() == ("1", "2", "3", "4 – 5", "6 – 10", "11 – 100", "101 – 1,000", "> 1,000")


def test_names_are_distinct() -> None:
    assert len({scale.name for scale in SCALES}) == len(SCALES)
