from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.cells import split
from lib.completion import Completion
from lib.packed import unpack
from lib.pieces import Pieces
from lib.scales import RANK, SCALES, UNSCORED
from lib.scores import others_mass
from lib.tokens import NO_TOKENS, Kind, concatenate
from lib.view import View
from tests.strategies import HARD_BYTES, INF, NAN, completion_of, completions, cut, table_of, tokens_of, tokens_on


class Drawn:
    """What the browser makes of a packed view: strings cut by UTF-16 length, the largest value as missing."""

    def __init__(self, view: View) -> None:
        self.meta, self.columns = unpack(view.packed(), "view")
        self.cells = self.cut("cell")
        self.pieces = self.cut("piece")

    def cut(self, name: str) -> list[str]:
        units = bytes(self.columns[f"{name}.text"]).decode().encode("utf-16-le")
        ends = np.cumsum(self.columns[f"{name}.chars"], dtype=np.int64)
        assert len(units) == 2 * (ends[-1] if len(ends) else 0)
        return [
            units[2 * int(end - length) : 2 * int(end)].decode("utf-16-le")
            for end, length in zip(ends, self.columns[f"{name}.chars"], strict=True)
        ]

    def numbers(self, name: str) -> list[Any]:
        """A column as a list, None for missing."""
        column = self.columns[name]
        missing = np.iinfo(column.dtype).max
        shape = np.where(column == missing, -1, column.astype(np.int64)).tolist()
        return [
            [None if each == -1 else each for each in row] if isinstance(row, list) else None if row == -1 else row
            for row in shape
        ]


def close_to(thousandths: int | None, exact: float) -> bool:
    if thousandths is None or math.isnan(exact):
        return thousandths is None and math.isnan(exact)
    return abs(thousandths - min(max(exact, 0), 65.534) * 1000) <= 0.5 + 1e-6


@given(completions())
def test_the_packed_columns_say_what_the_completion_says(done: Completion) -> None:
    view = View(done)
    drawn, tokens = Drawn(view), concatenate([done.prompt, done.generated])

    assert drawn.meta["k"] == tokens.k
    assert drawn.columns["cell.size"].sum() == len(tokens)
    assert drawn.pieces == [tokens.pieces.text_of(row) for row in range(len(tokens.pieces))]
    assert drawn.columns["piece.id"].tolist() == tokens.pieces.ids.tolist()
    assert drawn.numbers("token.ref") == [None if ref < 0 else ref for ref in tokens.refs.tolist()]
    assert drawn.columns["token.rank"].tolist() == [max(rank, 0) for rank in tokens.ranks.tolist()]
    for drawn_one, exact in zip(drawn.numbers("token.logprob"), tokens.logprobs.tolist(), strict=True):
        assert close_to(drawn_one, -exact)
    for drawn_one, exact in zip(drawn.numbers("token.others"), others_mass(tokens).tolist(), strict=True):
        assert close_to(drawn_one, exact)
    assert drawn.columns["top.ref"].shape == drawn.columns["top.logprob"].shape == (len(tokens), tokens.k)
    if tokens.k:
        assert drawn.numbers("top.ref") == [
            [None if ref < 0 else ref for ref in row] for row in tokens.top_refs.tolist()
        ]
        for drawn_row, row in zip(drawn.numbers("top.logprob"), tokens.top_logprobs.tolist(), strict=True):
            assert all(close_to(one, -exact) for one, exact in zip(drawn_row, row, strict=True))


@given(cut(HARD_BYTES), cut(HARD_BYTES))
def test_texts_are_cut_where_the_cells_are(prompt: list[bytes], answer: list[bytes]) -> None:
    done = completion_of(tokens_of(*prompt), tokens_of(*answer))
    view = View(done)
    drawn = Drawn(view)
    shown = []
    for pieces in (prompt, answer):
        for start, end in pairwise(cells_first(pieces)):
            shown.append(b"".join(pieces[start:end]).decode("utf-8", "backslashreplace"))
    assert drawn.cells == shown == [view.text_of(cell) for cell in range(len(view))]
    assert drawn.meta["boundary"] == view.boundary == len(cells_first(prompt)) - 1


def cells_first(pieces: list[bytes]) -> list[int]:
    tokens = tokens_of(*pieces)
    return split(tokens.pieces, tokens.refs).first.tolist()


def test_lengths_count_utf16_units() -> None:
    drawn = Drawn(View(completion_of(tokens_of("a", "é", "漢", "😀", "👨\u200d👩"), tokens_of(" "))))
    assert drawn.columns["cell.chars"].tolist() == [1, 1, 1, 2, 5, 1]
    assert drawn.cells == ["a", "é", "漢", "😀", "👨\u200d👩", " "]


def test_bytes_that_are_no_character_are_shown_as_numbers() -> None:
    drawn = Drawn(View(completion_of(tokens_of("😀", b"\xff"), tokens_of(b"\xe2\x82"))))
    assert drawn.cells == ["😀", "\\xff", "\\xe2\\x82"]
    assert sorted(drawn.pieces) == ["\\xe2\\x82", "\\xff", "😀"]


