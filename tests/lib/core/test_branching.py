"""Branches without a model: where they are possible, their requests, and the scores they inherit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lib.core.branching import CUT_DIFFERENTLY, Fork, as_text, fork_of, merge_into_parent, obstacle, tokens_after
from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.tokens import TokenKind
from lib.errors import InvalidRequest
from tests.support.strategies import completion_of, table_of, tokens_on

PIECES = table_of("<s>", "The", " fox", " ran", " sat", "ed", b"\xc3", b"\xa9", special=[0])
ASKED = Request(prompt="The fox", max_tokens=9)


def before(**changes: Any) -> Completion:
    """<s>The fox → ran, ran, sat; every position lists "ran" and "sat"."""
    count = 3
    lists = {"top_refs": [[3, 4]] * count, "top_logprobs": [[-0.5, -1.5]] * count}
    prompt = tokens_on(PIECES, [0, 1, 2], logprobs=[np.nan, -1, -2], kinds=[TokenKind.SPECIAL, 0, 0])
    answer = tokens_on(PIECES, [3, 3, 4], logprobs=[-0.5, -0.5, -1.5], ranks=[1, 1, 2], **lists)
    done = completion_of(prompt, answer, request=ASKED, text=" ran ran sat")
    return replace(done, **changes)


def test_a_branch_is_asked_for_with_all_that_stays() -> None:
    fork, request = fork_of(before(), 4, (4,), " sat", replace(ASKED, temperature=0.7), ASKED)
    assert fork.prefix_ids == (3, 4)
    assert request.prefix_ids == (3, 4)
    assert (request.prompt, request.temperature) == ("The fox", 0.7)


def test_a_branch_of_a_chat_keeps_its_messages() -> None:
    chat = Request(messages=(Message("user", "x"),))
    _, request = fork_of(before(request=chat), 5, (), "", chat, chat)
    assert request.messages == chat.messages
    assert request.prefix_ids == (3, 3)


def test_a_branch_within_the_prompt_begins_an_answer_there() -> None:
    fork, request = fork_of(before(), 2, (4,), " sat", ASKED, ASKED)
    assert request.prompt == "<s>The"
    assert request.prefix_ids == fork.prefix_ids == (4,)


@pytest.mark.parametrize(
    ("done", "row", "why"),
    [
        (before(request=None), 4, "The request of this response is unknown"),
        (before(), 0, "nothing before the first token"),
        (before(generated=tokens_on(PIECES, [-1, 3])), 4, "no known id"),
        (before(prompt=tokens_on(PIECES, [1, 6, 7])), 2, "inside a character"),
    ],
)
def test_where_there_can_be_none(done: Completion, row: int, why: str) -> None:
    found = obstacle(done, row)
    assert found is not None
    assert why in str(found)
    with pytest.raises(InvalidRequest, match=why):
        fork_of(done, row, (), "", ASKED, ASKED)


def came(refs: list[int], **columns: object) -> Completion:
    return completion_of(tokens_on(PIECES, [0, 1, 2]), tokens_on(PIECES, refs, **columns), request=ASKED)


def test_what_stays_keeps_its_scores_and_an_alternative_has_that_of_the_list() -> None:
    parent = before()
    fork, _ = fork_of(parent, 4, (4,), " sat", ASKED, ASKED)
    done = merge_into_parent(came([3, 4, 3], logprobs=[np.nan, np.nan, -0.1], kinds=[6, 6, 0]), fork)
    assert done.prompt == parent.prompt
    assert done.generated.logprobs[0] == parent.generated.logprobs[0]
    assert done.generated.logprobs[1] == np.float32(-1.5)
    assert done.generated.ranks[1] == 2
    assert done.generated.kinds.tolist() == [TokenKind.TEXT, TokenKind.FORCED, TokenKind.TEXT]
    assert done.warnings == ()


def test_scores_that_the_engine_worked_out_itself_stay() -> None:
    fork, _ = fork_of(before(), 4, (4,), " sat", ASKED, ASKED)
    done = merge_into_parent(came([3, 4], logprobs=[-9, -1.25], kinds=[6, 6]), fork)
    assert done.generated.logprobs.tolist() == [np.float32(-0.5), np.float32(-1.25)]


def test_tokens_that_were_read_otherwise_are_shown_as_read() -> None:
    fork, _ = fork_of(before(), 5, (4,), " sat", ASKED, ASKED)
    done = merge_into_parent(came([3, 4, 4], logprobs=[-9, -9, -9]), fork)
    assert done.generated.refs.tolist() == came([3, 4, 4]).generated.refs.tolist()
    assert done.generated.logprobs.tolist() == [np.float32(-0.5), -9, -9]
    assert CUT_DIFFERENTLY in done.warnings


def test_a_branch_that_has_only_begun_to_come() -> None:
    fork = Fork(before(), 2, (4,), " sat", ASKED)
    assert len(merge_into_parent(came([]), fork).generated) == 0


def test_a_branch_as_text_for_another_program() -> None:
    done = before(request=replace(ASKED, prefix_ids=(3, 3)))
    found = as_text(done)
    assert found is not None
    assert found.prompt == "The fox ran ran"
    assert not found.prefix_ids
    assert as_text(before()) == ASKED
    assert as_text(before(request=None)) is None


def test_what_comes_with_every_prompt_is_no_part_of_its_text() -> None:
    """BOS is left out; the first role marker, which occurs several times, is not."""
    table = table_of("<s>", "<|role|>", "Hi", special=[0, 1])
    chat = Request(messages=(Message("user", "Hi"),), prefix_ids=(2,))
    for refs, text in (([0, 2], "HiHi"), ([1, 2, 1], "<|role|>Hi<|role|>Hi")):
        found = as_text(completion_of(tokens_on(table, refs), tokens_on(table, [2]), request=chat))
        assert found is not None
        assert found.prompt == text


def test_a_warning_about_the_place_comes_with_the_branch() -> None:
    fork = replace(fork_of(before(), 4, (4,), " sat", ASKED, ASKED)[0], warning="Mind the gap.")
    assert merge_into_parent(came([3, 4], logprobs=[-1, -1]), fork).warnings == ("Mind the gap.",)


def encode(text: str) -> list[int]:
    """The ids of the longest pieces, from left to right."""
    names = {PIECES.text_of(row): row for row in range(1, 5)} | {"Thef": 7}
    ids = []
    while text:
        name = max((each for each in names if text.startswith(each)), key=len, default="")
        if not name:
            raise InvalidRequest("no such token")
        ids.append(names[name])
        text = text[len(name) :]
    return ids


def test_text_after_text_is_cut_as_the_model_reads_it() -> None:
    assert tokens_after(encode, PIECES, "The fox", [0, 1, 2], " ran") == ((3,), False)
    assert tokens_after(encode, PIECES, "The fox", [0, 2, 2], " ran") == ((3,), True), "it was read otherwise"
