"""Rows to questions: what the columns are taken for, and each row that cannot be asked with its reason."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.core.sources import LocalModel
from lib.errors import InvalidRequest
from lib.evaluation import dataset
from lib.evaluation.dataset import Mapped, Question, Task, guessed, questions_of
from lib.evaluation.grading import Grader, Rule
from lib.evaluation.prompts import for_all_prompts
from lib.evaluation.table import Table, read_table
from lib.studies.evaluation import EvaluatePlan, Variant


def table(*rows: dict[str, object]) -> Table:
    return read_table("\n".join(json.dumps(each) for each in rows).encode())


def causes(found: object) -> list[tuple[int, str]]:
    return [(each.row, each.cause) for each in found.problems]  # type: ignore[attr-defined]


def test_columns_are_guessed_by_their_names() -> None:
    found = table({"ID": "7", "Question": "q", "choices": ["a", "b"], "answer": "a", "subject": "x", "template": "t"})
    task, mapped = guessed(found)
    assert task is Task.CHOICE
    assert mapped == Mapped("{Question}", "answer", ("choices",), ("subject",), "template", "ID")
    assert guessed(table({"text": "x"})) == (Task.TEXT, Mapped("{text}"))
    assert guessed(table({"foo": "x", "label": "y"})) == (Task.SHORT, Mapped("{foo}", "label"))


def test_short_answers() -> None:
    found = questions_of(
        table({"q": "1+1", "a": ["2", "two"], "kind": "sum"}, {"q": "2+2", "a": 4}),
        Task.SHORT,
        Mapped("Q: {q}\nA:", "a", slices=("kind",)),
        Grader(),
    )
    assert found.questions == (
        Question(1, "1", "Q: 1+1\nA:", ("2", "two"), slices=(("kind", "sum"),)),
        Question(2, "2", "Q: 2+2\nA:", ("4",)),
    )
    assert (found.problems, found.repeated) == ((), 0)


@pytest.mark.parametrize("label", ["blue", "Blue.", "B", "b", "1", 1])
def test_the_right_choice_by_text_letter_or_number(label: object) -> None:
    found = questions_of(table({"q": "x", "c": ["red", "blue"], "a": label}), Task.CHOICE, Mapped("{q}", "a", ("c",)))
    assert found.questions[0].expected == ("blue",)


def test_choices_in_columns_of_their_own_or_in_one_text() -> None:
    rows = table({"q": "x", "A": "red", "B": "blue", "list": "red | blue", "json": '["red", "blue"]', "a": "A"})
    for columns in (("A", "B"), ("list",), ("json",)):
        found = questions_of(rows, Task.CHOICE, Mapped("{q}", "a", columns))
        assert (found.questions[0].choices, found.questions[0].expected) == (("red", "blue"), ("red",))


def test_every_row_that_cannot_be_asked_is_listed() -> None:
    rows = table(
        {"q": "x", "c": ["red", "blue"], "a": "red", "id": "1"},
        {"c": ["red", "blue"], "a": "red", "id": "2"},
        {"q": "x", "c": ["red"], "a": "red", "id": "3"},
        {"q": "x", "c": ["Red", "the red."], "a": "red", "id": "4"},
        {"q": "x", "c": ["red", "blue"], "a": "green", "id": "5"},
        {"q": "x", "c": ["red", "blue"], "id": "6"},
        {"q": "y", "c": ["red", "blue"], "a": "red", "id": "1"},
    )
    found = questions_of(rows, Task.CHOICE, Mapped("{q}", "a", ("c",), row_id="id"))
    assert [each.row_id for each in found.questions] == ["1"]
    assert causes(found) == [
        (2, "A value of its prompt is missing."),
        (3, "It has 1 choice, not 2 to 26."),
        (4, "Two of its choices are the same."),
        (5, "Its expected answer “green” is not among its choices."),
        (6, "Its expected answer is missing."),
        (7, "An earlier row already has the id “1”."),
    ]


def test_a_rule_checks_what_is_expected_row_by_row() -> None:
    rows = table({"q": "x", "a": "3"}, {"q": "y", "a": "three"}, {"q": "z"})
    found = questions_of(rows, Task.SHORT, Mapped("{q}", "a"), Grader(Rule.NUMBER))
    assert causes(found) == [(2, "“three” isn't a number."), (3, "Its expected answer is missing.")]


DIGITS = "9" * 5_000
CELLS = st.text(st.characters(), max_size=4) | st.sampled_from(["\0", "\ud800", DIGITS, "B", "1", "٣", "²", "", " "])


@settings(deadline=None)
@given(CELLS, CELLS, CELLS, st.sampled_from(Task), st.sampled_from(Rule))
def test_any_row_is_asked_or_named(prompt: str, expected: str, other: str, task: Task, rule: Rule) -> None:
    good = {"q": "x", "a": "3", "c": "3|4", "id": "good", "s": "z", "t": "z"}
    row = {"q": prompt, "a": expected, "c": f"{other}|4", "id": other, "s": other, "t": other}
    mapped = Mapped("{q}", "a", ("c",), slices=("s",), group="t", row_id="id")
    found = for_all_prompts(table(good, row), task, mapped, Grader(rule, field="x"), ["{q} {t}"])
    assert [each.row for each in found.questions.questions if each.row == 1] == [1]
    assert len(found.questions.questions) + len(found.questions.problems) == 2
    others = (Variant(LocalModel("m"), found.prompts[0]),)
    assert EvaluatePlan(LocalModel("m"), found.questions.questions, task, others=others).calls()
    json.dumps([asdict(each) for each in found.questions.questions], ensure_ascii=False).encode()
    json.dumps([asdict(each) for each in found.questions.problems], ensure_ascii=False).encode()


def test_a_column_that_no_template_can_name_is_not_guessed() -> None:
    assert guessed(table({"": "1", "{a}": "x", "b": "y"}))[1].template == "{b}"
    assert guessed(table({"question ": "x", "answer": "y"}))[1].template == "{question }"
    spaced = table({"question ": "x", "answer": "y"})
    assert questions_of(spaced, *guessed(spaced)).questions[0].prompt == "x"


def test_a_label_of_thousands_of_digits_is_named() -> None:
    rows = table({"q": "x", "c": "a|b", "a": "1"}, {"q": "y", "c": "a|b", "a": DIGITS})
    found = questions_of(rows, Task.CHOICE, Mapped("{q}", "a", ("c",)))
    assert [each.expected for each in found.questions] == [("b",)]
    assert found.problems[0].row == 2


def test_a_column_without_a_name_is_no_id_and_no_group() -> None:
    found = questions_of(table({"q": "x", "a": "3", "": "7"}), Task.SHORT, Mapped("{q}", "a"))
    assert (found.questions[0].row_id, found.questions[0].group) == ("1", "")


@pytest.mark.parametrize("tolerance", [math.nan, math.inf, -1.0])
def test_a_tolerance_that_no_answer_meets_is_refused(tolerance: float) -> None:
    with pytest.raises(InvalidRequest, match="No row can be asked") as caught:
        questions_of(table({"q": "x", "a": "3"}), Task.SHORT, Mapped("{q}", "a"), Grader(Rule.NUMBER, tolerance))
    assert "tolerance" in caught.value.remedy


def test_a_table_that_takes_too_long_to_check_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "MOST_SECONDS", -1.0)
    with pytest.raises(InvalidRequest, match="too long to check"):
        questions_of(table({"q": "x", "a": "3"}), Task.SHORT, Mapped("{q}", "a"))


def test_repeated_questions_are_counted() -> None:
    rows = table({"q": "x", "a": "3"}, {"q": "x", "a": "3"}, {"q": "x", "a": "4"})
    assert questions_of(rows, Task.SHORT, Mapped("{q}", "a")).repeated == 1


@pytest.mark.parametrize(
    ("task", "mapped", "cause"),
    [
        (Task.SHORT, Mapped("{q}"), "expected answers"),
        (Task.CHOICE, Mapped("{q}", "a"), "holds the choices"),
        (Task.SHORT, Mapped("{q}", "b"), "no column “b”"),
        (Task.SHORT, Mapped("{r}", "a"), "no column “r”"),
        (Task.CHOICE, Mapped("{q}", "a", ("a",)), "No row can be asked"),
    ],
)
def test_bad_mappings(task: Task, mapped: Mapped, cause: str) -> None:
    with pytest.raises(InvalidRequest, match=cause):
        questions_of(table({"q": "x", "a": "3"}), task, mapped)
