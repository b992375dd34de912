"""The two hundred questions of the Evaluate page: about the world, about the catalogue, and about no product in it.

`python -m tests.making.page_set` writes them; they are chosen from the sets that come with Candor, always the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

SETS = ROOT / "lib" / "evaluation" / "sets"
TARGET = SETS / "page.jsonl"
_LISTED, _UNLISTED = 8, 2  # questions of each attribute
_ABOUT = {"in the catalogue": "catalogue", "not in the catalogue": "no such product"}

Row = dict[str, Any]


def rows() -> list[Row]:
    """All rows, in the order of the file."""
    world = [
        {**_asked(each), "about": "world", "template": each["template"], "domain": each["domain"]}
        for each in _read(SETS / "world.jsonl")
    ]
    return [*_catalogue(), *world]


def text() -> str:
    """The content of the file."""
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows())


def _catalogue() -> Iterator[Row]:
    """Some questions of every attribute, spread over the products."""
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for each in _read(SETS / "catalogue.jsonl"):
        groups[each["category"], each["attribute"]].append(each)
    for place, ((category, attribute), found) in enumerate(sorted(groups.items())):
        count = _LISTED if category == "in the catalogue" else _UNLISTED
        step = len(found) // count
        for number in range(count):
            row = found[(number * step + place) % len(found)]
            about = _ABOUT[category]
            yield {**_asked(row), "about": about, "template": f"{attribute}, {about}", "domain": "catalogue"}


def _asked(row: Row) -> Row:
    return {name: row[name] for name in ("id", "prompt", "expected")}


def _read(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
