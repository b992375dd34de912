"""What `candor evaluate-contexts` does: how well scorings of passages find the right one, without a browser."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from lib import VERSION
from lib.answers_in_folder import answers_to, returns_prompt_logprobs, services_for, source_of_option, tell_failures
from lib.contexts import measured
from lib.contexts.curve import curve_svg
from lib.contexts.labelled import SET, Labelled, read_labelled
from lib.contexts.measured import DEVELOPMENT, FEWEST, HELD_OUT, keep_measured, measured_for
from lib.contexts.prompting import (
    LONGEST,
    TEMPLATES,
    Order,
    check_template,
    closed_book,
    filled,
    joined_passages,
    order_of,
)
from lib.contexts.pruning import ranked
from lib.contexts.recall import ScoredQuestion, best_of, share_of
from lib.contexts_options import QUESTION_FIRST
from lib.contexts_report import Answered, Report, as_json, as_text, groups_of, lines_of, measurement
from lib.core.request import Mode
from lib.errors import BadFile, InvalidRequest
from lib.evaluate_folder import STORE, Folder
from lib.evaluation.grading import Grader, Rule
from lib.jobs.batch import Batch, State
from lib.model_options import some
from lib.segmentation.char_classes import encodable
from lib.services import Services
from lib.studies.contexts_sets import ContextsAnswersPlan, ContextsSetPlan
from lib.terminal import say

_REPORT, _TABLES, _CURVE, _SCORES = "report.json", "report.md", "curve.svg", "scores.jsonl"
_MEASURED = "measured.json"
_OWN = re.compile("|".join(map(re.escape, (_REPORT, _TABLES, _CURVE, _SCORES, _MEASURED))))
_KEPT = {"the best passage": 1, "the best two": 2, "all passages": None, "no passage (closed book)": 0}
_LARGEST_TEMPLATE = 4 * LONGEST  # bytes


def evaluate_contexts(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    questions = _questions(options)
    if not options.out.strip():
        raise InvalidRequest("The output folder has no name.", "Give a folder as --out.")
    template = _template(options)
    asked = _asked(options, questions, template)
    folder = Folder(Path(options.out), _OWN)
    folder.prepare([each for each in (options.data, options.template) if each])
    if not options.replace:
        _check_same(folder.path / _REPORT, asked)
    if questions.part == HELD_OUT:
        say(f"Scored on {asked['date']}.")
        say(f"SHA-256 of {Path(options.data or SET).name}: {questions.digest}")
    services = services_for(options)
    plan = _plan(options, questions, template, services)
    batch = answers_to(plan, services, folder.path / STORE)
    rows = plan.scored(batch)
    asked["name"] = services.label(plan.source)
    asked["weights"] = next((each.weights or each.model for each in batch.completions), "")
    best, chosen_on = _best(rows, asked)
    answered, further = _answers(options, plan, rows, best, services) if options.answers else ([], Batch())
    report = Report(asked, groups_of(rows, best), chosen_on, answered)
    for line in as_text(report):  # before anything is written, as a disk can be full
        say(line)
    whole = all(each.state is State.DONE for each in batch.outcomes)
    own = measurement(report) if best and whole else None
    _write(folder, report, rows, own)
    _keep(own)
    return max(tell_failures(batch), tell_failures(further))


def _write(folder: Folder, report: Report, rows: Sequence[ScoredQuestion], own: measured.Measured | None) -> None:
    """Write the files of the output folder. own: None if the measurement is not complete. Raises CandorError."""
    files = {
        _REPORT: encodable(json.dumps(as_json(report), indent=1, ensure_ascii=False)),
        _TABLES: "\n".join(as_text(report)) + "\n",
        _CURVE: curve_svg(report.whole),
        _SCORES: lines_of(rows),
    }
    if own is not None:
        files[_MEASURED] = json.dumps(measured.as_json(own), indent=1)
    folder.write(files)


@dataclass(frozen=True)
class _Questions:
    """The labelled questions that are asked."""

    rows: Sequence[Labelled]
    part: str  # "" for all rows
    digest: str  # SHA-256 of their file, in hex


def _questions(options: argparse.Namespace) -> _Questions:
    """The questions of one part of a file. Raises BadFile and InvalidRequest."""
    data = _bytes(options.data or str(SET), "Give a file with question, passages and right as --data.")
    rows = read_labelled(data, options.data)
    parts = list(dict.fromkeys(each.part for each in rows))
    part = options.part or (DEVELOPMENT if DEVELOPMENT in parts else "")
    found = [each for each in rows if part in ("", each.part)]
    if not found:
        known = ", ".join(each[:40] for each in parts[:10] if each)
        raise InvalidRequest(
            f"No question is in the part {part[:100]}.",
            f"Choose one of {known} as --part." if known else "Leave --part out: the file has no column part.",
        )
    if any(each.part == HELD_OUT for each in found) and not options.final:
        raise InvalidRequest(
            "Score the held-out part only once, after the scoring is chosen.",
            "Use --part development until then; add --final to score it now.",
        )
    if options.most is not None and options.most < 1:
        raise InvalidRequest(f"--most is {options.most}.", "Give a number of questions, 1 or more.")
    if options.answers and not any(each.expected for each in found):
        raise InvalidRequest(
            "No question has an expected answer.", "Leave --answers out, or add a column expected to the file."
        )
    return _Questions(some(found, options.most), part, hashlib.sha256(data).hexdigest())


def _template(options: argparse.Namespace) -> str:
    """The template of the options. Raises BadFile and InvalidRequest."""
    if not options.template:
        return TEMPLATES[Order.QUESTION_FIRST if options.order == QUESTION_FIRST else Order.PASSAGE_FIRST]
    how = "Give a text file with {passage} and {question} as --template."
    data = _bytes(options.template, how)
    if len(data) > _LARGEST_TEMPLATE:
        raise BadFile(f"{options.template} is too large for a template.", how)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise BadFile(f"{options.template} is not UTF-8.", how) from error
    check_template(text)
    return text


def _bytes(file: str, how: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with NUL
        why = getattr(error, "strerror", None) or error
        raise BadFile(f"{file[:200]} cannot be read: {why}.", how) from error


def _asked(options: argparse.Namespace, questions: _Questions, template: str) -> dict[str, Any]:
    """What a report is about: the model, the questions and how they are asked."""
    return {
        "version": VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": options.model,
        "weights": "",
        "data": Path(options.data).name,
        "digest": questions.digest,
        "part": questions.part,
        "n": len(questions.rows),
        "mode": Mode(options.mode),
        "order": order_of(template),
        "template": template,
        "gain": not options.no_gain,
    }


def _check_same(path: Path, asked: Mapping[str, Any]) -> None:
    """Raise InvalidRequest if the report in the folder is of another measurement."""
    if not path.exists():
        return
    try:
        found = json.loads(path.read_bytes())
        other = [name for name in asked if name not in ("version", "date", "weights") and found[name] != asked[name]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        other = ["file"]
    if other:
        raise InvalidRequest(
            f"The report in the output folder is of another {other[0]}.",
            "Give another folder as --out, or add --replace to write over it. Saved answers stay either way.",
        )


def _plan(options: argparse.Namespace, questions: _Questions, template: str, services: Services) -> ContextsSetPlan:
    source, mode = source_of_option(options, options.model), Mode(options.mode)
    scored = returns_prompt_logprobs(source, services, chat=mode is Mode.CHAT)
    if not scored:
        say("The model doesn't return prompt logprobs, so only drafts and BM25 are scored.", error=True)
    return ContextsSetPlan(
        source, tuple(questions.rows), template, mode, gain=not options.no_gain, prompt_scores=scored
    )


def _best(rows: Sequence[ScoredQuestion], asked: Mapping[str, Any]) -> tuple[str, str]:
    """The best scoring and the part it was chosen on: for the held-out part, the one chosen on development."""
    if asked["part"] == HELD_OUT:
        known = [each for each in (*measured.of_this_machine(), *measured.shipped()) if each.chosen_on == DEVELOPMENT]
        known = [each for each in known if each.digest == asked["digest"]]
        chosen = measured_for(asked["weights"], asked["mode"], asked["order"], known)
        if chosen is not None and all(chosen.best in each.scores for each in rows):
            return chosen.best, DEVELOPMENT
        say("Nothing was chosen on the development part, so the best scoring is chosen on this one.", error=True)
    return best_of(rows), asked["part"]


def _answers(
    options: argparse.Namespace, plan: ContextsSetPlan, rows: Sequence[ScoredQuestion], best: str, services: Services
) -> tuple[list[Answered], Batch]:
    """Full answers to questions with an expected one, from the passages that the best scoring keeps."""
    asked = [each for each in rows if each.about.expected]
    if not best or not asked:
        return [], Batch()
    prompts = [_prompt(plan.template, each, best, most) for most in _KEPT.values() for each in asked]
    own = ContextsAnswersPlan(plan.source, tuple(prompts), plan.mode)
    batch = answers_to(own, services, Path(options.out) / STORE)
    outcomes = iter(batch.outcomes)
    found = []
    for name in _KEPT:
        texts = [done.text if (done := next(outcomes).completion) is not None else "" for _ in asked]
        grader = Grader(Rule.CONTAINS)
        right = [grader.grade(text, each.about.expected).right for text, each in zip(texts, asked, strict=True)]
        found.append(Answered(name, share_of(np.array(right, float), asked)))
    return found, batch


def _prompt(template: str, row: ScoredQuestion, best: str, most: int | None) -> str:
    """The prompt of a full answer from the best `most` passages, in the order they were given in; None for all."""
    if most == 0:
        return closed_book(template, row.about.question)
    kept = sorted(ranked(row.scores[best])[:most])
    texts = [row.about.passages[place].text for place in kept]
    return filled(template, joined_passages(texts), row.about.question).text


def _keep(own: measured.Measured | None) -> None:
    """Keep a measurement for the page Contexts. The output folder has it as well, so that a failure loses nothing."""
    if own is None:
        say("The page Contexts doesn't use these figures, as calls without an answer count as misses.", error=True)
        return
    if not own.weights:
        return
    if own.n < FEWEST:
        say(f"The page Contexts takes measurements of {FEWEST} questions or more, so it doesn't use this one.")
        return
    try:
        keep_measured(own)
    except OSError as error:
        say(
            f"The page Contexts can't use these figures, as Candor's data directory can't be written to: "
            f"{error.strerror or error}. Set CANDOR_DATA to a directory you can write to, then run the command again: "
            "the answers are saved.",
            error=True,
        )
