from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lib.core.columnar import unpack
from lib.core.completion import Completion
from lib.display.flag_columns import LONGEST, MOST_ALTERNATIVES, cells_of, packed_flags
from lib.display.flags import Flags
from lib.display.token_map_view import TokenMapView
from tests.support.strategies import completion_of, completions, tokens_of

PRESETS = {"Few": 6.0, "Usual": 3.0}
SCORES = st.one_of(st.floats(0, 60), st.sampled_from([math.nan, math.inf]))
TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(["\udcff", "\ud800", "é\udcc3\udca9", "😀", "", "x" * 300]))
LISTS = st.lists(st.tuples(TEXTS, st.floats(0, 1)), max_size=MOST_ALTERNATIVES + 2)


def flags_of(rows: list[tuple[int, int]], scores: list[float], lists: list[list[tuple[str, float]]]) -> Flags:
    first, last = (np.array([row[side] for row in rows], np.int32) for side in (0, 1))
    return Flags(first, last, np.array(scores, np.float64), lists, PRESETS, 3.0)


@st.composite
def flags(draw: st.DrawFn, tokens: int) -> Flags:
    """Any flags of an answer of that many tokens."""
    count = draw(st.integers(0, 6)) if tokens else 0
    rows = [
        tuple(sorted(draw(st.tuples(st.integers(0, tokens - 1), st.integers(0, tokens - 1))))) for _ in range(count)
    ]
    return flags_of(
        [(first, last + 1) for first, last in rows],
        [draw(SCORES) for _ in rows],
        [draw(LISTS) for _ in rows],
    )


@dataclass
class Read:
    """Packed flags as the browser decodes them: (first, last, score, [(text, probability)]) per term."""

    rows: list[tuple[int, int, float, list[tuple[str, float]]]]

    @classmethod
    def of(cls, packed: bytes) -> Read:
        _, columns = unpack(packed, "flags")
        units = bytes(columns["text.text"]).decode().encode("utf-16-le")
        ends = np.cumsum(columns["text.chars"], dtype=np.int64).tolist()
        starts = [0, *ends[:-1]]
        texts = [units[2 * start : 2 * end].decode("utf-16-le") for start, end in zip(starts, ends, strict=False)]
        every = iter(list(zip(texts, columns["probability"].tolist(), strict=True)))
        rows = [
            (first, last, score, [next(every) for _ in range(listed)])
            for first, last, score, listed in zip(
                *(columns[name].tolist() for name in ("first", "last", "score", "listed")), strict=True
            )
        ]
        assert list(every) == []
        return cls(rows)


@given(completions(), st.data())
def test_the_packed_columns_say_what_the_flags_say(done: Completion, data: st.DataObject) -> None:
    given_flags, view = data.draw(flags(len(done.generated))), TokenMapView(done)
    read = Read.of(packed_flags(view, given_flags))
    assert len(read.rows) == len(given_flags)
    prompt = len(done.prompt)
    expected = []
    for first, last, score, listed in zip(
        given_flags.first, given_flags.last, given_flags.scores, given_flags.alternatives, strict=True
    ):
        cells = [
            cell for cell in range(len(view)) if set(view.tokens_of(cell)) & set(range(prompt + first, prompt + last))
        ]
        probabilities = [np.float32(probability).item() for _, probability in listed[:MOST_ALTERNATIVES]]
        expected.append((cells[0], cells[-1] + 1, np.float32(score).item(), probabilities))
    found = [(first, last, score, [p for _, p in listed]) for first, last, score, listed in read.rows]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert [row[:2] for row in read.rows] == sorted(row[:2] for row in read.rows)


@given(completions(), st.data())
def test_flags_of_a_later_view_are_those_from_its_base_on(done: Completion, data: st.DataObject) -> None:
    given_flags = data.draw(flags(len(done.generated)))
    whole = TokenMapView(done)
    base = int(whole.first[data.draw(st.integers(0, len(whole)))])
    assume(base <= len(done.prompt) + len(done.generated))
    later = TokenMapView(done, base)
    first, last = cells_of(later, given_flags)
    in_whole = cells_of(whole, given_flags)
    before = int(np.searchsorted(whole.first, base))
    kept = given_flags.first + len(done.prompt) >= base
    assert (first >= 0).tolist() == kept.tolist()
    assert (first[kept] + before).tolist() == in_whole[0][kept].tolist()
    assert (last[kept] + before).tolist() == in_whole[1][kept].tolist()


def test_a_term_covers_all_of_a_character_that_it_covers_in_part() -> None:
    done = completion_of(tokens_of("?"), tokens_of("a", b"\xf0\x9f", b"\x98\x80", "b"))
    first, last = cells_of(TokenMapView(done), flags_of([(1, 2), (2, 4), (3, 4)], [1.0] * 3, [[]] * 3))
    assert (first.tolist(), last.tolist()) == ([2, 2, 3], [3, 4, 4])


def test_texts_are_readable_and_bounded() -> None:
    done = completion_of(tokens_of(), tokens_of("a"))
    listed = [("\udcff", 0.5), ("\ud800", 0.2), ("x" * 1000, 0.1)]
    (row,) = Read.of(packed_flags(TokenMapView(done), flags_of([(0, 1)], [1.0], [listed]))).rows
    assert [text for text, _ in row[3]] == [r"\xff", r"\ud800", "x" * LONGEST]


@pytest.mark.parametrize("row", [(-1, 1), (0, 0), (1, 0), (0, 2), (5, 6)])
def test_rows_that_the_answer_does_not_have_are_refused(row: tuple[int, int]) -> None:
    done = completion_of(tokens_of("?"), tokens_of("a"))
    with pytest.raises(ValueError, match="at least one token"):
        packed_flags(TokenMapView(done), flags_of([row], [1.0], [[]]))


def test_the_header_has_what_the_browser_decides_by() -> None:
    done = completion_of(tokens_of(), tokens_of("a"))
    flagged = flags_of([(0, 1)], [1.0], [[]])
    meta, _ = unpack(packed_flags(TokenMapView(done), flagged), "flags")
    assert meta["presets"] == [["Few", 6.0], ["Usual", 3.0]]
    assert (meta["threshold"], meta["clear"], meta["strong"], meta["unit"]) == (3.0, 3.0, 6.0, "nats")
    assert meta["scale"] == flagged.scale


def test_sudden_drops_stay_with_their_terms_and_none_are_told_where_nothing_is_known() -> None:
    done = completion_of(tokens_of(), tokens_of("a", "b", "c"))
    known = replace(flags_of([(2, 3), (0, 1), (1, 2)], [1.0] * 3, [[]] * 3), sudden=np.array([True, False, True]))
    _, columns = unpack(packed_flags(TokenMapView(done), known), "flags")
    assert (columns["first"].tolist(), columns["sudden"].tolist()) == ([0, 1, 2], [0, 1, 1])
    _, columns = unpack(packed_flags(TokenMapView(done), replace(known, sudden=None)), "flags")
    assert columns["sudden"].tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="sudden drop"):
        replace(known, sudden=np.array([True]))
