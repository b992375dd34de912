"""Measure scorings of passages on a labelled set: recall of the right passage against the tokens saved.

    python -m tests.making.measure_contexts score --part development --mode raw --out FILE
    python -m tests.making.measure_contexts report FILE …
    python -m tests.making.measure_contexts answers FILE

`score` asks the model and writes all scores as JSON Lines; `report` prints tables for docs/contexts.md from them.
`answers` asks for full answers from the passages that question likelihood keeps.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lib.contexts.labelled import SET, Labelled, keeps, read_labelled, saved
from lib.contexts.prompting import TEMPLATES, Order, closed_book, filled, joined_passages
from lib.contexts.pruning import ranked
from lib.contexts.scorings import BM25, DRAFT, GAIN, QUESTION, Scores, bm25, combined
from lib.core.request import Mode, Request
from lib.core.sources import EMBEDDED, LocalModel
from lib.engines.local.opening import open_local
from lib.evaluation.grading import Grader, Rule
from lib.jobs.batch import Batch
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Jobs
from lib.jobs.run_plan import run_calls, run_plan
from lib.statistics.bootstrap import Interval, Weights, interval
from lib.studies.contexts import ALL, ContextsPlan
from lib.studies.contexts_outcome import ContextsOutcome, outcome_of

_AT_ONCE = 4  # questions
_DRAFTS = 8  # tokens
_KEPT = {"closed book": 0, "best passage": 1, "best two": 2, "all passages": 50}
_MOST = (1, 2, 3, 4, 5)  # passages that are kept
COMBINATIONS = {
    "question + BM25": {QUESTION: 1.0, BM25: 1.0},
    "question ×2 + BM25": {QUESTION: 2.0, BM25: 1.0},
    "question + draft": {QUESTION: 1.0, DRAFT: 1.0},
    "question + gain": {QUESTION: 1.0, GAIN: 1.0},
    "question + gain + BM25": {QUESTION: 1.0, GAIN: 1.0, BM25: 1.0},
    "all four": {QUESTION: 1.0, GAIN: 1.0, BM25: 1.0, DRAFT: 1.0},
}


def score(options: argparse.Namespace) -> None:
    """Ask the model, and write the scores of every question."""
    rows = [each for each in read_labelled(options.data.read_bytes()) if each.part == options.part][: options.most]
    engine = open_local(options.model)
    source, engines = LocalModel(options.model), Engines(lambda _: engine)

    def outcomes(plans: Sequence[ContextsPlan]) -> Iterator[ContextsOutcome]:
        jobs = [Jobs().start(run_plan(engines, plan), plan) for plan in plans]
        for plan, job in zip(plans, jobs, strict=True):
            assert job.wait(600)
            assert job.error is None, job.error
            yield outcome_of(plan, job.result or Batch())

    with closing(engine), options.out.open("w", encoding="utf-8") as file:
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            began = time.perf_counter()
            plans = [_plan(options, source, each) for each in some]
            found = list(outcomes(plans))
            gains = [
                _plan(options, source, each, answer=_answer(one)) if _answer(one) else None
                for each, one in zip(some, found, strict=True)
            ]
            gained = iter(list(outcomes([each for each in gains if each is not None])))
            took = (time.perf_counter() - began) / len(some)
            for each, one, plan in zip(some, found, gains, strict=True):
                scores = dict(one.scored.scores)
                scores[GAIN] = np.full(len(each.passages), np.nan) if plan is None else next(gained).scored.scores[GAIN]
                line = {
                    "id": each.id, "kind": each.kind, "right": each.right, "tokens": one.scored.tokens,
                    "answer": _answer(one), "drafts": [d.text if d else None for d in one.scored.drafts],
                    "seconds": round(took, 2),
                    "scores": {
                        name: [None if math.isnan(each) else each for each in own] for name, own in scores.items()
                    },
                }  # fmt: skip
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()


def _plan(options: argparse.Namespace, source: LocalModel, about: Labelled, answer: str = "") -> ContextsPlan:
    return ContextsPlan(
        source,
        about.question,
        about.passages,
        TEMPLATES[Order(options.order)],
        Mode(options.mode),
        scorings=(GAIN,) if answer else (QUESTION, DRAFT, BM25),
        answer=answer,
        draft_tokens=_DRAFTS,
        by=GAIN if answer else QUESTION,
        answers=() if answer else (ALL,),
        max_tokens=16,
        stop=() if options.mode == Mode.CHAT else ("\n\n",),
        k=0,
    )


def _answer(found: ContextsOutcome) -> str:
    """The answer from all passages, or the most confident draft if the model says nothing."""
    done = found.answers[ALL].outcome.completion if ALL in found.answers else None
    drafts = [each.text for each in found.scored.drafts if each is not None and each.text.strip()]
    return done.text if done is not None and done.text.strip() else (drafts or [""])[0]


def answers(options: argparse.Namespace) -> None:
    """Ask for full answers from the passages kept by question likelihood, and grade those that can be graded."""
    rows = [json.loads(line) for line in options.file.read_text(encoding="utf-8").splitlines()]
    asked = {each["id"]: each for each in map(json.loads, options.data.read_text(encoding="utf-8").splitlines())}
    rows = [each for each in rows if asked[each["id"]]["expected"]]
    prompts = {name: [_prompt(asked[each["id"]], each, most) for each in rows] for name, most in _KEPT.items()}
    engine = open_local(options.model)
    engines, template = Engines(lambda _: engine), Request("x", max_tokens=16, k=0, prompt_scores=False)
    calls = [Call(EMBEDDED, replace(template, prompt=text)) for texts in prompts.values() for text in texts]
    with closing(engine):
        job = Jobs().start(run_calls(engines, calls))
        assert job.wait(3_000)
    assert job.result is not None
    texts = iter([each.completion.text if each.completion else "" for each in job.result.outcomes])
    for name in prompts:
        right = [Grader(Rule.CONTAINS).grade(next(texts), asked[each["id"]]["expected"]).right for each in rows]
        print(f"{name}: right {_text(_mean(np.array(right, float), rows))} of {len(rows)}")


def _prompt(asked: dict[str, Any], row: dict[str, Any], most: int) -> str:
    template = TEMPLATES[Order.PASSAGE_FIRST]
    if not most:
        return closed_book(template, asked["question"])
    kept = sorted(ranked(_scores(row)[QUESTION])[:most])
    texts = [asked["passages"][place]["text"] for place in kept]
    return filled(template, joined_passages(texts), asked["question"]).text


def report(options: argparse.Namespace) -> None:
    """Print the tables of files with scores."""
    labelled = {each.id: each for each in read_labelled(options.data.read_bytes())}
    for path in options.files:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for each in rows:  # as it is now
            asked = labelled[each["id"]]
            each["scores"][BM25] = bm25(asked.question, [one.text for one in asked.passages]).tolist()
        kinds = dict.fromkeys(each["kind"] for each in rows)
        groups = {"all": rows} if len(kinds) > 1 else {}
        groups |= {kind: [each for each in rows if each["kind"] == kind] for kind in kinds}
        print(f"## {path.stem}, {len(rows)} questions, {np.mean([each['seconds'] for each in rows]):.1f} s a question")
        for kind, own in groups.items():
            ways = {name: [of(each) for each in own] for name, of in _ways().items()}
            shares = [
                np.mean([saved(one, each["tokens"], most) for one, each in zip(ways["random"], own, strict=True)])
                for most in _MOST
            ]
            heads = [f"top {most}, saves {share:.0%}" for most, share in zip(_MOST, shares, strict=True)]
            print(f"\n{kind}, n = {len(own)}: how often the right passage is kept\n")
            print(f"| Scoring | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
            found = {name: [_recalls(own, columns, most) for most in _MOST] for name, columns in ways.items()}
            for name, recalls in found.items():
                print(f"| {name} | {' | '.join(_text(_mean(each, own)) for each in recalls)} |")
            for other in (DRAFT, GAIN, BM25, *COMBINATIONS):
                difference = _mean(found[QUESTION][0] - found[other][0], own)
                print(f"question − {other}, right passage first: {_text(difference, '+.0%')}")
        print()


def _ways() -> dict[str, Callable[[dict[str, Any]], Scores]]:
    def one(name: str) -> Callable[[dict[str, Any]], Scores]:
        return lambda row: _scores(row)[name]

    def several(weights: dict[str, float]) -> Callable[[dict[str, Any]], Scores]:
        return lambda row: combined(_scores(row), weights)

    single = {name: one(name) for name in (QUESTION, DRAFT, GAIN, BM25)}
    mixed = {name: several(weights) for name, weights in COMBINATIONS.items()}
    return {**single, **mixed, "random": lambda row: np.zeros(len(row["tokens"]))}


def _scores(row: dict[str, Any]) -> dict[str, Scores]:
    return {name: np.array([math.nan if v is None else v for v in own]) for name, own in row["scores"].items()}


def _recalls(rows: Sequence[dict[str, Any]], columns: Sequence[Scores], most: int) -> Scores:
    """float64[n]: for each question, the probability that its right passage is kept."""
    return np.array([keeps(one, each["right"], most) for one, each in zip(columns, rows, strict=True)])


def _mean(values: Scores, rows: Sequence[dict[str, Any]]) -> Interval:
    """The mean over questions, resampled within each kind."""

    def mean(weights: Weights) -> Scores:
        return np.asarray((weights * values).sum(axis=1) / weights.sum(axis=1), np.float64)

    return interval(mean, len(values), groups=[each["kind"] for each in rows])


def _text(about: Interval, form: str = ".0%") -> str:
    return f"{about.value:{form}} ({about.low:{form}} to {about.high:{form}})"


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    scoring = commands.add_parser("score")
    scoring.add_argument("--data", type=Path, default=SET)
    scoring.add_argument("--model", default="embedded")
    scoring.add_argument("--part", default="development")
    scoring.add_argument("--mode", choices=[str(each) for each in Mode], default="raw")
    scoring.add_argument("--order", choices=[str(each) for each in Order], default=str(Order.PASSAGE_FIRST))
    scoring.add_argument("--most", type=int)
    scoring.add_argument("--out", type=Path, required=True)
    scoring.set_defaults(run=score)
    answering = commands.add_parser("answers")
    answering.add_argument("--data", type=Path, default=SET)
    answering.add_argument("--model", default="embedded")
    answering.add_argument("file", type=Path)
    answering.set_defaults(run=answers)
    reporting = commands.add_parser("report")
    reporting.add_argument("--data", type=Path, default=SET)
    reporting.add_argument("files", type=Path, nargs="+")
    reporting.set_defaults(run=report)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
