"""The exported function prunes as Candor does, at the local Bedrock with boto3, and holds no text but as a string."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.contexts.passages import Passage
from lib.contexts.prompting import TEMPLATES, Order
from lib.contexts.pruning import Keep, Rule
from lib.contexts.recipe import as_python
from lib.contexts.scorings import BM25, DRAFT, QUESTION
from lib.core.request import Mode
from lib.core.sources import BedrockModel
from lib.errors import InvalidRequest
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Jobs
from lib.jobs.run_plan import run_plan
from lib.studies.contexts import ContextsPlan
from lib.studies.contexts_outcome import outcome_of
from lib.wire.formats import Format
from tests.support.serve_clients import Served

TEMPLATE = TEMPLATES[Order.PASSAGE_FIRST]
MODEL = BedrockModel("arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl")
PASSAGES = ("A cab is bad.", "abba cabbed", "What is bad {question}? bad", "bead a dace", "deaf")
QUESTION_TEXT = "What is bad?"
HOSTILE = ['"""', "'''", "\\", '"); import os; os._exit(1)  # ', "@MODEL@", "\0", "\u202e", "{}", "%s", "\n\n"]
TEXTS = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20)), max_size=6).map("".join).filter(
    lambda text: "{passage}" not in text and "{question}" not in text
)  # fmt: skip


def exported(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(code, "recipe.py", "exec"), names)
    return names


@pytest.mark.parametrize("keep", [Keep(Rule.TOP, 2), Keep(Rule.THRESHOLD, -5.0)])
@pytest.mark.parametrize(
    ("scoring", "wire_format"),
    [
        (QUESTION, Format.OPENAI),
        (QUESTION, Format.CHAT),
        *((DRAFT, each) for each in Format if each is not Format.EARLY),
    ],
)
def test_it_keeps_what_candor_keeps(served: Served, scoring: str, wire_format: Format, keep: Keep) -> None:
    plan = ContextsPlan(
        BedrockModel(served.arn()),
        QUESTION_TEXT,
        tuple(Passage(str(place), text) for place, text in enumerate(PASSAGES)),
        mode=Mode.CHAT if wire_format is Format.CHAT else Mode.RAW,
        scorings=(scoring,),
        by=scoring,
        keep=keep,
        draft_tokens=6,
        prompt_scores=wire_format is not Format.BEDROCK,
    )
    job = Jobs().start(run_plan(Engines(lambda _: served.engine(wire_format)), plan), plan)
    assert job.wait(60)
    assert job.result is not None
    found = outcome_of(plan, job.result)
    code = as_python(BedrockModel(served.arn()), TEMPLATE, scoring, keep, wire_format=wire_format, draft_tokens=6)
    kept = exported(code)["prune"](served.client(), QUESTION_TEXT, list(PASSAGES))
    assert [text for _, text in kept] == [PASSAGES[place] for place in found.kept]
    assert [value for value, _ in kept] == pytest.approx(
        [found.scored.scores[scoring][place] for place in found.kept], abs=1e-3
    )


@pytest.mark.parametrize("wire_format", [Format.OPENAI, Format.CHAT])
def test_a_question_that_the_template_has_too_is_found(served: Served, wire_format: Format) -> None:
    template, question = "{passage} {question} What is bad? A cab", "bad"
    mode = Mode.CHAT if wire_format is Format.CHAT else Mode.RAW
    passages = (Passage("1", PASSAGES[0]), Passage("2", PASSAGES[3]))
    plan = ContextsPlan(BedrockModel(served.arn()), question, passages, template, mode, scorings=(QUESTION,))
    job = Jobs().start(run_plan(Engines(lambda _: served.engine(wire_format)), plan), plan)
    assert job.wait(60)
    assert job.result is not None
    code = as_python(BedrockModel(served.arn()), template, QUESTION, Keep(), wire_format=wire_format)
    score = exported(code)["score"]
    own = [score(served.client(), question, each.text) for each in passages]
    assert own == pytest.approx(outcome_of(plan, job.result).scored.scores[QUESTION].tolist(), abs=1e-3)


def test_a_question_that_is_not_found_is_said(served: Served) -> None:
    score = exported(as_python(MODEL, TEMPLATE, QUESTION, Keep(), wire_format=Format.OPENAI))["score"]

    class Client:
        def invoke_model(self, **_: Any) -> Any:
            body = '{"prompt": "ab", "max_tokens": 1, "prompt_logprobs": 1}'
            return served.runtime.invoke_model(modelId=served.arn(), body=body)

    with pytest.raises(ValueError, match="not found"):
        score(Client(), "What?", "x")


@given(TEXTS, TEXTS, TEXTS)
def test_no_text_of_a_template_is_code(before: str, between: str, after: str) -> None:
    template = f"{before}{{passage}}{between}{{question}}{after}"
    code = as_python(MODEL, template, QUESTION, Keep(), wire_format=Format.OPENAI)
    assert code.isascii()
    names = exported(code)
    assert (names["BEFORE"], names["BETWEEN"], names["AFTER"]) == (before, between, after)
    plain = as_python(MODEL, "a{passage}b{question}c", QUESTION, Keep(), wire_format=Format.OPENAI)

    def shape(source: str) -> list[str]:
        return [type(node).__name__ for node in ast.walk(ast.parse(source))]

    assert shape(code) == shape(plain)


@pytest.mark.parametrize("wire_format", list(Format))
@pytest.mark.parametrize("keep", [Keep(Rule.TOP, 3), Keep(Rule.THRESHOLD, -1.5)])
def test_it_is_formatted_as_ruff_would(wire_format: Format, keep: Keep, tmp_path: Path) -> None:
    scorings = [DRAFT, *[QUESTION] * (not wire_format.is_bedrock)]
    for each in scorings:
        code = as_python(MODEL, TEMPLATE, each, keep, wire_format=wire_format)
        assert len(code.splitlines()) < 90
        (tmp_path / f"{each}.py").write_text(code)
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run([ruff, "format", "--isolated", "--diff", "."], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_what_cannot_be_exported_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="prompt logprobs"):
        as_python(MODEL, TEMPLATE, QUESTION, Keep(), wire_format=Format.BEDROCK)
    with pytest.raises(InvalidRequest, match="question likelihood"):
        as_python(MODEL, TEMPLATE, BM25, Keep(), wire_format=Format.OPENAI)
    with pytest.raises(InvalidRequest, match="budget"):
        as_python(MODEL, TEMPLATE, DRAFT, Keep(Rule.BUDGET, 100), wire_format=Format.OPENAI)
    with pytest.raises(InvalidRequest, match="before the question"):
        as_python(MODEL, TEMPLATES[Order.QUESTION_FIRST], DRAFT, Keep(), wire_format=Format.OPENAI)