def test_no_cell_spans_the_boundary() -> None:
    view = View(completion_of(tokens_of("e", b"\xf0\x9f"), tokens_of(b"\x98\x80", "a")))
    assert [view.text_of(cell) for cell in range(len(view))] == ["e", "\\xf0\\x9f", "\\x98\\x80", "a"]
    assert view.boundary == 2
    assert len(View(completion_of(tokens_of("e"), tokens_of("\u0301")))) == 2


EXAMPLE = completion_of(
    tokens_of("a", "b", logprobs=[NAN, -1], ranks=[-1, 3]),
    tokens_of(b"\xf0\x9f", b"\x98\x80", "c", logprobs=[-0.05, -0.0004, -INF], ranks=[1, 1, 2000], kinds=[3, 3, 2]),
)


def test_a_cell_knows_its_tokens() -> None:
    view = View(EXAMPLE)
    assert len(view) == 4
    assert [view.tokens_of(cell) for cell in range(4)] == [range(1), range(1, 2), range(2, 4), range(4, 5)]
    assert view.first.tolist() == [0, 1, 2, 4, 5]
    for cell in (-1, 4):
        with pytest.raises(IndexError):
            view.tokens_of(cell)


def test_kinds_and_steps_of_cells() -> None:
    drawn = Drawn(View(EXAMPLE))
    assert drawn.columns["cell.kind"].tolist() == [Kind.TEXT, Kind.TEXT, Kind.REASONING, Kind.STOP]
    assert drawn.columns["cell.size"].tolist() == [1, 1, 2, 1]
    assert drawn.columns["step.surprisal"].tolist() == [UNSCORED, 3, 0, 7]
    assert drawn.columns["step.probability"].tolist() == [UNSCORED, 3, 0, 7]
    assert drawn.columns["step.rank"].tolist() == [UNSCORED, 2, 0, 7]
    assert drawn.columns["step.entropy"].tolist() == [UNSCORED] * 4
    assert drawn.numbers("token.logprob") == [None, 1000, 50, 0, 65534]


@given(completions())
def test_steps_are_those_of_the_values(done: Completion) -> None:
    view = View(done)
    drawn = Drawn(view)
    for scale in SCALES:
        values = view.values[scale.name]
        assert len(values) == len(view)
        assert drawn.columns[f"step.{scale.name}"].tolist() == scale.steps(values).tolist()
        assert view.available(scale) == (~np.isnan(values)).any()


def test_a_missing_metric_gives_its_reason() -> None:
    missing = {scale["name"]: scale["missing"] for scale in Drawn(View(EXAMPLE)).meta["scales"]}
    assert missing["probability"] == missing["surprisal"] == missing["rank"] == ""
    assert "two alternatives" in missing["entropy"]
    without_ranks = completion_of(tokens_of("a", logprobs=[-1]), NO_TOKENS)
    assert {scale["name"]: scale["missing"] for scale in Drawn(View(without_ranks)).meta["scales"]}[
        "rank"
    ] == RANK.reason


def test_an_empty_completion() -> None:
    drawn = Drawn(View(completion_of(NO_TOKENS, NO_TOKENS)))
    assert (drawn.cells, drawn.pieces, drawn.meta["boundary"]) == ([], [], 0)
    assert not any(View(completion_of(NO_TOKENS, NO_TOKENS)).available(scale) for scale in SCALES)


def test_a_hundred_thousand_tokens_take_little_room() -> None:
    n, k = 100_000, 5
    pieces = Pieces(np.arange(300), np.arange(301), np.arange(300) % 26 + 97, np.zeros(300, bool))
    random = np.random.default_rng(1)
    refs = random.integers(0, 300, (n, k + 1))
    logprobs = -random.random((n, k + 1))
    tokens = tokens_on(pieces, refs[:, 0], logprobs=logprobs[:, 0], top_refs=refs[:, 1:], top_logprobs=logprobs[:, 1:])
    view = View(completion_of(tokens, NO_TOKENS))
    assert len(view.packed()) / n < 20 + 4 * k
    assert view.packed() is view.packed()


@given(st.lists(st.floats(-70, 0, width=32), max_size=5))
def test_logprobs_are_within_half_a_thousandth(logprobs: list[float]) -> None:
    tokens = tokens_on(table_of("a"), [0] * len(logprobs), logprobs=logprobs)
    drawn = Drawn(View(completion_of(tokens, NO_TOKENS))).numbers("token.logprob")
    assert all(
        abs(each / 1000 + exact) <= 0.000501 or exact < -65.534 for each, exact in zip(drawn, logprobs, strict=True)
    )


def test_a_token_of_which_nothing_is_known_is_shown() -> None:
    tokens = tokens_on(table_of("a", "b"), [0, -1, 1], logprobs=[NAN, NAN, -0.5])
    view = View(completion_of(tokens, tokens[:2]))
    assert [view.text_of(cell) for cell in range(len(view))] == ["a", "⟨?⟩", "b", "a", "⟨?⟩"]
    assert view.packed()
