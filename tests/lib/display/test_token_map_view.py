from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.columnar import unpack
from lib.core.completion import Completion
from lib.core.pieces import Pieces
from lib.core.tokens import NO_TOKENS, TokenKind, concatenate
from lib.display.scales import OUTSIDE, SCALES, UNSCORED
from lib.display.token_map_columns import fingerprint
from lib.display.token_map_part import UNKNOWN
from lib.display.token_map_view import TokenMapView
from lib.scores.token_scores import entropy_bounds, others_mass
from lib.segmentation.cells import split
from tests.support.strategies import (
    HARD_BYTES,
    INF,
    NAN,
    completion_of,
    completions,
    cut,
    table_of,
    tokens_of,
    tokens_on,
)


class Drawn:
    """A packed view as the browser decodes it: texts split by UTF-16 length, the largest value as missing."""

    def __init__(self, view: TokenMapView, pattern: str = "") -> None:
        self.meta, self.columns = unpack(view.packed(pattern), "view")
        self.pieces = self.cut("piece")
        flags = self.columns["token.flags"]
        self.first = np.append(np.flatnonzero(flags & 0x08 == 0), len(flags))
        several = iter(self.cut("joined"))
        refs, self.logprobs = self.listed()
        self.refs = [None if ref == np.iinfo(self.columns["top.ref"].dtype).max else ref for ref in refs]
        self.cells = [
            next(several) if end - start > 1 else UNKNOWN if (ref := self.refs[start]) is None else self.pieces[ref]
            for start, end in pairwise(self.first.tolist())
        ]
        assert list(several) == []

    def cut(self, name: str) -> list[str]:
        units = bytes(self.columns[f"{name}.text"]).decode().encode("utf-16-le")
        ends = np.cumsum(self.columns[f"{name}.chars"], dtype=np.int64)
        assert len(units) == 2 * (ends[-1] if len(ends) else 0)
        return [
            units[2 * int(end - length) : 2 * int(end)].decode("utf-16-le")
            for end, length in zip(ends, self.columns[f"{name}.chars"], strict=True)
        ]

    def listed(self) -> tuple[list[int], list[int | None]]:
        """Refs and logprobs of the tokens, from their lists or from the columns of unlisted tokens."""
        places = self.columns["token.place"]
        out = places == np.iinfo(places.dtype).max
        both = []
        for name in ("ref", "logprob"):
            column = np.zeros(len(places), np.int64)
            column[out] = self.columns[f"unlisted.{name}"]
            rows = np.flatnonzero(~out)
            column[~out] = self.columns[f"top.{name}"][rows, places[rows]]
            both.append(column.tolist())
        return both[0], [None if each == 0xFFFF else each for each in both[1]]

    def begins(self, bit: int) -> list[int]:
        return np.flatnonzero(self.columns["token.flags"][self.first[:-1]] & bit).tolist()

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
    view = TokenMapView(done)
    drawn, tokens = Drawn(view), concatenate([done.prompt, done.generated])

    assert drawn.meta["k"] == tokens.k
    assert drawn.first.tolist() == view.first.tolist()
    assert (drawn.columns["token.flags"] & 7).tolist() == tokens.kinds.tolist()
    assert drawn.pieces == [tokens.pieces.text_of(row) for row in range(len(tokens.pieces))]
    assert drawn.columns["piece.id"].tolist() == tokens.pieces.ids.tolist()
    assert drawn.refs == [None if ref < 0 else ref for ref in tokens.refs.tolist()]
    assert drawn.columns["token.rank"].tolist() == [max(rank, 0) for rank in tokens.ranks.tolist()]
    for drawn_one, exact in zip(drawn.logprobs, tokens.logprobs.tolist(), strict=True):
        assert close_to(drawn_one, -exact)
    for drawn_one, exact in zip(drawn.numbers("token.others"), others_mass(tokens).tolist(), strict=True):
        assert close_to(drawn_one, exact)
    parts = [entropy_bounds(part, done.vocabulary_size) for part in (done.prompt, done.generated)]
    for name, bound in (("token.low", 0), ("token.high", 1)):
        for drawn_one, exact in zip(drawn.numbers(name), np.concatenate([each[bound] for each in parts]), strict=True):
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
    view = TokenMapView(done)
    drawn = Drawn(view)
    shown = []
    for pieces in (prompt, answer):
        for start, end in pairwise(cells_first(pieces)):
            shown.append(b"".join(pieces[start:end]).decode("utf-8", "backslashreplace"))
    assert drawn.cells == shown == [view.text_of(cell) for cell in range(len(view))]
    assert drawn.meta["boundary"] == len(prompt)
    assert view.boundary == len(cells_first(prompt)) - 1


