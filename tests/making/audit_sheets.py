"""Read values of fact sheets without their grades: `python -m tests.making.audit_sheets FOLDER/answers-*.sqlite`.

Prints random graded values of what `candor evaluate-doubts` asked: the sheet's beginning, the answer with the value
marked, and the expected values. Grade them in a file with one letter per line, r for right, w for wrong and u for what
cannot be told; with `--grades FILE` the same command compares your grades with those of Candor.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from lib.answers_in_folder import earlier_runs
from lib.doubts.sheets import Field, Sheet, Span, graded_spans, sheets
from lib.jobs.batch import State
from lib.store.database import open_database
from lib.store.runs import Runs
from lib.studies.doubts_sets import DoubtsSetsPlan
from tests.making.audit import wilson

Drawn = tuple[Sheet, Field, Span, str]


def sample(files: list[Path], seed: int, count: int, templates: list[str]) -> list[Drawn]:
    """Graded values of the last run in each file, drawn at random from all of them. templates: none for all."""
    known = {each.row_id: each for each in sheets() if not templates or each.template in templates}
    found: list[Drawn] = []
    for file in files:
        run = earlier_runs(Runs(open_database(f"sqlite:///{file.resolve()}")), DoubtsSetsPlan)[0]
        for item, outcome in zip(run.plan.items, run.batch.outcomes, strict=True):
            if outcome.state is State.DONE and outcome.completion is not None and item.row_id in known:
                sheet, text = known[item.row_id], outcome.completion.text
                fields = {each.name: each for each in sheet.fields}
                found += [(sheet, fields[each.field], each, text) for each in graded_spans(sheet, text)]
    return random.Random(seed).sample(found, min(count, len(found)))


def main() -> int:
    """Print the sample, or compare grades by hand with those of Candor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--template", action="append", default=[], help="only these forms of sheets")
    parser.add_argument("--grades", type=Path)
    options = parser.parse_args()
    drawn = sample(options.files, options.seed, options.count, options.template)
    if options.grades is None:
        for place, (sheet, field, span, text) in enumerate(drawn, 1):
            marked = f"{text[: span.start]}[{text[span.start : span.end]}]{text[span.end :]}".strip()
            print(f"{place}. {sheet.prompt.splitlines()[-1]} {marked}\n   expected: {' | '.join(field.expected)}")
        return 0
    by_hand = [each.strip()[:1] for each in options.grades.read_text().split("\n") if each.strip()]
    if len(by_hand) != len(drawn):
        raise SystemExit(f"There are {len(by_hand)} grades for {len(drawn)} values.")
    told = [(each, ours) for each, ours in zip(drawn, by_hand, strict=True) if ours != "u"]
    wrong = [each for each, ours in told if each[2].right != (ours == "r")]
    for sheet, field, span, text in wrong:
        print(f"{sheet.row_id}, {field.name}: {text[span.start : span.end]!r}, graded {span.right}")
    low, high = wilson(len(wrong), len(told))
    print(f"{len(wrong)} of {len(told)} grades differ: {len(wrong) / len(told):.1%} ({low:.1%} to {high:.1%})")
    print(f"{len(drawn) - len(told)} could not be told.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
