"""Completions: one piece table, equality of bits, and immutability."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given

from lib.core.completion import Completion, Timing
from lib.core.pieces import make_pieces
from lib.core.request import Request
from lib.core.tokens import Tokens, concatenate
from tests.support.strategies import NAN, completion_of, completions, tokens_of, tokens_on


def small(**fields: object) -> Completion:
    return completion_of(tokens_of("a", "b", logprobs=[NAN, -1]), tokens_of("c", logprobs=[-2]), **fields)


def test_prompt_and_answer_share_one_table_of_what_they_use() -> None:
    pieces = make_pieces([(9, b"unused", False), (5, b"b", False), (-1, b"lit", False), (2, b"a", False)])
    done = completion_of(tokens_on(pieces, [1, 2]), tokens_on(pieces, [3]))
    assert done.prompt.pieces is done.generated.pieces is done.pieces
    assert done.pieces.ids.tolist() == [-1, 2, 5]
    assert done.pieces.texts == ["lit", "a", "b"]
    assert done.prompt.ids.tolist() == [5, -1]


def test_the_way_a_table_came_together_leaves_no_trace() -> None:
    rows = [(-1, b"z", False), (-1, b"a", False), (3, b"c", True), (1, b"d", False)]
    one = make_pieces(rows)
    other = make_pieces([(8, b"unused", False), *reversed(rows)])
    listed = {"top_logprobs": [[-1, -2]] * 2}
    first = completion_of(tokens_on(one, [0, 2], top_refs=[[1, 3], [0, 0]], **listed), tokens_on(one, [3]))
    again = completion_of(
        tokens_on(other, [4, 2], top_refs=[[3, 1], [4, 4]], **listed),
        tokens_on(make_pieces([(1, b"d", False)]), [0]),
    )
    assert first == again
    assert first.identical(again)


DIFFERENT = {
    "request": Request(prompt="y"),
    "model": "other",
    "prompt": tokens_of("a", "b", logprobs=[NAN, -1.5]),
    "generated": tokens_of("c", logprobs=[-0.0]),
    "text": "other",
    "stop_reason": "length",
    "scale": "processed",
    "origin": "scored",
    "chosen_by": "text",
    "overlap": 1,
    "vocabulary_size": 9,
}
CIRCUMSTANCES = {"timing": Timing(total=1.0), "warnings": ("w",), "provenance": (("torch", "2"),)}


@pytest.mark.parametrize("name", DIFFERENT)
def test_everything_the_model_said_counts_in_equality(name: str) -> None:
    other = replace(small(), **{name: DIFFERENT[name]})
    assert small() != other
    assert not small().identical(other)


@pytest.mark.parametrize("name", CIRCUMSTANCES)
def test_circumstances_count_in_identity_only(name: str) -> None:
    other = small(**{name: CIRCUMSTANCES[name]})
    assert small() == other
    assert not small().identical(other)
    assert other.identical(small(**{name: CIRCUMSTANCES[name]}))


def test_equality_compares_bits() -> None:
    def zero(sign: float) -> Completion:
        return replace(small(), generated=tokens_of("c", logprobs=[sign * 0.0]))

    assert small() == small()
    assert zero(1) != zero(-1)
    assert small() != "something else"


def test_a_completion_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        small().text = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        small().prompt.logprobs[0] = 0
    with pytest.raises(TypeError, match="unhashable"):
        hash(small())


@given(completions())
def test_prompt_and_answer_can_be_put_back_together(done: Completion) -> None:
    together: Tokens = concatenate([done.prompt, done.generated])
    read = len(done.prompt)
    again = replace(done, prompt=together[:read], generated=together[read:])
    assert again.prompt.ids.tolist() == done.prompt.ids.tolist()
    assert again.pieces == done.pieces


@given(completions())
def test_what_is_on_one_table_already_stays_as_it_is(done: Completion) -> None:
    again = replace(done, timing=Timing(total=1.0))
    assert again == done
    assert again.pieces == done.pieces
    parts = [done.prompt[:1], done.generated[1:]]
    assert replace(done, prompt=parts[0], generated=parts[1]) == replace(
        done, prompt=concatenate([parts[0]]), generated=concatenate([parts[1]])
    )


def test_rows_of_tokens_cannot_be_written_into() -> None:
    some = small().prompt[np.array([True, False])]
    with pytest.raises(ValueError, match="read-only"):
        some.logprobs[0] = 0.0
    with pytest.raises(ValueError, match="shape"):
        some.with_kinds(np.zeros(3, np.uint8))