def cells_first(pieces: list[bytes]) -> list[int]:
    tokens = tokens_of(*pieces)
    return split(tokens.pieces, tokens.refs).first.tolist()


def test_lengths_count_utf16_units() -> None:
    drawn = Drawn(TokenMapView(completion_of(tokens_of("a", "é", "漢", "😀", "👨\u200d", "👩"), tokens_of(" "))))
    assert drawn.columns["joined.chars"].tolist() == [5]
    assert drawn.cells == ["a", "é", "漢", "😀", "👨\u200d👩", " "]


def test_bytes_that_are_no_character_are_shown_as_numbers() -> None:
    drawn = Drawn(TokenMapView(completion_of(tokens_of("😀", b"\xff"), tokens_of(b"\xe2\x82"))))
    assert drawn.cells == ["😀", "\\xff", "\\xe2\\x82"]
    assert sorted(drawn.pieces) == ["\\xe2\\x82", "\\xff", "😀"]


def test_no_cell_spans_the_boundary() -> None:
    view = TokenMapView(completion_of(tokens_of("e", b"\xf0\x9f"), tokens_of(b"\x98\x80", "a")))
    assert [view.text_of(cell) for cell in range(len(view))] == ["e", "\\xf0\\x9f", "\\x98\\x80", "a"]
    assert view.boundary == 2
    assert len(TokenMapView(completion_of(tokens_of("e"), tokens_of("\u0301")))) == 2


EXAMPLE = completion_of(
    tokens_of("a", "b", logprobs=[NAN, -1], ranks=[-1, 3]),
    tokens_of(b"\xf0\x9f", b"\x98\x80", "c", logprobs=[-0.05, -0.0004, -INF], ranks=[1, 1, 2000], kinds=[3, 3, 2]),
)


def test_a_cell_knows_its_tokens() -> None:
    view = TokenMapView(EXAMPLE)
    assert len(view) == 4
    assert [view.tokens_of(cell) for cell in range(4)] == [range(1), range(1, 2), range(2, 4), range(4, 5)]
    assert view.first.tolist() == [0, 1, 2, 4, 5]
    for cell in (-1, 4):
        with pytest.raises(IndexError):
            view.tokens_of(cell)


def test_kinds_and_steps_of_cells() -> None:
    view = TokenMapView(EXAMPLE)
    drawn = Drawn(view)
    assert (drawn.columns["token.flags"] & 7).tolist() == [
        TokenKind.TEXT,
        TokenKind.TEXT,
        TokenKind.REASONING,
        TokenKind.REASONING,
        TokenKind.STOP,
    ]
    assert drawn.first.tolist() == [0, 1, 2, 4, 5]
    colours = {scale.name: scale.colours(view.steps("token")[scale.name]).tolist() for scale in SCALES}
    assert colours["surprisal"] == [UNSCORED, 3, 0, 7]
    assert colours["probability"] == [UNSCORED, 3, 0, 7]
    assert colours["rank"] == [UNSCORED, 2, 0, 7]
    assert colours["entropy"] == colours["boosted"] == [UNSCORED] * 4
    assert drawn.logprobs == [None, 1000, 50, 0, 65534]


