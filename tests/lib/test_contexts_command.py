"""`candor evaluate-contexts`: what it asks, prints and writes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib import answers_in_folder
from lib.cli import main
from lib.contexts.measured import measured_for, measured_in
from lib.contexts.prompting import Order
from lib.contexts.recall import COMBINATIONS
from lib.core.completion import Completion
from lib.core.request import Mode, Request
from lib.engines.base import Capabilities, Unsupported
from lib.engines.local.engine import LocalEngine
from lib.errors import InvalidRequest
from lib.jobs.engine_pool import Engines
from tests.support.scripted_engine import ScriptedEngine, fails, tokens_of
from tests.support.serve_clients import Served

Evaluate = Callable[..., int]
_TOWNS = ("Rome", "Oslo", "Lima", "Cairo")
_QUESTIONS = 24
WEIGHTS = (("weights", "abc"),)


def row(number: int, part: str = "development") -> dict[str, Any]:
    """A question about one of four towns, whose passage says its colour."""
    place = number % len(_TOWNS)
    passages = [{"id": town, "text": f"The flag of {town} is plain."} for town in _TOWNS]
    return {
        "id": f"{part} {number}", "kind": "even" if number % 2 else "odd", "part": part, "right": _TOWNS[place],
        "question": f"What is on flag {number} of {_TOWNS[place]}?", "passages": passages, "expected": ["fine"],
    }  # fmt: skip


ROWS = [row(number, part) for part in ("development", "held-out") for number in range(_QUESTIONS)]


def knows(request: Request) -> Completion:
    """Finds a question likely after the passage about its town, and is sure of drafts from all others."""
    text = request.last_user_text
    right = next((town for town in _TOWNS if f"of {town}?" in text), "")
    helps = text.startswith(f"The flag of {right} ") and "\n\nThe flag" not in text
    prompt = tokens_of(text, -0.1 if helps else -2.0)
    return Completion(request, "m", prompt, tokens_of("fine", -1.0 if helps else -0.1), "fine", provenance=WEIGHTS)


@pytest.fixture
def engine() -> ScriptedEngine:
    made = ScriptedEngine(knows)
    made.weights = dict(WEIGHTS)["weights"]  # type: ignore[attr-defined]
    return made


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Let the command use an engine, and a data directory of its own."""
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path / "data"))
    made = answers_in_folder.Services

    def use(engine: Any) -> None:
        def services(*arguments: Any) -> Any:
            found = made(*arguments)
            found.engines = Engines(lambda _: engine)
            monkeypatch.setattr(found, "capabilities", lambda _, chat: engine.capabilities(chat=chat))
            return found

        monkeypatch.setattr(answers_in_folder, "Services", services)

    return use


@pytest.fixture
def evaluate(use: Callable[[Any], None], engine: ScriptedEngine, tmp_path: Path) -> Evaluate:
    """Run the command on questions about towns with the scripted engine."""
    use(engine)
    file = tmp_path / "towns.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)))
    return lambda *options: main(["evaluate-contexts", "--out", str(tmp_path / "out"), "--data", str(file), *options])


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    return found


def first(folder: Path, group: int = 0) -> dict[str, float]:
    """How often the right passage is first, by scoring."""
    own = report(folder)["groups"][group]["scorings"]
    return {each["scoring"]: each["kept"][0]["value"] for each in own}


