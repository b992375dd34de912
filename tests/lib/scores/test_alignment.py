"""Two tokenizations of a text, span by span."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.pieces import make_pieces
from lib.core.tokens import Tokens, make_tokens
from lib.scores.alignment import aligned


def read(*parts: bytes | str, logprobs: list[float] | None = None, special: tuple[int, ...] = ()) -> Tokens:
    texts = [part.encode() if isinstance(part, str) else part for part in parts]
    pieces = make_pieces([(number, text, number in special) for number, text in enumerate(texts)])
    values = [-1.0] * len(texts) if logprobs is None else logprobs
    return make_tokens(pieces, np.arange(len(texts), dtype=np.int32), logprobs=np.array(values, np.float32))


def test_two_tokenizers() -> None:
    found = aligned(
        read("the", " cat", " s", "at", logprobs=[-1, -2, -3, -4]),
        read("th", "e c", "at", " sat", logprobs=[-0.5, -0.5, -1, -2]),
    )
    assert found.texts == ("the cat", " sat")
    assert found.first.tolist() == [[0, 2], [2, 4]]
    assert found.second.tolist() == [[0, 3], [3, 4]]
    assert found.logprobs.tolist() == [-3, -7]
    assert found.others.tolist() == [-2, -2]
    assert found.differences.tolist() == [1, 5]
    assert found.largest(5, gains=True) == [1, 0]
    assert found.largest(5, gains=False) == []
    assert found.left_out == (0, 0)
    assert found.bits_per_character() == pytest.approx((10 / math.log(2) / 11, 4 / math.log(2) / 11))


def test_one_tokenizer_token_by_token() -> None:
    one, other = (read("a", " b", " c", logprobs=values) for values in ([math.nan, -1, -2], [-9, -3, -1]))
    found = aligned(one, other)
    assert found.texts == (" b", " c")  # the first is scored by one of them only
    assert found.around == ("a", "", "")
    assert found.differences.tolist() == [-2, 1]
    assert found.left_out == (0, 1)


def test_control_tokens_and_what_is_impossible() -> None:
    one = read("<s>", "a", "b", logprobs=[-1, -1, -math.inf], special=(0,))
    other = read("a", "", "b", "</s>", special=(3,))
    found = aligned(one, other)
    assert found.texts == ("a",)
    assert found.left_out == (0, 2)


def test_characters_stay_whole() -> None:
    found = aligned(read("é".encode()[:1], "é".encode()[1:], "x"), read("é".encode()[:1], "é".encode()[1:] + b"x"))
    assert found.texts == ("éx",)
    found = aligned(read("é".encode()[:1], "é".encode()[1:], "x"), read("é".encode()[:1], "é".encode()[1:], "x"))
    assert found.texts == ("é", "x")


def test_texts_that_a_tokenizer_has_normalised() -> None:
    found = aligned(read("Straße", " is", " long"), read(" strasse", " is", " long", "!"))
    assert found.texts == (" is", " long")
    assert found.around == ("Straße", "", "")
    assert aligned(read("a"), read("b")).characters == 0
    assert all(map(math.isnan, aligned(read("a"), read("b")).bits_per_character()))


@st.composite
def two_readings(draw: st.DrawFn) -> tuple[Tokens, Tokens]:
    """A text tokenized in two ways, at any bytes."""
    data = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)).encode()

    def cut() -> Tokens:
        places = sorted(draw(st.sets(st.integers(1, len(data)), max_size=len(data))) | {0, len(data)})
        parts = [data[start:end] for start, end in pairwise(places)]
        value = st.floats(-30, 0, width=32) | st.just(math.nan)
        return read(*parts, logprobs=draw(st.lists(value, min_size=len(parts), max_size=len(parts))))

    return cut(), cut()


@given(two_readings())
def test_sums_are_those_of_the_tokens(both: tuple[Tokens, Tokens]) -> None:
    found = aligned(*both)
    for tokens, rows, sums, left in zip(
        both, (found.first, found.second), (found.logprobs, found.others), found.left_out, strict=True
    ):
        counted = np.zeros(len(tokens), bool)
        for (start, end), total, text in zip(rows, sums, found.texts, strict=True):
            assert not counted[start:end].any()
            counted[start:end] = True
            data = b"".join(tokens.pieces.bytes_of(int(ref)) for ref in tokens.refs[start:end])
            assert data.decode() == text
            assert abs(total - tokens.logprobs[start:end].astype(np.float64).sum()) < 1e-9
        values = tokens.logprobs.astype(np.float64)
        assert not np.isnan(values[counted]).any()
        assert left == int((~np.isnan(values) & ~counted).sum())
        assert abs(sums.sum() - values[counted].sum()) < 1e-9
