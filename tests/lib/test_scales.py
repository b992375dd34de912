from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.cells import split
from lib.scales import PROBABILITY, RANK, SCALES, STEPS, SURPRISAL, UNSCORED, Scale, cell_values
from tests.strategies import INF, NAN, completion_of, table_of, tokens_on

each_scale = pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale.name)


def step(scale: Scale, value: float) -> int:
    return int(scale.steps(np.array([value]))[0])


@each_scale
def test_a_scale_has_as_many_steps_as_colours_and_a_word_for_each(scale: Scale) -> None:
    assert len(scale.edges) == STEPS - 1
    assert len(scale.legend) == STEPS
    assert len(set(scale.legend)) == STEPS
    assert scale.label
    assert scale.explanation.endswith(".")
    assert scale.reason.endswith(".")


@each_scale
def test_a_value_on_an_edge_is_on_the_surer_side(scale: Scale) -> None:
    for i, edge in enumerate(scale.edges):
        away = INF if scale.rising else -INF
        assert step(scale, edge) == i
        assert step(scale, np.nextafter(edge, away)) == i + 1
        assert step(scale, np.nextafter(edge, -away)) == i


@each_scale
def test_edges_run_from_the_surest_on(scale: Scale) -> None:
    assert sorted(scale.edges, reverse=not scale.rising) == list(scale.edges)


@each_scale
def test_unknown_has_no_step(scale: Scale) -> None:
    assert scale.steps(np.array([NAN, scale.edges[0], NAN])).tolist() == [UNSCORED, 0, UNSCORED]
    assert scale.steps(np.array([])).tolist() == []
    assert UNSCORED >= STEPS


@each_scale
@given(values=st.lists(st.floats(allow_nan=True), max_size=8))
def test_steps_are_absolute_and_monotone(scale: Scale, values: list[float]) -> None:
    steps = scale.steps(np.array(values)).tolist()
    assert steps == [step(scale, value) for value in values]
    known = sorted((value, place) for value, place in zip(values, steps, strict=True) if value == value)
    places = [place for _, place in known]
    assert places == sorted(places, reverse=not scale.rising)
    assert all(0 <= place < STEPS for place in places)


def test_extremes() -> None:
    assert [step(PROBABILITY, value) for value in (1, 0)] == [0, 7]
    assert [step(SURPRISAL, value) for value in (0, -0.0, INF)] == [0, 0, 7]
    assert [step(RANK, value) for value in (1, 2, 4, 1001)] == [0, 1, 3, 7]


def test_legends_in_the_metrics_own_words() -> None:
    assert PROBABILITY.legend[0] == "≥ 90%"
    assert PROBABILITY.legend[1] == "70% – 90%"
    assert PROBABILITY.legend[-1] == "< 1%"
    assert SURPRISAL.legend[0] == "≤ 0.1"
    assert SURPRISAL.legend[1] == "0.1 – 0.3"
    assert SURPRISAL.legend[-1] == "> 5.0"


def test_names_are_distinct() -> None:
    assert len({scale.name for scale in SCALES}) == len(SCALES)


def test_a_cell_of_several_tokens() -> None:
    tokens = tokens_on(
        table_of("a", b"\xf0\x9f", b"\x98\x80", "b"),
        [0, 1, 2, 3],
        logprobs=[NAN, np.log(0.5), np.log(0.25), -INF],
        ranks=[-1, 2, 7, 30],
        top_refs=[[-1, -1], [0, 1], [2, 3], [0, 1]],
        top_logprobs=[[NAN, NAN], np.log([0.5, 0.5]), np.log([0.75, 0.25]), np.log([0.9, 0.1])],
    )
    done = completion_of(tokens, tokens[:0], vocabulary_size=4)
    values = cell_values(done, done.prompt, split(done.pieces, done.prompt.refs))
    expected = {
        "probability": [NAN, 0.125, 0],  # 0.5 × 0.25
        "surprisal": [NAN, np.log(8), INF],
        "rank": [NAN, 7, 30],
        "entropy": [
            NAN,
            np.log(2),  # of an even choice, more than that of 3 to 1
            0.9 * np.log(1 / 0.9) + 0.1 * np.log(10),
        ],
        "margin": [NAN, 0, 0.8],
    }
    assert list(values) == [scale.name for scale in SCALES]
    for name, column in expected.items():
        assert values[name].tolist() == pytest.approx(column, nan_ok=True, abs=1e-5), name
