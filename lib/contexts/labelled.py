"""Questions whose right passage is known, and how often a scoring keeps it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.contexts.passages import LONGEST_ID, Passage, checked
from lib.contexts.retrieved import found_in
from lib.contexts.scorings import Scores
from lib.errors import BadFile, CandorError
from lib.evaluation.table import read_table

SET = Path(__file__).parents[1] / "evaluation" / "sets" / "contexts.jsonl"
_HOW = 'Each row is an object such as {"question": "…", "passages": [{"id": "1", "text": "…"}], "right": "1"}.'


@dataclass(frozen=True)
class Labelled:
    """A question with its passages, one of which has the answer."""

    id: str
    question: str
    passages: tuple[Passage, ...]
    right: int  # place of the right passage
    kind: str = ""  # a slice that is reported on, such as "re-worded"; "" for none
    part: str = ""  # such as "development"; "" for none
    expected: tuple[str, ...] = ()  # answers, any of which is right; empty if they are not known


def read_labelled(data: bytes, name: str = "") -> tuple[Labelled, ...]:
    """The questions of a JSON Lines file. Raises BadFile for the first row that cannot be used."""
    table = read_table(data, name)
    if table.problems:
        raise BadFile(f"Row {table.problems[0].row} cannot be used. {table.problems[0].cause}", _HOW)
    return tuple(_rows(zip(table.numbers, table.rows, strict=True)))


def _rows(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[Labelled]:
    for number, row in rows:
        question, right = row.get("question"), row.get("right")
        if not isinstance(question, str) or not question.strip() or right is None:
            raise BadFile(f"Row {number} has no question, or does not say which passage is right.", _HOW)
        try:
            passages = checked(found_in(row.get("passages"))).passages
        except CandorError as error:
            raise BadFile(f"Row {number}: {error.cause}", error.remedy) from error
        places = [place for place, each in enumerate(passages) if each.id == str(right).strip()[:LONGEST_ID]]
        if not places:
            raise BadFile(f"Row {number} has no passage with the id of the right one.", _HOW)
        about = [str(row.get(each, ""))[:100] for each in ("id", "kind", "part")]
        yield Labelled(
            about[0] or str(number), question, passages, places[0], about[1], about[2], _texts(row.get("expected"))
        )


def _texts(value: Any) -> tuple[str, ...]:
    """A text or a list of texts; none for anything else."""
    found = value if isinstance(value, list) else [value]
    return tuple(each for each in found if isinstance(each, str) and each.strip())


def keeps(scores: Scores, right: int, most: int) -> float:
    """The probability that the right passage is among the best `most`, with ties in random order. 0 to 1.

    Passages without a score are all tied, behind those with one.
    """
    values = np.where(np.isnan(scores), -np.inf, scores)
    better = int((values > values[right]).sum())
    tied = int((values == values[right]).sum())
    return min(1.0, max(0.0, (most - better) / tied))


def saved(scores: Scores, tokens: Sequence[int], most: int) -> float:
    """The share of the passages' tokens that the best `most` leave out, with ties in random order. 0 to 1."""
    chances = [keeps(scores, place, most) for place in range(len(scores))]
    total = sum(tokens)
    return 1.0 - sum(chance * size for chance, size in zip(chances, tokens, strict=True)) / total if total else math.nan
