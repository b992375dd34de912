"""`candor evaluate`: what it prints and writes, that it asks nothing twice, and what it exits with."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib import answers_in_folder
from lib.cli import main
from lib.core.completion import Completion, StopReason
from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.errors import CandorError
from lib.evaluate_options import FIGURES
from lib.evaluation.ready import ready_table
from lib.jobs.engine_pool import Engines
from lib.serve.faults import Fault
from lib.serve.server import in_thread
from lib.studies.evaluation_text import figures
from tests.support.evaluations import outcome
from tests.support.paths import ROOT
from tests.support.scripted_engine import ScriptedEngine, says, tokens_of
from tests.support.serve_clients import Recorded, service_of

ROWS = [
    {"question": f"{number}+{number}=", "answer": str(2 * number), "kind": "even" if number % 2 else "odd"}
    for number in range(1, 61)
]
Evaluate = Callable[..., int]


def sums(request: Request) -> Completion:
    """Right for every number but those that end in 3, of which it is less confident."""
    number = int((request.prompt or "").split("+")[0])
    text, logprob = ("99999", -2.0) if number % 10 == 3 else (str(2 * number), -0.1 - 0.01 * (number % 7))
    return Completion(request, "m", tokens_of("x"), tokens_of(text, logprob), text, StopReason.STOP)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(sums)


@pytest.fixture
def evaluate(engine: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Run the command on rows with the scripted engine."""
    made = answers_in_folder.Services

    def services(*arguments: Any) -> Any:
        found = made(*arguments)
        found.engines = Engines(lambda _: engine)
        return found

    monkeypatch.setattr(answers_in_folder, "Services", services)

    def run(rows: list[dict[str, object]], *options: str) -> int:
        data = tmp_path / "rows.jsonl"
        data.write_text("\n".join(map(json.dumps, rows)))
        return main(["evaluate", str(data), "--out", str(tmp_path / "out"), *options])

    return run


