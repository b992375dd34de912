"""`candor evaluate-doubts`: what it asks, prints and writes, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib import answers_in_folder, doubts_command
from lib.cli import main
from lib.core.completion import Completion
from lib.core.request import Request
from lib.doubts import detection
from lib.doubts.measured import measured_in
from lib.doubts.sheets import FILE, sheets
from lib.doubts_items import peer_scores
from lib.errors import BadFile, InvalidRequest
from lib.evaluation.ready import ready_table
from lib.jobs.engine_pool import Engines
from lib.model_options import some
from tests.support.answers import answer_of as one_word
from tests.support.scripted_engine import ScriptedEngine, fails
from tests.support.sheet_answers import answer_of
from tests.support.tiny import make_gguf

Evaluate = Callable[..., int]
_SHEETS, _ROWS = 24, 30


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(answer_of)


@pytest.fixture
def evaluate(engine: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Run the command on a few rows of each set with the scripted engine."""
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path / "data"))
    made = answers_in_folder.Services

    def services(*arguments: Any) -> Any:
        found = made(*arguments)
        found.engines = Engines(lambda _: engine)
        return found

    def some(name: str) -> Any:
        table = ready_table(name)
        rows = [row for part in ("development", "held-out") for row in table.rows if row["part"] == part][:_ROWS]
        return replace(table, rows=tuple(rows), numbers=tuple(range(1, len(rows) + 1)))

    monkeypatch.setattr(answers_in_folder, "Services", services)
    monkeypatch.setattr(doubts_command, "sheets", lambda part: sheets(part)[:_SHEETS])
    monkeypatch.setattr(doubts_command, "ready_table", some)
    monkeypatch.setattr(detection, "DRAWS", 60)
    return lambda *options: main(["evaluate-doubts", "--out", str(tmp_path / "out"), *options])


