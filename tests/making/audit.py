"""Read answers without their grades: `python -m tests.making.audit RESULTS/rows.csv … > questions.txt`.

Prints questions, expected answers and answers of random rows of what `candor evaluate` wrote. Grade them in a file
with one letter per line, r for right and w for wrong; with `--grades FILE` the same command compares your grades with
those of Candor.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
from pathlib import Path

from tests.making.choose import kept


def sample(files: list[Path], seed: int, count: int) -> list[dict[str, str]]:
    """Graded rows of templates that are kept, drawn at random from all files."""
    wanted = kept()
    rows = []
    for file in files:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows += [row for row in csv.DictReader(lines) if row["right"] and row["group"] in wanted]
    return random.Random(seed).sample(rows, min(count, len(rows)))


def wilson(errors: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """A 95% interval of a share (Wilson 1927)."""
    share, weight = errors / count, z * z / count
    middle = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def main() -> int:
    """Print the sample, or compare grades by hand with those of Candor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--grades", type=Path)
    options = parser.parse_args()
    drawn = sample(options.rows, options.seed, options.count)
    if options.grades is None:
        for place, row in enumerate(drawn, 1):
            question = row["prompt"].strip().split("\n")
            asked = "\n".join(question[-2:]) if question[-1] == "A:" else question[-1]
            print(f"{place}. {asked}\n   expected: {row['expected']}\n   answer: {row['answer'].strip()!r}\n")
        return 0
    by_hand = [each.strip()[:1] == "r" for each in options.grades.read_text().split("\n") if each.strip()]
    if len(by_hand) != len(drawn):
        raise SystemExit(f"There are {len(by_hand)} grades for {len(drawn)} rows.")
    wrong = [(place, row) for place, (row, ours) in enumerate(zip(drawn, by_hand, strict=True), 1)
             if (row["right"] == "True") != ours]  # fmt: skip
    for place, row in wrong:
        print(f"{place}. {row['id']}: {row['answer']!r}, expected {row['expected']}, graded {row['right']}")
    low, high = wilson(len(wrong), len(drawn))
    print(f"{len(wrong)} of {len(drawn)} grades differ: {len(wrong) / len(drawn):.1%} ({low:.1%} to {high:.1%})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
