"""Choose templates by how often the embedded model gets their design part right.

`python -m tests.making.choose FEW_SHOT/rows.csv CHAT/rows.csv` reads what
`candor evaluate` wrote, and writes accuracy.csv.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

LEAST, MOST = 0.15, 0.85  # shares of right answers between which a template is kept
_TARGET = Path(__file__).parent / "accuracy.csv"


def counted(files: list[Path]) -> dict[str, tuple[int, int]]:
    """Answers and right answers of each template."""
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for file in files:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for row in csv.DictReader(lines):
                if row["right"]:
                    asked[row["group"]] += 1
                    right[row["group"]] += row["right"] == "True"
    return {name: (asked[name], right[name]) for name in asked}


def kept() -> set[str]:
    """The templates that the embedded model gets right neither too often nor too rarely."""
    return {row["template"] for row in _table() if row["kept"] == "yes"}


def too_hard() -> set[str]:
    """The relations that the model gets wrong too often in all templates with examples: no use to ask in a chat."""
    shares: dict[str, float] = {}
    for row in _table():
        relation, _, form = row["template"].rpartition(" (")
        if form != "chat)":
            shares[relation] = max(shares.get(relation, 0.0), int(row["right"]) / int(row["asked"]))
    return {relation for relation, share in shares.items() if share < LEAST}


def _table() -> list[dict[str, str]]:
    with _TARGET.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> int:
    """Write the table, and say how many templates are kept."""
    found = counted([Path(each) for each in sys.argv[1:]])
    count = 0
    with _TARGET.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("template", "asked", "right", "kept"))
        for name, (asked, right) in found.items():
            share = right / asked
            word = "too often right" if share > MOST else "too often wrong" if share < LEAST else "yes"
            count += word == "yes"
            writer.writerow((name, asked, right, word))
    print(f"{count} of {len(found)} templates are kept.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