@given(completions())
def test_packed_steps_and_groups_are_those_of_the_view(done: Completion) -> None:
    view = TokenMapView(done)
    drawn = Drawn(view)
    for grouping, bit in (("word", 0x10), ("sentence", 0x20), ("line", 0x40)):
        assert drawn.begins(bit) == view.groups(grouping).tolist()
        for scale in SCALES:
            assert drawn.columns[f"{grouping}.step.{scale.name}"].tolist() == view.steps(grouping)[scale.name].tolist()
            assert len(view.steps(grouping)[scale.name]) == len(view.groups(grouping))
    for scale in SCALES:
        cells = view.steps("token")[scale.name]
        assert len(cells) == len(view)
        assert drawn.columns[f"token.step.{scale.name}"].tolist() == cells.tolist()
        assert view.available(scale) == (cells != UNSCORED).any() == (scale.name not in drawn.meta["missing"])


@given(completions())
def test_a_view_without_lists_and_passages_says_the_same_of_its_cells(done: Completion) -> None:
    view = TokenMapView(done)
    drawn, lean = Drawn(view), TokenMapView(done).packed(passages=False, lists=False)
    meta, columns = unpack(lean, "view")
    tokens = concatenate([done.prompt, done.generated])
    assert meta["k"] == 0
    assert meta["missing"] == drawn.meta["missing"]
    assert not [name for name in columns if name.startswith(("word.", "sentence.", "line.")) or name == "token.others"]
    names = [name for name in columns if name.startswith("token.step.")]
    assert len(names) == len(SCALES)
    assert all(columns[name].tolist() == drawn.columns[name].tolist() for name in names)
    assert columns["unlisted.logprob"].tolist() == [0xFFFF if each is None else each for each in drawn.logprobs]
    none = np.iinfo(columns["unlisted.ref"].dtype).max
    ids = [-1 if ref == none else int(columns["piece.id"][ref]) for ref in columns["unlisted.ref"].tolist()]
    assert ids == tokens.ids.tolist()
    assert (columns["token.flags"] & 0x4F).tolist() == (drawn.columns["token.flags"] & 0x4F).tolist()


def test_what_a_pattern_matches_is_a_group() -> None:
    words = tokens_of("It", " is", " 3", ".", "14", " or", " so", logprobs=[NAN, -1, -0.55, -0.1, -0.4, -2, -3])
    view = TokenMapView(completion_of(words[:0], words))
    first, steps = view.matched(r"\d[\d.]*")
    assert first.tolist() == [0, 2, 5]
    assert steps["surprisal"].tolist() == [OUTSIDE, int(SCALES[1].fine(np.array([1.05]))[0]), OUTSIDE]
    drawn = Drawn(view, r"\d[\d.]*")
    assert drawn.columns["pattern.first"].tolist() == [0, 2, 5]
    assert drawn.columns["pattern.step.surprisal"].tolist() == steps["surprisal"].tolist()
    assert drawn.meta["pattern"] == {"text": r"\d[\d.]*", "error": "", "found": 1}


def test_a_pattern_that_cannot_be_used_says_so_and_the_rest_is_there() -> None:
    drawn = Drawn(TokenMapView(EXAMPLE), "(")
    assert drawn.meta["pattern"]["error"].startswith("Invalid regular expression: missing )")
    assert "pattern.first" not in drawn.columns
    assert len(drawn.cells) == 4


def test_a_pattern_that_matches_nothing_leaves_everything_outside() -> None:
    first, steps = TokenMapView(EXAMPLE).matched("z")
    assert first.tolist() == [0, 2]  # prompt and answer are never one group
    assert steps["rank"].tolist() == [OUTSIDE, OUTSIDE]


