"""The ways to infer the chosen token, and what each leaves undecided."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lib.core.request import Request
from lib.wire.chosen_token import by_ids, by_order, by_rank, by_single_entry, by_text
from lib.wire.decode import decode
from lib.wire.parse import parse
from lib.wire.positions import Positions
from tests.support.wire_strategies import tokenizer

NONE = np.empty(0, np.int32)


def positions(*rows: dict[str, Any] | None) -> Positions:
    """Positions as a response lists them."""
    found = parse(json.dumps({"generation": "", "logprobs": list(rows)}).encode()).answers[0].generated
    assert found is not None
    return found


def ids_of(found: Positions, chosen: np.ndarray) -> list[int]:
    return [int(found.ids[place]) if place >= 0 else -1 for place in chosen]


def test_by_ids_only_if_all_fit() -> None:
    found = positions(None, {"5": -9.0, "7": -0.1}, {"8": -0.1})
    assert ids_of(found, by_ids(found, [1, 5, 8])) == [-1, 5, 8]  # type: ignore[arg-type]
    assert by_ids(found, [1, 6, 8]) is None
    assert by_ids(found, [5, 8]) is None
    assert by_ids(found, [1, 5, 8, 9]) is None


def test_by_rank() -> None:
    def entry(rank: int | None) -> dict[str, Any]:
        return {"logprob": -1.0, "rank": rank}

    found = positions(
        {"5": entry(40), "6": entry(1), "7": entry(2)},  # only one ranks below the top k
        {"5": entry(1), "6": entry(2)},  # either may be the chosen one
        {"5": entry(40), "6": entry(41)},  # two below the top k: impossible
        {"5": entry(None), "6": entry(1)},
    )
    assert ids_of(found, by_rank(found, 2)) == [5, -1, -1, -1]


def test_by_single_entry() -> None:
    found = positions({"5": -1.0}, {"5": -1.0, "6": -2.0}, None)
    assert ids_of(found, by_single_entry(found)) == [5, -1, -1]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"791": -3.6, "14924": -1.2}, {"4062": -9.3, "220": -3.7}], [791, 4062]),  # as sent
        ([{"791": -3.6, "14924": -1.2}, {"220": -3.7, "4062": -9.3}], [-1, -1]),  # sorted as numbers
        ([{"14924": -1.2, "791": -3.6}, {"220": -3.7, "4062": -9.3}], [-1, -1]),  # sorted as strings
        (
            [{"4062": -9.3, "220": -3.7}, {"9": -3.0, "5": -4.0, "4": -0.5}],
            [-1, -1],
        ),  # not by probability
        ([{"5": -1.0}], [-1]),  # no evidence of an order
    ],
)
def test_by_order_only_if_the_keys_cannot_have_been_sorted(rows: list[dict[str, Any]], expected: list[int]) -> None:
    found = positions(*rows)
    assert ids_of(found, by_order(found, np.full(len(found), -1, np.int32))) == expected


def test_a_contradicted_order_is_not_trusted() -> None:
    found = positions({"791": -3.6, "14924": -1.2}, {"4062": -9.3, "220": -3.7})
    known = np.array([1, -1], np.int32)  # 14924, which isn't the first
    assert ids_of(found, by_order(found, known)) == [-1, -1]


def test_by_text() -> None:
    reader = tokenizer()
    inn, the, x = (reader.encode(text)[0] for text in ("in", " t", "x"))
    found = positions({str(x): -0.1, str(inn): -3.0}, {str(the): -1.0, str(x): -0.5}, {"256": -0.2, str(x): -1.0})
    assert ids_of(found, by_text(found, "in t", reader, stopped=True)) == [inn, the, -1]
    assert ids_of(found, by_text(found, "in tx", reader, stopped=False)) == [inn, the, x]
    assert ids_of(found, by_text(found, "something else", reader, stopped=False)) == [-1, -1, -1]


def test_the_most_likely_entry_is_never_assumed() -> None:
    """A position with an unlikely token is never assigned its runner-up instead."""
    response = {"generation": "", "stop_reason": "length", "logprobs": [],
             "prompt_logprobs": [None, {"220": -0.1, "4062": -9.0}]}  # fmt: skip
    (done,) = decode(json.dumps(response).encode(), Request(prompt="x"), None)
    assert done.prompt.ids.tolist() == [-1, -1]
    assert np.isnan(done.prompt.logprobs).all()