def items(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out" / "items.jsonl").read_text().splitlines()]


def level(folder: Path, name: str) -> dict[str, Any]:
    report = json.loads((folder / "out" / "report.json").read_text())
    return next(each for each in report["levels"] if each["name"] == name)


def test_report_items_and_tables(evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate() == 0
    said = capsys.readouterr().out
    assert said.strip() == (tmp_path / "out" / "report.md").read_text().strip()
    for title in ("Answers, few-shot", "Answers, chat", "Values of fact sheets", "Words of fact sheets"):
        assert f"### {title}" in said
    assert "| entropy | not computed: needs 5 alternatives per position; there are 1 |" in said
    values = level(tmp_path, "values of fact sheets")
    assert values["n"] == sum("value" in each for each in items(tmp_path)) > 40
    own = {each["method"]: each for each in values["methods"]}
    assert own["sum"]["auroc"]["value"] == 1.0, "wrong values have a low logprob"
    assert own["mean"]["auroc"]["value"] == 1.0
    assert "difference" not in own["mean"]
    flags = measured_in((tmp_path / "out" / "flags.json").read_bytes())
    assert flags.part == "development"
    assert len(flags.wrong) == values["n"]
    assert flags.wrong.sum() == values["wrong"]
    assert flags.scores["sum"][flags.wrong].min() > flags.scores["sum"][~flags.wrong].max()
    assert flags.auroc["sum"].value == 1.0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["sets"]["sheets.jsonl"] == hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert report["asked"] == report["answered"] == _SHEETS + 2 * _ROWS
    assert (report["part"], report["model"], report["alternatives"]) == ("development", "embedded", 1)


def test_a_line_of_the_items_has_what_another_library_needs(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate()
    lines = items(tmp_path)
    assert len({each["id"] for each in lines}) == len(lines)
    value = next(each for each in lines if "value" in each and not each["right"])
    assert "".join(each["token"] for each in value["tokens"]) == value["value"] == "Xanadu"
    assert sum(each["logprob"] for each in value["tokens"]) == pytest.approx(value["scores"]["sum"], abs=1e-3)
    assert {"id", "level", "template", "entity", "part", "right", "answer", "tokens", "scores"} <= set(value)


def test_nothing_is_asked_twice_and_each_part_is_kept(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path
) -> None:
    evaluate()
    asked = len(engine.requests)
    first = (tmp_path / "out" / "report.md").read_text()
    evaluate()
    assert len(engine.requests) == asked
    assert (tmp_path / "out" / "report.md").read_text() == first
    evaluate("--part", "held-out", "--final")
    more = len(engine.requests)
    assert more > asked
    evaluate()
    assert len(engine.requests) == more
    evaluate("--k", "5")
    assert len(engine.requests) == more + asked, "other requests have other answers"


def test_the_held_out_part_is_refused_without_final(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--part", "held-out") == 1
    assert "add --final" in capsys.readouterr().err
    assert engine.requests == []
    assert not (tmp_path / "out").exists()
    assert evaluate("--final") == 0
    assert "SHA-256" not in capsys.readouterr().out, "the development part is scored as often as you like"
    assert evaluate("--part", "held-out", "--final") == 0
    said = capsys.readouterr().out
    assert f"SHA-256 of sheets.jsonl: {hashlib.sha256(FILE.read_bytes()).hexdigest()}" in said
    assert said.startswith("Scored on 20")
    assert {each["part"] for each in items(tmp_path)} == {"held-out"}


def test_scores_of_another_library_stand_in_the_same_table(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate()
    peers = tmp_path / "scores.jsonl"
    lines = [{"id": each["id"], "oracle": float(each["right"]), "gaps": None} for each in items(tmp_path)]
    peers.write_text("\n".join(map(json.dumps, lines)))
    capsys.readouterr()
    assert evaluate("--peer", f"other={peers}") == 0
    assert "| other: oracle |" in capsys.readouterr().out
    own = {each["method"]: each for each in level(tmp_path, "values of fact sheets")["methods"]}
    assert own["other: oracle"]["auroc"]["value"] == 1.0
    assert own["other: oracle"]["missing"] == 0


def test_what_fails_is_said(evaluate: Evaluate, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.script = fails(InvalidRequest("The model has no chat template.", "Use few-shot prompts."))
    assert evaluate() == 1
    said = capsys.readouterr()
    assert "without an answer" in said.err
    assert "The model has no chat template." in said.err
    assert said.out.count("Nothing was graded.") == 4


@pytest.mark.parametrize("k", ["0", "21"])
def test_more_alternatives_than_anything_returns_are_refused(evaluate: Evaluate, k: str) -> None:
    assert evaluate("--k", k) == 1


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "[]",
        "{}",
        '{"id": 5}',
        '{"id": "a", "m": "x"}',
        '{"id": "a", "m": true}',
        "[" * 100_000,
        f'{{"id": "a", "m": 1{"0" * 400}}}',
        f'{{"id": "a", "{"m" * 101}": 1}}',
    ],
)
def test_a_file_of_scores_that_cannot_be_read(tmp_path: Path, line: str) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text(f'{{"id": "a", "m": 1.0}}\n{line}\n')
    with pytest.raises(BadFile, match="Line 2 of"):
        peer_scores(f"peer={file}")


@pytest.mark.parametrize(
    "text", ["", "peer", "peer=", "=file", "peer=/no/such/file", "peer=\0", "peer=/", f"{'p' * 101}=x"]
)
def test_a_peer_that_cannot_be_read(text: str) -> None:
    with pytest.raises(BadFile):
        peer_scores(text)


def test_the_models_own_verdict_is_a_method(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate()
    asked, answered = len(engine.requests), engine.script

    def script(request: Request) -> Completion:
        asks = "Is the proposed answer correct?" in request.last_user_text
        return replace(one_word("Yes"), request=request) if asks else answered(request)

    engine.script = script
    assert evaluate("--verdict") == 0
    assert len(engine.requests) == asked + 2 * _ROWS, "one more call for each answer that is graded as a whole"
    assert "| P(True) |" in capsys.readouterr().out
    own = next(each for each in level(tmp_path, "answers, chat")["methods"] if each["method"] == "P(True)")
    assert own["missing"] == 0
    assert "P(True)" in measured_in((tmp_path / "out" / "flags.json").read_bytes()).auroc


def test_most_takes_a_few_prompts_of_each_set_from_all_over_it(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path
) -> None:
    with_weights(engine)
    evaluate()
    asked, kept = len(engine.requests), list((tmp_path / "data" / "flags").iterdir())
    (whole,) = [each.read_bytes() for each in kept]
    assert evaluate("--most", "6") == 0
    assert len(engine.requests) == asked, "these prompts are among those that have answers"
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["asked"] == report["answered"] == 3 * 6
    few = measured_in((tmp_path / "out" / "flags.json").read_bytes())
    assert 0 < len(few.wrong) < len(measured_in(whole).wrong)
    assert [each.read_bytes() for each in kept] == [whole], "the page keeps the measurement on the most facts"
    evaluate()
    assert len(engine.requests) == asked


@pytest.mark.parametrize("most", ["0", "-1"])
def test_less_than_one_prompt_is_refused(evaluate: Evaluate, engine: ScriptedEngine, most: str) -> None:
    assert evaluate("--most", most) == 1
    assert engine.requests == []


def test_a_few_of_the_held_out_part_are_refused(evaluate: Evaluate, engine: ScriptedEngine) -> None:
    assert evaluate("--part", "held-out", "--final", "--most", "5") == 1
    assert engine.requests == []


@pytest.mark.parametrize("most", [1, 2, 7, 10, 11, None])
def test_some_rows_are_spread_evenly(most: int | None) -> None:
    found = some(range(10), most)
    assert len(found) == len(set(found)) == min(most or 10, 10)
    assert found[0] == 0
    assert most is None or max(found) >= 10 - 10 // most - 1


def test_a_gguf_file_without_a_chat_template_has_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("CANDOR_DATA", "CANDOR_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(detection, "DRAWS", 20)
    model = make_gguf(tmp_path / "mine.gguf", fields={"llama.context_length": 4096})
    out = tmp_path / "out"
    assert main(["evaluate-doubts", "--out", str(out), "--model", str(model), "--most", "2"]) == 1
    said = capsys.readouterr()
    assert "2 prompts without an answer." in said.err
    assert "chat template" in said.err
    report = json.loads((out / "report.json").read_text())
    assert (report["asked"], report["answered"], report["alternatives"]) == (6, 4, 20)
    assert report["weights"]
    few_shot = next(each for each in report["levels"] if each["name"] == "answers, few-shot")
    assert few_shot["n"] == 2
    assert re.search(r"n = 2, .* wrong; (1 template|2 templates), (1 entity|2 entities)\.", said.out)


def with_weights(engine: ScriptedEngine) -> None:
    answered = engine.script
    engine.script = lambda request: replace(answered(request), provenance=(("weights", "abc"),))


def test_a_data_directory_that_cannot_be_written_loses_nothing(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with_weights(engine)
    assert evaluate() == 0
    assert len(list((tmp_path / "data" / "flags").iterdir())) == 1
    kept = {name: (tmp_path / "out" / name).read_bytes() for name in ("flags.json", "report.md", "items.jsonl")}
    for name in kept:
        (tmp_path / "out" / name).unlink()
    capsys.readouterr()
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path / "out" / "report.json"))
    assert evaluate() == 0
    said = capsys.readouterr()
    assert "### Answers, few-shot" in said.out
    assert "Candor's data directory can't be written to: Not a directory. Set CANDOR_DATA" in said.err
    assert (tmp_path / "out" / "report.md").read_bytes() == kept["report.md"]
    assert (tmp_path / "out" / "items.jsonl").read_bytes() == kept["items.jsonl"]
    assert measured_in((tmp_path / "out" / "flags.json").read_bytes()).weights == "abc"


def test_a_full_disk_is_told_after_the_tables(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(doubts_command, "write_items", full)
    assert evaluate() == 1
    said = capsys.readouterr()
    assert "### Answers, few-shot" in said.out
    assert "The report cannot be written: No space left on device.\nFix that" in said.err


@pytest.mark.parametrize("out", ["", " ", "a\0b", "file", "file/inside", "/proc/none"])
def test_an_output_folder_that_cannot_be_used_is_refused_first(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    assert evaluate("--out", out) == 1
    assert "as --out" in capsys.readouterr().err
    assert engine.requests == []
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["report.json", "report.md", "items.jsonl", "flags.json", "answers-development.sqlite"]
)
def test_a_folder_in_the_place_of_a_file_is_refused_first(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    assert evaluate() == 1
    assert f"{name} in the output folder can't be overwritten." in capsys.readouterr().err
    assert engine.requests == []


def test_names_of_peers_cannot_leave_their_cell(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate()
    peers = tmp_path / "scores.jsonl"
    name = "\x1b[31mred|pipe\n<b>\ud800"
    peers.write_text("\n".join(json.dumps({"id": each["id"], name: float(each["right"])}) for each in items(tmp_path)))
    capsys.readouterr()
    assert evaluate("--peer", f"a|b\n={peers}") == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    rows = [line for line in said.splitlines() if "red" in line]
    cells = next(line for line in said.splitlines() if line.startswith("| Method")).count("|")
    assert len(rows) == 3, "one for each level that has its items"
    for row in rows:
        assert "a\\|b" in row
        assert "‹U+001B›\\[31mred\\|pipe↵\\<b>\ufffd" in row
        assert row.replace("\\|", "").count("|") == cells
    assert (tmp_path / "out" / "report.md").read_text().strip() == said.strip()


def test_two_peers_of_one_name_are_refused(evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path) -> None:
    file = tmp_path / "scores.jsonl"
    file.write_text('{"id": "a", "m": NaN}')
    assert peer_scores(f"p={file}")[0] == "p"
    assert evaluate("--peer", f"p={file}", "--peer", f"p={file}") == 1
    assert engine.requests == []