@given(completions(), st.integers(0, 12))
def test_fingerprints_tell_completions_apart(done: Completion, count: int) -> None:
    tokens = concatenate([done.prompt, done.generated])
    count = min(count, len(tokens))
    assert fingerprint(done, count) == fingerprint(replace(done, generated=done.generated), count)
    if count and tokens.ids[count - 1] >= 0:
        ids = tokens.ids[:count].tolist()
        moved = concatenate([tokens[:count]])
        assert moved.ids.tolist() == ids
        assert fingerprint(completion_of(moved, NO_TOKENS), count) == fingerprint(done, count)


@given(cut(HARD_BYTES), st.data())
def test_a_settled_beginning_stays_as_it_is(pieces: list[bytes], data: st.DataObject) -> None:
    """Before its settled token, a growing completion looks the same as the complete one."""
    tokens = tokens_of(*pieces, b"\n", *pieces, b". X", *pieces)
    seen = data.draw(st.integers(0, len(tokens)))
    whole, part = (
        TokenMapView(completion_of(tokens[:2], tokens[2:])),
        TokenMapView(completion_of(tokens[:2], tokens[2:][:seen])),
    )
    base = part.settled
    rest = TokenMapView(whole.completion, base)
    cells = int(np.searchsorted(whole.first, base))
    assert whole.first[cells] == base
    assert [whole.text_of(cell) for cell in range(cells)] == [part.text_of(cell) for cell in range(cells)]
    assert (rest.first + base).tolist() == whole.first[cells:].tolist()
    for grouping in ("word", "sentence", "line"):
        groups, before = whole.groups(grouping), part.groups(grouping)
        assert groups[groups < cells].tolist() == before[before < cells].tolist()
        assert (rest.groups(grouping) + cells).tolist() == groups[groups >= cells].tolist()
        for scale in SCALES:
            steps = whole.steps(grouping)[scale.name]
            assert rest.steps(grouping)[scale.name].tolist() == steps[groups >= cells].tolist()


def test_an_empty_completion() -> None:
    drawn = Drawn(TokenMapView(completion_of(NO_TOKENS, NO_TOKENS)))
    assert (drawn.cells, drawn.pieces, drawn.meta["boundary"]) == ([], [], 0)
    assert not any(TokenMapView(completion_of(NO_TOKENS, NO_TOKENS)).available(scale) for scale in SCALES)


def test_a_hundred_thousand_tokens_take_little_room() -> None:
    n, k = 100_000, 5
    pieces = Pieces(np.arange(300), np.arange(301), np.arange(300) % 26 + 97, np.zeros(300, bool))
    random = np.random.default_rng(1)
    refs = random.integers(0, 300, (n, k + 1))
    logprobs = -random.random((n, k + 1))
    tokens = tokens_on(pieces, refs[:, 0], logprobs=logprobs[:, 0], top_refs=refs[:, 1:], top_logprobs=logprobs[:, 1:])
    view = TokenMapView(completion_of(tokens, NO_TOKENS))
    assert len(view.packed()) / n < 26 + 4 * k
    assert view.packed() is view.packed()
    assert view.packed("a") is view.packed("a")


@given(st.lists(st.floats(-70, 0, width=32), max_size=5))
def test_logprobs_are_within_half_a_thousandth(logprobs: list[float]) -> None:
    tokens = tokens_on(table_of("a"), [0] * len(logprobs), logprobs=logprobs)
    drawn = Drawn(TokenMapView(completion_of(tokens, NO_TOKENS))).logprobs
    assert all(
        abs(each / 1000 + exact) <= 0.000501 or exact < -65.534 for each, exact in zip(drawn, logprobs, strict=True)
    )


def test_a_token_of_which_nothing_is_known_is_shown() -> None:
    tokens = tokens_on(table_of("a", "b"), [0, -1, 1], logprobs=[NAN, NAN, -0.5])
    view = TokenMapView(completion_of(tokens, tokens[:2]))
    assert [view.text_of(cell) for cell in range(len(view))] == ["a", "⟨?⟩", "b", "a", "⟨?⟩"]
    assert view.packed()
