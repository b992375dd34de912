"""Several prompts for the same rows."""

from __future__ import annotations

import pytest

from lib.errors import InvalidRequest
from lib.evaluation.dataset import Mapped, Task
from lib.evaluation.prompts import for_all_prompts
from lib.evaluation.table import Table

TABLE = Table(
    ("q", "hint", "a"),
    ({"q": "1+1", "hint": "add", "a": "2"}, {"q": "2+2", "a": "4"}, {"q": "3+3", "hint": "sum", "a": "6"}),
    (1, 2, 4),
    (),
)


def test_every_prompt_is_asked_the_same_rows() -> None:
    found = for_all_prompts(TABLE, Task.SHORT, Mapped("{q}=", "a"), None, ["{hint}: {q}", "Q {q}"])
    assert [each.prompt for each in found.questions.questions] == ["1+1=", "3+3="]
    assert found.prompts == (("add: 1+1", "sum: 3+3"), ("Q 1+1", "Q 3+3"))
    assert [(each.row, each.cause) for each in found.questions.problems] == [
        (2, "A value of one of the prompts is missing.")
    ]


@pytest.mark.parametrize("templates", [["{q}="], ["{none}"], ["no column"], ["{q} {"], ["{hint}", "{hint}"]])
def test_prompts_that_cannot_be_compared(templates: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        for_all_prompts(TABLE, Task.SHORT, Mapped("{q}=", "a"), None, templates)