def test_tables_files_and_the_measurement(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate() == 0
    said = capsys.readouterr().out
    assert said.strip() == (tmp_path / "out" / "report.md").read_text().strip()
    for text in (
        "### All questions, n = 24",
        "### Odd, n = 12",
        "| Scoring | top 1, saves 75% | top 2, saves 50% | top 3, saves 25% | top 4, saves 0% | top 5, saves 0% |",
        "| Question likelihood | 100% (86% to 100%) |",  # exact, as resampling shows no width
        "| Draft confidence | 0% (0% to 14%) |",
        "| random | 25% | 50% | 75% | 100% (86% to 100%) |",
        "BM25, chosen on development.",
        "- BM25 − Draft confidence: +100\n",
    ):
        assert text in said
    own = first(tmp_path)
    assert own["question"] == own["bm25"] == own["question + BM25"] == 1.0
    assert own["random"] == 0.25
    assert {each["kind"] for each in report(tmp_path)["groups"]} == {"", "even", "odd"}
    lines = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert [each["id"] for each in lines] == [f"development {number}" for number in range(_QUESTIONS)]
    assert lines[0]["scores"]["question"] == pytest.approx([-0.1, -2, -2, -2])
    assert lines[0]["answer"] == "fine"
    made = measured_in((tmp_path / "out" / "measured.json").read_bytes())
    assert (made.weights, made.n, made.part, made.data) == ("abc", 24, "development", "towns.jsonl")
    assert measured_for("abc", Mode.RAW, Order.PASSAGE_FIRST) == made
    assert measured_for("abc", Mode.CHAT, Order.PASSAGE_FIRST) is None


def test_of_equals_the_best_is_the_one_without_calls(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate()
    assert report(tmp_path)["best"] == "bm25"


def test_nothing_is_asked_twice(evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path) -> None:
    assert evaluate("--most", "4") == 0
    per_question = len(_TOWNS) + 1 + len(_TOWNS) + 1  # passages, the answer, and its gain with each and without any
    assert len(engine.requests) == 4 * per_question
    text = (tmp_path / "out" / "report.md").read_text()
    assert evaluate("--most", "4") == 0
    assert len(engine.requests) == 4 * per_question
    assert (tmp_path / "out" / "report.md").read_text() == text
    assert evaluate("--replace") == 0
    assert len(engine.requests) == _QUESTIONS * per_question, "the answers to the first four are taken over"


def test_what_failed_is_asked_again_and_nothing_else(
    evaluate: Evaluate, engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = fails(InvalidRequest("It broke.", "Try again."))
    engine.script = lambda request: (broken if "flag 5" in request.last_user_text else knows)(request)
    assert evaluate() == 1
    said = capsys.readouterr()
    assert "It broke." in said.err
    assert "prompts without an answer" in said.err
    assert "### All questions, n = 24" in said.out
    assert "calls without an answer count as misses" in said.err
    assert measured_for("abc", Mode.RAW, Order.PASSAGE_FIRST) is None
    asked = len(engine.requests)
    engine.script = knows
    assert evaluate() == 0
    assert all("flag 5" in each.last_user_text for each in engine.requests[asked:])
    assert len(engine.requests) - asked == 2 * (len(_TOWNS) + 1)
    assert measured_for("abc", Mode.RAW, Order.PASSAGE_FIRST) is not None


@pytest.mark.parametrize(
    "options", [("--most", "4"), ("--mode", "chat"), ("--no-gain",), ("--order", "question-first")]
)
def test_the_report_of_another_measurement_is_not_overwritten_unasked(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, options: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    evaluate()
    kept, asked = (tmp_path / "out" / "report.json").read_bytes(), len(engine.requests)
    assert evaluate(*options) == 1
    assert "add --replace" in capsys.readouterr().err
    assert (tmp_path / "out" / "report.json").read_bytes() == kept
    assert len(engine.requests) == asked
    assert evaluate(*options, "--replace") == 0
    assert (tmp_path / "out" / "report.json").read_bytes() != kept


@pytest.mark.parametrize("options", [(), ("--replace",)])
def test_a_file_of_others_is_never_overwritten(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.md").write_text("mine")
    assert evaluate(*options) == 1
    assert (tmp_path / "out" / "report.md").read_text() == "mine"
    assert engine.requests == []


def test_the_held_out_part_needs_final_and_takes_what_development_chose(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--part", "held-out") == 1
    assert "add --final" in capsys.readouterr().err
    assert engine.requests == []
    assert evaluate("--part", "held-out", "--final") == 0
    assert "Nothing was chosen on the development part" in capsys.readouterr().err

    def drafts(request: Request) -> Completion:  # on development, drafts are best
        done = knows(request)
        swapped = tokens_of("fine", -0.05 if done.prompt.logprobs[0] > -1 else -3.0)
        return replace(done, generated=swapped, prompt=tokens_of(request.last_user_text))

    engine.script = lambda request: replace(drafts(request), provenance=WEIGHTS)
    assert evaluate("--out", str(tmp_path / "other"), "--no-gain") == 0
    engine.script = knows
    assert evaluate("--part", "held-out", "--final", "--replace") == 0
    found = measured_for("abc", Mode.RAW, Order.PASSAGE_FIRST)
    assert found is not None
    assert (found.part, found.best, found.chosen_on) == ("held-out", "bm25", "development")
    assert "Nothing was chosen" not in capsys.readouterr().err


def test_a_model_without_prompt_logprobs_is_scored_by_drafts(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.can[False] = Capabilities(prompt_scores=False)
    assert evaluate() == 0
    assert "only drafts and BM25 are scored" in capsys.readouterr().err
    assert set(first(tmp_path)) == {"draft", "bm25", "random"}
    assert len(engine.requests) == _QUESTIONS * len(_TOWNS)
    engine.can[True] = Unsupported("The model has no chat template.")
    assert evaluate("--mode", "chat", "--replace") == 1
    assert "The model has no chat template." in capsys.readouterr().err


def test_question_first_scores_the_question_in_prompts_of_its_own(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path
) -> None:
    assert evaluate("--order", "question-first", "--no-gain") == 0
    assert first(tmp_path)["question"] == 1.0
    texts = {each.last_user_text.split()[0] for each in engine.requests if each.max_tokens}
    assert texts == {"Question:"}
    made = measured_in((tmp_path / "out" / "measured.json").read_bytes())
    assert made.order is Order.QUESTION_FIRST


def test_a_template_of_your_own(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "template.txt"
    file.write_text("{passage}\n\nAsked: {question}\nSaid:\n")
    assert evaluate("--template", str(file), "--no-gain") == 0
    assert all(each.last_user_text.endswith("?\nSaid:") for each in engine.requests)
    for text in ("{passage}", "{question} {question} {passage}", "x" * 200_000, "\udcff{question}{passage}"):
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert evaluate("--template", str(file), "--replace") == 1
    assert evaluate("--template", str(tmp_path / "none"), "--replace") == 1
    assert "as --template" in capsys.readouterr().err


def test_scores_of_the_retriever_are_a_scoring(evaluate: Evaluate, tmp_path: Path) -> None:
    rows = [row(number) for number in range(8)]
    for each in rows:
        each["passages"] = [{**one, "score": float(one["id"] == each["right"])} for one in each["passages"]]
    file = tmp_path / "scored.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    assert evaluate("--data", str(file)) == 0
    assert first(tmp_path)["retriever"] == 1.0


def test_full_answers_from_the_best_passages(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate("--no-gain")
    asked = len(engine.requests)

    def closed(request: Request) -> Completion:
        done = knows(request)
        return done if "flag of" in request.last_user_text else replace(done, text="no idea")

    engine.script = closed
    assert evaluate("--no-gain", "--answers") == 0
    assert len(engine.requests) == asked + 4 * _QUESTIONS
    said = capsys.readouterr().out
    assert "| the best passage | 100% (86% to 100%) |" in said
    assert "| no passage (closed book) | 0% (0% to 14%) |" in said
    assert report(tmp_path)["answers"][1] == {
        "from": "the best two", "right": {"value": 1.0, "interval": [pytest.approx(0.85753), 1.0], "n": 24},
    }  # fmt: skip
    rows = [{key: value for key, value in row(1).items() if key != "expected"}]
    (tmp_path / "bare.jsonl").write_text(json.dumps(rows[0]))
    assert evaluate("--data", str(tmp_path / "bare.jsonl"), "--answers", "--replace") == 1
    assert "No question has an expected answer." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "The file is empty."),
        ("Who?", "The file is not JSON."),
        ('{"question": "Who?", "passages": [{"id": "a", "text": "x"}]}', "does not say which passage is right"),
        ('{"question": "Who?", "passages": [], "right": "a"}', "Row 1: There are no passages."),
        ('{"question": "Who?", "right": "a"}', "no list of passages"),
        ('{"question": "Who?", "passages": [{"id": "a", "text": "x"}], "right": "b"}', "no passage with the id"),
        ('{"prompt": "Who?", "passages": [{"id": "a", "text": "x"}], "right": "a"}', "has no question"),
    ],
)
def test_a_file_that_cannot_be_used(
    evaluate: Evaluate, engine: ScriptedEngine, tmp_path: Path, text: str, cause: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "bad.jsonl"
    file.write_text(text)
    assert evaluate("--data", str(file)) == 1
    assert cause in capsys.readouterr().err
    assert engine.requests == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (("--data", "/no/such/file"), "/no/such/file cannot be read: No such file or directory."),
        (("--data", "a\0b"), "cannot be read"),
        (("--part", "test"), "No question is in the part test.\nChoose one of development, held-out as --part."),
        (("--most", "0"), "--most is 0."),
        (("--out", " "), "The output folder has no name."),
        (("--out", "a\0b"), "as --out"),
        (("--out", "/proc/none"), "as --out"),
    ],
)
def test_options_that_are_refused(
    evaluate: Evaluate, engine: ScriptedEngine, options: tuple[str, str], cause: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert evaluate(*options) == 1
    assert cause in capsys.readouterr().err
    assert engine.requests == []


def test_names_in_the_file_are_text(evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row(number), "kind": "\x1b[31m<b>|\n" if number % 2 else "[x](y)", "part": "p"} for number in range(8)]
    (tmp_path / "hostile.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert evaluate("--data", str(tmp_path / "hostile.jsonl")) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "### ‹U+001B›\\[31m\\<b>\\|↵, n = 4" in said
    assert "### \\[x](y), n = 4" in said


def test_few_questions_are_reported_but_not_kept(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--most", "19") == 0
    assert "measurements of 20 questions or more" in capsys.readouterr().out
    assert (tmp_path / "out" / "measured.json").exists()
    assert measured_for("abc", Mode.RAW, Order.PASSAGE_FIRST) is None


def test_a_data_directory_that_cannot_be_written_loses_nothing(
    evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path / "towns.jsonl"))
    assert evaluate() == 0
    assert "Candor's data directory can't be written to: Not a directory. Set CANDOR_DATA" in capsys.readouterr().err
    assert measured_in((tmp_path / "out" / "measured.json").read_bytes()).weights == "abc"


def test_an_imported_model(
    served: Served, nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path / "data"))
    options = ["--endpoint", served.url, "--most", "2", "--model"]
    assert main(["evaluate-contexts", "--out", str(tmp_path / "legacy"), *options, served.arn("legacy")]) == 1
    assert "such models return no logprobs" in capsys.readouterr().err
    options.append(served.arn("current"))
    assert main(["evaluate-contexts", "--out", str(tmp_path / "out"), *options]) == 0
    assert set(first(tmp_path)) == {"question", "draft", "gain", "bm25", "random", *COMBINATIONS}
    capped = ["--out", str(tmp_path / "capped"), *options, "--max-calls", "3"]
    assert main(["evaluate-contexts", *capped]) == 1
    assert "3 calls" in capsys.readouterr().err


def test_the_embedded_model_on_two_questions_of_the_ready_set(
    use: Callable[[Any], None], embedded_engine: LocalEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    use(embedded_engine)
    assert main(["evaluate-contexts", "--out", str(tmp_path / "out"), "--most", "2", "--no-gain"]) == 0
    said = capsys.readouterr().out
    assert "### Look-alike, n = 1" in said
    assert "### Re-worded, n = 1" in said
    assert first(tmp_path)["question"] == 1.0
    lines = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    for each in lines:
        assert np.isfinite(each["scores"]["question"]).all()
        assert min(each["tokens"]) > 5
    made = measured_in((tmp_path / "out" / "measured.json").read_bytes())
    assert made.weights == embedded_engine.weights
