"""What `candor evaluate-doubts` does: how well scores of doubt find a model's errors, measured without a browser."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from lib import VERSION
from lib.answers_in_folder import answers_to, services_for, source_of_option, tell_failures
from lib.core.completion import Completion
from lib.core.request import Mode
from lib.doubts import measured
from lib.doubts.detection import detected
from lib.doubts.graded import (
    SPANS,
    GradedSpan,
    Labelled,
    Level,
    answer_level,
    listed_alternatives,
    span_level,
    spans_of,
    with_scores,
    word_level,
)
from lib.doubts.measured import keep_measured
from lib.doubts.sheets import FILE, Sheet, sheets
from lib.doubts.verdicts import P_TRUE, p_true, verdict_prompt
from lib.doubts_items import item, peer_scores, write_items
from lib.doubts_options import HELD_OUT, check
from lib.doubts_report import PRIMARY, Reported, as_json, as_text, measurement
from lib.errors import CandorError, InvalidRequest
from lib.evaluation.ready import ready_file, ready_set, ready_table
from lib.jobs.batch import Batch, State
from lib.model_options import some
from lib.scores.token_scores import answer_mask
from lib.segmentation.char_classes import encodable
from lib.statistics.bootstrap import Interval
from lib.studies.doubts_sets import DoubtsSetsPlan, Item
from lib.terminal import say

ANSWER_SETS = {"facts-few-shot": "answers, few-shot", "facts-chat": "answers, chat"}
_SHEET_TOKENS, _ANSWER_TOKENS = 64, 32
_REPORT, _TABLES, _ITEMS, _FLAGS = "report.json", "report.md", "items.jsonl", "flags.json"


def evaluate_doubts(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    check(options)
    peers = _peers(options.peer)
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in _files()}
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    folder = _folder(options.out, options.part)
    if options.part == HELD_OUT:
        say(f"Scored on {moment}.")
        for name, each in hashes.items():
            say(f"SHA-256 of {name}: {each}")
    plan = plan_of(options)
    batch = answers_to(plan, services_for(options), folder / f"answers-{options.part}.sqlite")
    asked = _Asked(options.part, {each.row_id: done for each, done in _answered(plan, batch)})
    levels = [_with_peers(each, peers) for each in asked.levels()]
    if options.verdict:
        scores = _verdicts(options, plan, asked, folder)
        levels = [with_scores(each, P_TRUE, scores) if each.name in ANSWER_SETS.values() else each for each in levels]
    reported = [Reported(each, detected(each, primary=each.name == PRIMARY)) for each in levels]
    about = _about(plan, asked, hashes, moment)
    values = next(each for each in reported if each.level.name == SPANS)
    flags = measurement(values, asked.answers_with_values(), about)
    flags = replace(flags, auroc={**flags.auroc, **_of_verdicts(reported)})
    lines = list(as_text(reported))
    for line in lines:  # before anything is written, as a disk can be full
        say(line)
    texts = {
        _REPORT: encodable(json.dumps(as_json(reported, about), indent=1, ensure_ascii=False)),
        _FLAGS: json.dumps(measured.as_json(flags)),
        _TABLES: "\n".join(lines),
    }
    _write(folder, asked.items(levels), texts)
    _keep(flags)
    return tell_failures(batch)


def _about(plan: DoubtsSetsPlan, asked: _Asked, hashes: Mapping[str, str], moment: str) -> dict[str, Any]:
    """What a report is about: the model, the part, the files of the sets and versions."""
    return {
        "version": VERSION,
        "date": moment,
        "model": plan.source.name,
        "weights": next((each.weights for each in asked.completions.values() if each.weights), ""),
        "part": asked.part,
        "sets": hashes,
        "asked": len(plan.items),
        "answered": len(asked.completions),
        "alternatives": listed_alternatives(asked.completions.values()),
    }


def _write(folder: Path, items: Iterator[dict[str, Any]], texts: Mapping[str, str]) -> None:
    """Write the items and other files by name. Raises CandorError."""
    try:
        write_items(items, folder / _ITEMS)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CandorError(
            f"The report cannot be written: {error.strerror or error}.",
            "Fix that, then run the command again. The answers are saved.",
        ) from error


def _peers(options: Sequence[str]) -> dict[str, dict[str, dict[str, float]]]:
    """The scores of each --peer, by its name, method and item. Raises CandorError."""
    found = [peer_scores(each) for each in options]
    peers = dict(found)
    if len(peers) < len(found):
        raise InvalidRequest("Two peers have the same name.", "Give each --peer a name of its own.")
    return peers


def _folder(out: str, part: str) -> Path:
    """The output folder, made if it is missing. Raises InvalidRequest if its files can't be written."""
    elsewhere = "Give another folder as --out."
    if not out.strip():
        raise InvalidRequest("The output folder has no name.", "Give a folder as --out.")
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:  # ValueError: a path with NUL
        why = getattr(error, "strerror", None) or error
        raise InvalidRequest(f"The folder {out[:200]} can't be written to: {why}.", elsewhere) from error
    for name in (_REPORT, _TABLES, _ITEMS, _FLAGS, f"answers-{part}.sqlite", f"verdicts-{part}.sqlite"):
        path = folder / name
        if path.exists() and (not path.is_file() or not os.access(path, os.W_OK)):
            raise InvalidRequest(f"{name} in the output folder can't be overwritten.", elsewhere)
    return folder


