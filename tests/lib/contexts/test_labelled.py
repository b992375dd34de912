"""Labelled questions: what is read, how often a scoring keeps the right passage, and what the ready set promises."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contexts.labelled import SET, keeps, read_labelled, saved
from lib.contexts.scorings import bm25
from lib.doubts.function_words import FUNCTION_WORDS
from lib.errors import BadFile
from lib.scores.ranking import words_of

ROW = {"question": "Who?", "passages": [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}], "right": "b"}
SCORES = st.lists(st.integers(0, 3) | st.just(math.nan), min_size=1, max_size=5).map(lambda row: np.array(row, float))


def test_rows_are_read() -> None:
    (one,) = read_labelled(json.dumps({**ROW, "id": 7, "kind": "k", "part": "p"}).encode())
    assert (one.id, one.question, one.right, one.kind, one.part) == ("7", "Who?", 1, "k", "p")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"question": " "}, "no question"),
        ({"right": None}, "which passage is right"),
        ({"right": "c"}, "no passage with the id"),
        ({"passages": []}, "There are no passages"),
        ({"passages": "x"}, "no list of passages"),
    ],
)
def test_a_bad_row_is_named(change: dict[str, object], cause: str) -> None:
    rows = [ROW, {**ROW, **change}]
    with pytest.raises(BadFile, match=f"Row 2.*{cause}"):
        read_labelled("\n".join(map(json.dumps, rows)).encode(), "x.jsonl")


@given(SCORES, st.integers(0, 6))
def test_ties_are_in_random_order(scores: np.ndarray, most: int) -> None:
    """The chances are the shares of all orders of the passages in which a stable sort keeps each one."""
    values = np.where(np.isnan(scores), -np.inf, scores)
    orders = list(permutations(range(len(values))))
    kept = [sorted(order, key=lambda place: -values[place])[:most] for order in orders]
    tokens = list(range(1, len(values) + 1))
    for place in range(len(values)):
        assert keeps(scores, place, most) == pytest.approx(np.mean([place in each for each in kept]))
    left_out = np.mean([1 - sum(tokens[place] for place in each) / sum(tokens) for each in kept])
    assert saved(scores, tokens, most) == pytest.approx(left_out)


def test_the_set_has_what_its_page_says() -> None:
    rows = read_labelled(SET.read_bytes())
    counts = Counter((each.kind, each.part) for each in rows)
    assert counts == {
        ("look-alike", "development"): 35, ("look-alike", "held-out"): 35, ("re-worded", "development"): 35,
        ("re-worded", "held-out"): 35, ("catalogue", "catalogue"): 40,
    }  # fmt: skip
    assert len({each.id for each in rows}) == len(rows)
    assert {len(each.passages) for each in rows} == set(range(6, 11))
    parts = defaultdict(set)
    for each in rows:
        for passage in each.passages:
            parts[passage.text].add(each.part)
    assert {len(each) for each in parts.values()} == {1}, "a passage is in two parts"


def test_no_search_by_words_finds_a_reworded_passage() -> None:
    for each in read_labelled(SET.read_bytes()):
        if each.kind != "re-worded":
            continue
        right = each.passages[each.right].text
        words, others = (set(words_of(text)) - FUNCTION_WORDS - {"s"} for text in (each.question, right))
        starts = {(one, other) for one in words for other in others if one[:4] == other[:4]}
        assert not {pair for pair in starts if min(map(len, pair)) > 3 or pair[0] == pair[1]}, each.id
        texts = [passage.text for passage in each.passages]
        content = " ".join(word for word in words_of(each.question) if word not in FUNCTION_WORDS)
        assert bm25(content, texts)[each.right] == 0, each.id
