"""Tables of tokens, and of the alternatives at one position."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.core.completion import Completion
from lib.core.tokens import NO_TOKENS
from lib.display.tables import alternatives, table
from tests.support.strategies import NAN, completion_of, completions, distribution, table_of, tokens_of, tokens_on


@pytest.mark.parametrize("empty", ["prompt", "generated", "both"])
def test_a_table_without_rows_keeps_the_types_of_its_columns(empty: str) -> None:
    some = tokens_of("a", logprobs=[-1])
    parts = {"prompt": some, "generated": some}
    parts |= {name: NO_TOKENS for name in parts if empty in (name, "both")}
    frame = table(completion_of(**parts))
    full = table(completion_of(some, some))
    for name in ("position", "id", "rank", "probability", "logprob", "entropy_at_least"):
        assert frame[name].dtype == full[name].dtype, name


def test_alternatives_are_listed_best_first_with_the_rest_last() -> None:
    tokens = tokens_on(
        table_of("a", "b", "c"), [0], logprobs=np.log([0.2]), top_refs=[[1, 0]], top_logprobs=np.log([[0.5, 0.2]])
    )
    frame = alternatives(tokens, 0)
    assert frame["text"].tolist() == ["b", "a", "others"]
    assert frame["role"].tolist() == ["alternative", "chosen", "others"]
    assert frame["probability"].tolist() == pytest.approx([0.5, 0.2, 0.3])
    assert frame["id"].tolist()[:2] == [1, 0]
    assert frame["id"].dtype == "Int64"


def test_a_chosen_token_outside_the_list_is_added() -> None:
    tokens = tokens_on(
        table_of("a", "b", "c"), [2], logprobs=np.log([0.1]), top_refs=[[1, 0]], top_logprobs=np.log([[0.5, 0.2]])
    )
    frame = alternatives(tokens, 0)
    assert frame["text"].tolist() == ["b", "a", "c", "others"]
    assert frame["role"].tolist() == ["alternative", "alternative", "chosen", "others"]
    assert frame["probability"].sum() == pytest.approx(1)


def test_a_chosen_token_alone() -> None:
    frame = alternatives(tokens_of("a", logprobs=np.log([0.25])), 0)
    assert frame["role"].tolist() == ["chosen", "others"]
    assert frame["probability"].tolist() == pytest.approx([0.25, 0.75])


def test_an_unscored_position_has_no_others() -> None:
    assert alternatives(tokens_of("a"), 0).empty
    listed = tokens_on(table_of("a", "b"), [0], top_refs=[[1, -1]], top_logprobs=[[-1, NAN]])
    assert alternatives(listed, 0)["role"].tolist() == ["alternative"]


def test_alternatives_without_a_score_come_after_those_with_one() -> None:
    tokens = tokens_on(
        table_of("a", "b", "c"), [0], logprobs=[-1], top_refs=[[2, 0, 1]], top_logprobs=[[NAN, -1, -0.8]]
    )
    assert alternatives(tokens, 0)["text"].tolist()[:3] == ["b", "a", "c"]


@given(st.lists(st.floats(-12, 6), min_size=1, max_size=12), st.data())
def test_the_probabilities_of_a_position_sum_to_one(logits: list[float], data: st.DataObject) -> None:
    size = len(logits)
    chosen, k = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    frame = alternatives(distribution(logits, chosen, k), 0)
    assert frame["probability"].sum() == pytest.approx(1, abs=1e-5)
    assert (frame["role"] == "chosen").sum() == 1
    assert frame["role"].tolist()[-1] == "others"
    known = frame["probability"].tolist()[:-1]
    assert known == sorted(known, reverse=True)


@given(completions())
def test_alternatives_of_any_token(done: Completion) -> None:
    for tokens in (done.prompt, done.generated):
        for row in range(len(tokens)):
            frame = alternatives(tokens, row)
            assert (frame["role"] == "others").sum() <= 1
            assert (frame["probability"].dropna() >= 0).all()
