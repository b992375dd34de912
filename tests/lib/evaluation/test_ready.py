"""The sets that come with Candor hold what their descriptions and tests/making/ready_sets.md say."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

import pytest

from lib.core.request import Mode
from lib.errors import InvalidRequest
from lib.evaluation.dataset import questions_of
from lib.evaluation.grading import Grader, normalized
from lib.evaluation.ready import READY, ready_set, ready_table
from tests.making import page_set

FACTS = ("facts-few-shot", "facts-chat")
PARTS = {"design", "development", "held-out"}
Row = dict[str, Any]


def rows_of(*names: str) -> list[Row]:
    return [dict(row) for name in names for row in ready_table(name).rows]


def name_in(entity: str) -> str:
    return entity.split(": ", 1)[1]


def mentions(text: str, words: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE) is not None


def asked_and_shown(row: Row) -> tuple[str, list[str]]:
    """The end of a prompt with three examples, which the model completes, and the examples."""
    step = 2 if row["prompt"].endswith("\nA:") else 1
    lines = row["prompt"].split("\n")
    return "\n".join(lines[-step:]), ["\n".join(lines[first : first + step]) for first in range(0, 3 * step, step)]


def test_there_are_enough_rows_of_enough_templates() -> None:
    rows = rows_of(*FACTS)
    assert len(rows) >= 2_000
    of_templates = Counter(row["template"] for row in rows)
    assert len(of_templates) >= 80
    assert min(of_templates.values()) >= 20
    assert len({row["domain"] for row in rows}) >= 6
    assert len({row["id"] for row in rows}) == len(rows)
    assert not any(ready_table(name).problems for name in READY)


def test_no_entity_and_no_relation_is_in_development_and_held_out() -> None:
    parts: defaultdict[str, set[str]] = defaultdict(set)
    own: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows_of(*FACTS):
        parts[row["entity"]].add(row["part"])
        own[row["relation"]].add(row["part"])
    assert {len(each) for each in parts.values()} == {1}
    assert {frozenset(each) for each in own.values()} == {
        frozenset({"design", "development"}),
        frozenset({"design", "held-out"}),
    }
    counts = Counter(row["part"] for row in rows_of(*FACTS))
    assert set(counts) == PARTS
    assert min(counts.values()) >= 400


def test_few_entities_are_invented_and_then_no_name_is_right() -> None:
    rows = rows_of(*FACTS)
    invented = [row for row in rows if row["invented"]]
    assert 0.02 < len(invented) / len(rows) <= 0.2
    assert {tuple(row["expected"]) for row in invented} == {tuple(invented[0]["expected"])}
    assert "unknown" in invented[0]["expected"]
    assert {row["entity"].startswith("invented ") for row in invented} == {True}
    assert not any(row["entity"].startswith("invented ") for row in rows if not row["invented"])


@pytest.mark.parametrize("name", READY)
def test_every_row_can_be_asked_and_graded(name: str) -> None:
    found = ready_set(name)
    questions = questions_of(ready_table(name), found.task, found.mapped, found.grader)
    assert questions.problems == ()
    assert questions.repeated == 0
    assert {question.group for question in questions.questions} == {row[found.mapped.group] for row in rows_of(name)}
    for question in questions.questions:
        assert found.grader.grade(f" {question.expected[0]}\n", question.expected).right
        assert all(len(each.split()) <= 8 for each in question.expected)


def test_a_prompt_with_examples_ends_where_an_answer_begins() -> None:
    for row in rows_of("facts-few-shot"):
        asked, shown = asked_and_shown(row)
        end = re.search(r"(\w+|[:,=])$", asked)  # "is", "Continent of Chad:", "3, 6, 12,", "A:"
        assert end is not None, row["id"]
        for each in shown:
            assert re.search(rf"{re.escape(end[0])} \S[^\n]*$", each), row["id"]
        assert row["prompt"] == "\n".join((*shown, asked))


def test_examples_never_name_what_is_asked() -> None:
    asked = {row["entity"] for row in rows_of(*FACTS)}
    for row in rows_of("facts-few-shot"):
        assert not any(mentions(each, name_in(row["entity"])) for each in asked_and_shown(row)[1]), row["id"]
    assert not asked & {"country: Egypt", "country: Poland", "state: Ohio", "element: oxygen", "language: French"}


def test_a_chat_is_asked_a_bare_question_that_does_not_contain_its_answer() -> None:
    for row in rows_of("facts-chat", "world"):
        assert row["prompt"].endswith("?")
        assert "\n" not in row["prompt"]
        question = f" {normalized(row['prompt'])} "
        assert not any(f" {normalized(each)} " in question for each in row["expected"]), row["id"]


def test_the_sample_for_the_page_is_balanced_and_leaves_the_held_out_part_alone() -> None:
    rows = rows_of("world")
    assert 130 <= len(rows) <= 150
    assert {row["part"] for row in rows} <= {"design", "development"}
    of_domains = Counter(row["domain"] for row in rows)
    assert len(of_domains) >= 6
    assert max(of_domains.values()) <= 3 * min(of_domains.values())
    ids = {row["id"] for row in rows_of("facts-chat")}
    assert all(row["id"] in ids for row in rows)


def test_descriptions_say_how_much_is_in_a_set() -> None:
    for name, found in READY.items():
        table = ready_table(name)
        assert found.name == name
        assert f"{len(table.rows):,} questions" in found.description
        if "domain" in found.mapped.slices and found.style:
            assert f"{len({row['template'] for row in table.rows})} templates" in found.description
            assert f"{len({row['domain'] for row in table.rows})} domains" in found.description
    assert {found.mode for found in READY.values()} == {Mode.RAW, Mode.CHAT}
    assert READY["facts-few-shot"].grader == Grader()


def test_a_set_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        InvalidRequest, match=r"no ready set “facts”.*page, catalogue, facts-few-shot, facts-chat, world"
    ):
        ready_table("facts")


def test_the_set_of_the_page_is_made_of_the_others() -> None:
    assert page_set.TARGET.read_text(encoding="utf-8") == page_set.text()
    about = Counter(str(row["about"]) for row in ready_table("page").rows)
    assert about == {"world": 140, "catalogue": 48, "no such product": 12}
