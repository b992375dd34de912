"""What the documents say of the local Bedrock is so."""

from __future__ import annotations

import re

import pytest

from lib.serve.behaviours import QUESTIONS
from lib.serve.faults import KINDS, read_fault
from lib.serve.models import DEFAULT_MODELS, read_models
from lib.serve.service_errors import ERRORS
from tests.support.paths import ROOT
from tests.support.serve_clients import Served

TEXT = (ROOT / "docs" / "local-bedrock.md").read_text()


def test_every_fault_is_listed_as_it_can_be_written() -> None:
    rows = re.findall(r"^\| `([a-z-]+(?::[^`]+)?)` \|", TEXT, re.MULTILINE)
    found = [read_fault(row).kind for row in rows if row.partition(":")[0] in KINDS]
    assert found == list(KINDS)


def test_every_switch_is_listed_with_its_settings() -> None:
    for name, question in QUESTIONS.items():
        settings = ", ".join(f"`{each}`" for each in question.settings)
        assert f"| `{name}` | {question.text} | {settings} |" in TEXT


@pytest.mark.parametrize("name", [name for name in ERRORS if not name.startswith(("Missing", "Unknown"))])
def test_every_error_is_listed(name: str) -> None:
    assert name in TEXT


def test_the_default_models_are_listed() -> None:
    for model in read_models(DEFAULT_MODELS):
        assert f"| `{model.name}` | {model.imported:%Y-%m-%d} |" in TEXT


def test_the_readmes_example(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = [block for block in blocks if "boto3" in block]
    (current,) = [model for model in read_models(DEFAULT_MODELS) if model.name == "current"]
    assert current.arn in block
    exec(block.replace("http://127.0.0.1:9911", served.url).replace(current.arn, served.arn()) + "\nclient.close()", {})
    printed = capsys.readouterr().out
    assert re.search(r"\[(-\d+\.\d+(e-\d+)?(, )?){5}\]", printed)