def test_report_rows_and_summary(evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(ROWS, "--rule", "number", "--slice", "kind") == 0
    said = capsys.readouterr()
    assert "60 of 60 questions answered and graded." in said.out
    assert "Accuracy: 90.0% (" in said.out
    assert "AUROC of “Sum of logprobs”: 1.000" in said.out
    assert "At most 5% wrong, with 90% certainty: release answers with a score of at least" in said.out
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["accuracy"]["within"]["value"] == 0.9
    assert {each["name"] for each in found["stated"]["slices"]} == {"kind: even", "kind: odd"}
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 60
    assert [each["row"] for each in lines if each["right"] == "False"] == ["3", "13", "23", "33", "43", "53"]


def test_a_ready_set_is_asked_and_graded_as_it_is_meant_to_be(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path
) -> None:
    engine.script = says("It is in Africa, or in Asia.")
    out = str(tmp_path / "out")
    assert main(["evaluate", "ready:world", "--out", out]) == 0
    assert len(engine.requests) == len(ready_table("world").rows)
    assert all(each.prompt is None and each.messages for each in engine.requests)
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    right = [each for each in lines if each["right"] == "True"]
    assert right
    assert all({"Africa", "Asia"} & set(each["expected"].split(" | ")) for each in right)
    assert {each["slice domain"] for each in lines} == {row["domain"] for row in ready_table("world").rows}
    assert main(["evaluate", "ready:world", "--out", out, "--rule", "exact"]) == 0
    assert json.loads((tmp_path / "out" / "report.json").read_text())["accuracy"]["within"]["value"] == 0
    assert main(["evaluate", "ready:nothing", "--out", out]) == 1


def test_nothing_is_asked_twice(evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path) -> None:
    assert evaluate(ROWS) == 0
    assert len(engine.requests) == 60
    first = (tmp_path / "out" / "report.json").read_bytes()
    assert evaluate(ROWS) == 0
    assert len(engine.requests) == 60
    assert (tmp_path / "out" / "report.json").read_bytes() == first
    changed = [*ROWS[1:], {"question": "70+70=", "answer": "140"}]
    assert evaluate(changed) == 0
    assert [each.prompt for each in engine.requests[60:]] == ["70+70="]
    assert evaluate(changed, "--max-tokens", "5") == 0  # other requests have other answers
    assert len(engine.requests) == 61 + 60


@pytest.mark.parametrize(
    ("condition", "code"), [("accuracy<0.95", 3), ("accuracy<0.85", 0), ("auroc_within_groups<0", 3)]
)
def test_conditions(evaluate: Evaluate, condition: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(ROWS, "--fail-if", condition) == code
    assert (condition in capsys.readouterr().err) == (code == 3)


def test_another_model_and_another_prompt(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--other-model", "tuned", "--other-template", "{question} "]
    assert evaluate(ROWS, *options, "--fail-if", "accuracy_change<0") == 0
    said = capsys.readouterr().out
    assert "1. {question}" in said
    assert "tuned against {question}, on 60 questions that both answered" in said
    assert "Accuracy: 0.900 → 0.900, difference 0.000" in said
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [each["name"] for each in found["others"]] == ["tuned", "{question} "]
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8-sig") as file:
        assert [each["side"] for each in csv.DictReader(file)].count("3") == 60
    assert "<h2>tuned against" in (tmp_path / "out" / "report.html").read_text()
    asked = len(engine.requests)
    evaluate(ROWS, *options)
    assert len(engine.requests) == asked, "the same command again asks nothing"


def test_a_risk_of_ones_own(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(ROWS, "--risk", "0.15", "--certainty", "0.95") == 0
    said = capsys.readouterr().out
    assert "At most 15% wrong, with 95% certainty: release answers with a score of at least" in said


def test_grades_set_by_hand(evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(ROWS)
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8-sig") as file:
        lines = list(csv.DictReader(file))
    for each in lines[:13]:
        each["right"] = "true"
    edited = tmp_path / "grades.csv"
    with edited.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    capsys.readouterr()
    assert evaluate(ROWS, "--grades", str(edited)) == 0
    said = capsys.readouterr().out
    assert "2 grades set by hand." in said
    assert "Accuracy: 93.3%" in said
    edited.write_text("id,right\n1,perhaps\n")
    assert evaluate(ROWS, "--grades", str(edited)) == 1
    assert "Line 2 of the grades cannot be read." in capsys.readouterr().err


def test_conditions_name_the_figures_of_a_report() -> None:
    assert tuple(figures(outcome([]))) == FIGURES


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--risk", "5"], "out of range"),
        (["--score", "choice"], "needs choices"),
        (["--fail-if", "beauty<1"], "isn't a condition"),
        (["--fail-if", "accuracy"], "isn't a condition"),
        (["--template", "{nothing}"], "There is no column “nothing”"),
        (["--rule", "json field"], "No row can be asked"),
        (["--model", "/nowhere/at/all"], ""),
    ],
)
def test_errors_say_what_to_do(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps(ROWS[0]))
    assert main(["evaluate", str(data), "--out", str(tmp_path / "out"), *options]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) >= 1
    assert "Traceback" not in told
    assert main(["evaluate", str(tmp_path / "none.csv"), "--out", str(tmp_path / "out")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_rows_that_cannot_be_asked_are_named(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([*ROWS, {"question": "no answer"}, ROWS[0]]) == 0
    told = capsys.readouterr().err
    assert "Row 61 is left out: Its expected answer is missing." in told
    assert "1 row repeats another." in told


def test_bad_rows_are_named_and_the_others_run(evaluate: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [
        {"question": "1+1=\0", "answer": "2"},
        {"question": "1+1=", "answer": "\ud800"},
        {"question": "1+1=", "answer": "2", "id": "\ud800"},
        {"question": "1+1=", "answer": "2", "id": "x" * 2_000},
    ]
    rows = [{**each, "id": f"row {number}"} for number, each in enumerate(ROWS)]
    assert evaluate([*rows, *bad], "--slice", "kind") == 0
    said = capsys.readouterr()
    assert "60 of 60 questions answered and graded." in said.out
    assert [f"Row {number} is left out:" in said.err for number in range(61, 65)] == [True] * 4


def test_nothing_of_a_file_reaches_the_terminal_as_an_instruction(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;x\x07\x9b2J\r"
    engine.script = says(evil)
    rows = [{"id": evil, "question": "1+1=", "answer": evil, evil: evil, "kind": evil}] * 2
    evaluate(rows, "--slice", "kind", "--other-template", f"{evil}{{question}}")
    evaluate(rows, "--template", f"{{{evil}x}}")
    (tmp_path / "grades.csv").write_text(f"id,right\n{evil},1\n", newline="")
    evaluate(rows, "--grades", str(tmp_path / "grades.csv"))
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert not set(text) & set("\x1b\x07\x9b\r")
    assert "‹U+001B›" in said.err


def test_answers_to_other_rows_stay_in_the_folder(evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path) -> None:
    assert evaluate(ROWS[:40]) == 0
    assert evaluate(ROWS[40:]) == 0
    assert len(engine.requests) == 60
    assert evaluate(ROWS[:40]) == 0
    assert evaluate(ROWS) == 0
    assert len(engine.requests) == 60, "each was answered once, by one of two runs"
    assert json.loads((tmp_path / "out" / "report.json").read_text())["accuracy"]["within"]["n"] == 60


def test_an_interrupted_run_erases_no_answer(evaluate: Evaluate, engine: ScriptedEngine) -> None:
    """Whatever became of the second run, what the first has answered stays."""
    assert evaluate(ROWS) == 0

    def down(_: Request) -> Completion:
        raise CandorError("It is down.")

    engine.script = down
    changed = [{**each, "question": f"0+{each['question']}"} for each in ROWS]
    assert evaluate(changed) == 1
    asked = len(engine.requests)
    assert evaluate(ROWS) == 0
    assert len(engine.requests) == asked, "all of them are still there"


def test_grades_of_ids_that_a_spreadsheet_would_run(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{**each, "id": f"{'=+-@'[number % 4]}{number}"} for number, each in enumerate(ROWS)]
    assert evaluate(rows) == 0
    with (tmp_path / "out" / "rows.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    graded = tmp_path / "grades.csv"
    with graded.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "right"])
        writer.writeheader()
        writer.writerows({"id": each["id"], "right": "false"} for each in [*lines, {"id": "nonexistent"}])
    capsys.readouterr()
    assert evaluate(rows, "--grades", str(graded)) == 0
    said = capsys.readouterr()
    assert "Accuracy: 0.0% (" in said.out
    assert "1 id in the grades matches no single row: “nonexistent”." in said.err


def test_the_file_that_is_read_is_not_overwritten(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "rows.csv"
    own.write_text("question,answer\n1+1=,2\n")
    assert main(["evaluate", str(own), "--out", str(tmp_path)]) == 1
    assert "rows.csv in the output folder would be read and overwritten." in capsys.readouterr().err
    assert own.read_text() == "question,answer\n1+1=,2\n"
    assert engine.requests == []
    assert main(["evaluate", str(own), "--out", str(own)]) == 1


def test_killed_at_random_moments(tmp_path: Path, tiny_directory: Path, tiny_engine: LocalEngine) -> None:
    """What is on disk is never asked for again; in the end every row is answered once."""
    service = Recorded(service_of(tiny_directory, tiny_engine))
    service.service.faults.set([Fault("latency", seconds=0.3)])
    arn = next(each.arn for each in service.service.models if each.name == "current")
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, ROWS)))
    chance = random.Random(4)
    with in_thread(service) as url:  # type: ignore[arg-type]
        command = [
            *(sys.executable, "-m", "lib", "evaluate", str(data), "--out", str(tmp_path / "out"), "--model", arn),
            *("--region", "us-east-1", "--endpoint", url, "--max-tokens", "3"),
        ]
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "example", "AWS_EC2_METADATA_DISABLED": "true"}
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **keys}
        codes = []
        for _ in range(3):
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 30
            before = len(service.bodies)
            while len(service.bodies) == before and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.02)
            time.sleep(chance.uniform(0.3, 1.0))
            process.kill()
            codes.append(process.wait())
            time.sleep(0.5)
        done = _ended(command, environment)
        assert "60 of 60 questions answered" in done.stdout, done.stderr
        asked = [each["prompt"] for each in service.bodies if "+" in str(each.get("prompt"))]
        assert set(asked) == {each["question"] for each in ROWS}
        assert len(asked) <= 60 + 3 * 32, "only calls in flight at a kill, or not yet written, are asked again"
        total = len(service.bodies)
        again = _ended(command, environment)
        assert again.stdout == done.stdout
        assert len(service.bodies) == total
    assert -9 in codes


def _ended(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
