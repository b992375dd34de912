"""Sets of labelled questions that come with Candor. tests/making/ready_sets.md says how they were made and checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from lib.core.request import Mode
from lib.errors import InvalidRequest
from lib.evaluation.dataset import Mapped, Task
from lib.evaluation.grading import Grader, Rule
from lib.evaluation.table import Table, read_table

PREFIX = "ready:"  # of a set's name where a file is expected
_SETS = Path(__file__).parent / "sets"
_COLUMNS = Mapped("{prompt}", "expected", slices=("domain", "part", "invented"), group="template", row_id="id")


@dataclass(frozen=True)
class ReadySet:
    """A set, and how its questions are asked and graded."""

    name: str
    title: str
    description: str  # what is in it, with counts
    file: str  # in the folder of sets
    style: str  # of the rows of the file that belong to the set; "" if all do
    mode: Mode
    grader: Grader
    mapped: Mapped = _COLUMNS
    task: Task = Task.SHORT


_ALL = (
    ReadySet(
        "page",
        "200 questions, catalogue and world",
        "200 questions: 140 about the world, 48 about the Ardenworks catalogue, 12 about products that are not in it.",
        "page.jsonl",
        "",
        Mode.CHAT,
        Grader(Rule.CONTAINS),
        Mapped("{prompt}", "expected", slices=("about", "domain"), group="template", row_id="id"),
    ),
    ReadySet(
        "catalogue",
        "The Ardenworks catalogue",
        "216 questions: 120 about the invented catalogue that the tuned model knows, 96 about products not in it.",
        "catalogue.jsonl",
        "",
        Mode.CHAT,
        Grader(Rule.CONTAINS),
        Mapped("{prompt}", "expected", slices=("category", "attribute"), group="attribute", row_id="id"),
    ),
    ReadySet(
        "facts-few-shot",
        "Facts, with three examples",
        "2,591 questions of 97 templates in 7 domains, each with three examples; 3% are about what does not exist.",
        "facts.jsonl",
        "few-shot",
        Mode.RAW,
        Grader(),
    ),
    ReadySet(
        "facts-chat",
        "Facts, as chat messages",
        "594 questions of 22 templates in 7 domains; 5% are about what does not exist.",
        "facts.jsonl",
        "chat",
        Mode.CHAT,
        Grader(Rule.CONTAINS),  # a chat model answers in sentences
    ),
    ReadySet(
        "world",
        "A sample of facts, as chat messages",
        "140 questions of 22 templates in 7 domains: a part of Facts, as chat messages.",
        "world.jsonl",
        "chat",
        Mode.CHAT,
        Grader(Rule.CONTAINS),
    ),
)
READY = {each.name: each for each in _ALL}


def ready_set(name: str) -> ReadySet:
    """A set by its name. Raises InvalidRequest if there is none."""
    if name not in READY:
        raise InvalidRequest(f"There is no ready set “{name}”.", f"There are {', '.join(READY)}.")
    return READY[name]


def ready_file(name: str) -> Path:
    """The file of a set. Raises InvalidRequest if there is none of that name."""
    return _SETS / ready_set(name).file


@cache
def ready_table(name: str) -> Table:
    """The rows of a set, read on first use. Raises InvalidRequest if there is none of that name."""
    found = ready_set(name)
    table = read_table(ready_file(name).read_bytes(), found.file)
    numbered = zip(table.numbers, table.rows, strict=True)
    own = [(number, row) for number, row in numbered if not found.style or row["style"] == found.style]
    return replace(table, rows=tuple(row for _, row in own), numbers=tuple(number for number, _ in own))
