"""Make the sets of labelled questions in lib/evaluation/sets. ready_sets.md says how."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

from tests.making import arithmetic, countries, dates, elements, geography, words
from tests.making.choose import kept, too_hard
from tests.making.facts import Relation
from tests.making.rows import Row, all_rows
from tests.making.splitting import DESIGN, DEVELOPMENT, HELD_OUT, order

SETS = Path(__file__).parents[2] / "lib" / "evaluation" / "sets"
_WORLD = 140  # rows for the page


def relations() -> list[Relation]:
    """All relations, by domain."""
    domains = (countries, geography, elements, arithmetic, dates, words)
    return [each for domain in domains for each in domain.relations()]


def world(rows: Iterable[Row], count: int = _WORLD) -> list[Row]:
    """A sample in chat style, balanced over domains and within them over templates, without the held-out part."""
    templates: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["style"] == "chat" and row["part"] != HELD_OUT and not row["invented"]:
            templates[row["domain"]][row["template"]].append(row)
    domains = []
    for _, own in sorted(templates.items()):
        turns = zip_longest(*(sorted(each, key=lambda row: order(row["id"])) for _, each in sorted(own.items())))
        domains.append([row for turn in turns for row in turn if row is not None])
    picked = [row for turn in zip_longest(*domains) for row in turn if row is not None][:count]
    ids = {row["id"] for row in picked}
    return [row for own in templates.values() for each in own.values() for row in each if row["id"] in ids]


def as_lines(rows: Iterable[Row]) -> bytes:
    """JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def main() -> int:
    """Write the sets, compare them with those that are there, or write the design part of all candidates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="compare with the committed files; exits with 1 if they differ"
    )
    parser.add_argument(
        "--candidates", type=Path, metavar="FOLDER", help="write the design part of every template here"
    )
    options = parser.parse_args()
    if options.candidates:
        hard = too_hard()
        rows = list(all_rows(relations(), lambda template: template.removesuffix(" (chat)") not in hard, (DESIGN,)))
        for style in ("few-shot", "chat"):
            own = [row for row in rows if row["style"] == style and not row["invented"]]
            (options.candidates / f"{style}.jsonl").write_bytes(as_lines(own))
            print(f"{style}: {len(own)} rows of {len({row['template'] for row in own})} templates")
        return 0
    rows = list(all_rows(relations(), kept().__contains__))
    files = {"facts.jsonl": as_lines(rows), "world.jsonl": as_lines(world(rows))}
    for name, data in files.items():
        if options.check and (SETS / name).read_bytes() != data:
            print(f"{name} differs from what the packages give now.", file=sys.stderr)
            return 1
        if not options.check:
            SETS.mkdir(exist_ok=True)
            (SETS / name).write_bytes(data)
    by_part = {part: sum(row["part"] == part for row in rows) for part in (DESIGN, DEVELOPMENT, HELD_OUT)}
    print(f"{len(rows)} rows of {len({row['template'] for row in rows})} templates: {by_part}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
