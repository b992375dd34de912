"""Grades that were set by hand, which take the place of those a rule gave."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from typing import Any

from lib.display.spreadsheet import guarded
from lib.errors import BadFile

Grades = Mapping[int, Mapping[str, bool]]  # by the place of the model or prompt, then by the row's id
MOST_GRADES = 20_000
LONGEST_ID = 1_000
_RIGHT = {"true": True, "right": True, "1": True, "yes": True, "false": False, "wrong": False, "0": False, "no": False}


def grades_in(text: str, sides: int) -> Grades:
    """Read a table like the exported rows, with the columns id, right and, of several models or prompts, side from 1.

    Rows without a grade are left out. Raises BadFile.
    """
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if not {"id", "right"} <= set(reader.fieldnames or ()):
            raise BadFile("The file of grades lacks the columns id and right.", "Edit a copy of the exported rows.")
        found: dict[int, dict[str, bool]] = {}
        for line, row in enumerate(reader, start=2):
            said = (row["right"] or "").strip().lower()
            side = (row.get("side") or "1").strip()
            row_id = row["id"] or ""
            if not said or said == "none":
                continue
            if said not in _RIGHT or not _is_small(side) or not 1 <= int(side) <= sides:
                raise BadFile(f"Line {line} of the grades cannot be read.", "right is true or false, side a number.")
            if len(row_id) > LONGEST_ID:
                raise BadFile(f"The id in line {line} of the grades is too long.", "Edit a copy of the exported rows.")
            found.setdefault(int(side) - 1, {})[row_id] = _RIGHT[said]
    except csv.Error as error:
        raise BadFile("The file of grades isn't a CSV file.", "Edit a copy of the exported rows.") from error
    return found


def for_rows(grades: Grades, ids: Collection[str]) -> tuple[Grades, tuple[str, ...]]:
    """The grades by the ids of rows, and the ids in the grades that no row has, or that more than one may mean.

    An exported table has another text for an id that a spreadsheet would run as a formula; see `spreadsheet.guarded`.
    """
    exported: dict[str, set[str]] = {}
    for row_id in ids:
        exported.setdefault(guarded(row_id), set()).add(row_id)
    found: dict[int, dict[str, bool]] = {}
    unknown: dict[str, None] = {}
    for side, each in grades.items():
        for name, right in each.items():
            meant = exported.get(name) or ({name} if name in ids else set())
            if len(meant) == 1:
                found.setdefault(side, {})[next(iter(meant))] = right
            else:
                unknown[name] = None
    return found, tuple(unknown)


def grades_as_json(grades: Grades) -> dict[str, dict[str, bool]]:
    """The grades as JSON values; `grades_of` reads them."""
    return {str(side): dict(each) for side, each in grades.items() if each}


def grades_of(values: Any) -> dict[int, dict[str, bool]]:
    """Read what `grades_as_json` returned. What is no grade is left out, as values may come from a file."""
    if not isinstance(values, dict):
        return {}
    found: dict[int, dict[str, bool]] = {}
    for side, each in values.items():
        if _is_small(str(side)) and isinstance(each, dict) and len(each) <= MOST_GRADES:
            found[int(side)] = {
                str(row_id): right
                for row_id, right in each.items()
                if isinstance(right, bool) and len(str(row_id)) <= LONGEST_ID
            }
    return found


def _is_small(number: str) -> bool:
    return number.isdecimal() and len(number) < 4