def _keep(flags: measured.Measured) -> None:
    """Keep a measurement for the page Doubts, unless one on more facts is there.

    The output folder has it as well, so that a failure loses nothing.
    """
    if not len(flags.wrong) or measured.has_more(flags):
        return
    try:
        keep_measured(flags)
    except OSError as error:
        say(
            f"The page Doubts can't show these figures, as Candor's data directory can't be written to: "
            f"{error.strerror or error}. Set CANDOR_DATA to a directory you can write to, then run the command again: "
            "the answers are saved.",
            error=True,
        )


def plan_of(options: argparse.Namespace) -> DoubtsSetsPlan:
    """The prompts of one part of all sets, for the model of the options."""
    items = [
        Item(each.row_id, each.prompt, Mode.RAW, _SHEET_TOKENS, each.stop)
        for each in some(sheets(options.part), options.most)
    ]
    for name in ANSWER_SETS:
        mode = ready_set(name).mode
        stop = () if mode is Mode.CHAT else ("\n",)
        rows = some(list(_rows(name, options.part)), options.most)
        items += [Item(row["id"], row["prompt"], mode, _ANSWER_TOKENS, stop) for row in rows]
    return DoubtsSetsPlan(source_of_option(options, options.model), tuple(items), options.k)


def _verdicts(options: argparse.Namespace, plan: DoubtsSetsPlan, asked: _Asked, folder: Path) -> Mapping[str, float]:
    """P(True) of each answer to a question, by the id of its row."""
    graded = asked.answers
    items = [
        Item(each.row_id, verdict_prompt(each.prompt, done.text, chat=each.mode is Mode.CHAT), each.mode, 1, ())
        for each in plan.items
        if each.row_id in graded and (done := asked.completions.get(each.row_id)) is not None
    ]
    if not items:
        return {}
    own = replace(plan, items=tuple(items))
    batch = answers_to(own, services_for(options), folder / f"verdicts-{options.part}.sqlite")
    return {each.row_id: p_true(done) for each, done in _answered(own, batch)}


def _of_verdicts(levels: Sequence[Reported]) -> Mapping[str, Interval]:
    """The AUROC of P(True) on answers of a chat, or without a chat on those with examples; nothing if not asked for."""
    found = {level.level.name: each for level in levels for each in level.methods if each.method == P_TRUE}
    own = next((found[name] for name in reversed(ANSWER_SETS.values()) if name in found), None)
    return {} if own is None else {P_TRUE: own.figures["auroc"].here}


def _files() -> tuple[Path, ...]:
    """The files of the sets, each once."""
    return tuple(dict.fromkeys((*map(ready_file, ANSWER_SETS), FILE)))


def _rows(name: str, part: str) -> Iterator[Mapping[str, Any]]:
    return (row for row in ready_table(name).rows if row["part"] == part)


def _answered(plan: DoubtsSetsPlan, batch: Batch) -> Iterator[tuple[Item, Completion]]:
    for each, outcome in zip(plan.items, batch.outcomes, strict=False):
        if outcome.state is State.DONE and outcome.completion is not None:
            yield each, outcome.completion


@dataclass(frozen=True)
class _Asked:
    """The answers to one part of the sets."""

    part: str
    completions: Mapping[str, Completion]  # by the id of the row

    @property
    def answers(self) -> frozenset[str]:
        """The ids of rows whose answer is graded as a whole."""
        return frozenset(row["id"] for name in ANSWER_SETS for row in _rows(name, self.part))

    def levels(self) -> list[Level]:
        """Answers, values and words with their grades and scores."""
        found = [self._answers(name, level) for name, level in ANSWER_SETS.items()]
        own = self._sheets()
        return [*found, span_level(self._spans()), word_level(own, [self.completions[each.row_id] for each in own])]

    def items(self, levels: Sequence[Level]) -> Iterator[dict[str, Any]]:
        """The lines of items.jsonl: answers and values."""
        for level in levels[: len(ANSWER_SETS)]:
            for place, row in enumerate(level.rows):
                done = self.completions[row.item_id]
                tokens = done.generated[answer_mask(done.generated)]
                yield item(level, place, tokens, self.part, answer=done.text)
        for place, each in enumerate(self._spans()):
            first, last = int(each.terms.first[0]), int(each.terms.last[0])
            field = next(field for field in each.sheet.fields if field.name == each.span.field)
            yield item(
                levels[len(ANSWER_SETS)], place, each.completion.generated[first:last], self.part,
                answer=each.completion.text, value=each.terms.text[each.span.start : each.span.end],
                start=each.span.start, field=field.name, expected=list(field.expected),
                asked=each.sheet.prompt.split("\n")[-1],
            )  # fmt: skip

    def answers_with_values(self) -> int:
        """The number of answers that values were graded in."""
        return len({each.sheet.row_id for each in self._spans()})

    def _answers(self, name: str, level: str) -> Level:
        rows, completions = [], []
        for row in _rows(name, self.part):
            if (done := self.completions.get(row["id"])) is not None:
                right = ready_set(name).grader.grade(done.text, row["expected"]).right
                rows.append(Labelled(row["id"], row["template"], row["entity"], right))
                completions.append(done)
        return answer_level(level, rows, completions)

    def _sheets(self) -> list[Sheet]:
        return [each for each in sheets(self.part) if each.row_id in self.completions]

    def _spans(self) -> list[GradedSpan]:
        return [span for each in self._sheets() for span in spans_of(each, self.completions[each.row_id])]


def _with_peers(level: Level, peers: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Level:
    """The level with the peers' scores of its rows, if they have any."""
    ids = {each.item_id for each in level.rows}
    for name, methods in peers.items():
        for method, scores in methods.items():
            if not ids.isdisjoint(scores):
                level = with_scores(level, f"{name}: {method}", scores)
    return level
