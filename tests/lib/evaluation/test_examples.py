"""The set to try: sums that are right, and none twice."""

from __future__ import annotations

from lib.evaluation.dataset import Task, questions_of
from lib.evaluation.examples import sums
from lib.evaluation.grading import Grader, Rule


def test_sums() -> None:
    table, mapped = sums()
    found = questions_of(table, Task.SHORT, mapped, Grader(Rule.NUMBER))
    assert (len(found.questions), found.problems, found.repeated) == (150, (), 0)
    for question, row in zip(found.questions, table.rows, strict=True):
        assert question.prompt.endswith(f"\n{row['sum']}=")
        assert sum(map(int, str(row["sum"]).split("+"))) == int(question.expected[0])
    assert {dict(each.slices)["carries"] for each in found.questions} == {"carries", "one digit"}
    assert sums()[0] == table
