"""Code snippets run, make exactly the request, and contain no credentials."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lib.core.request import Message, Request
from lib.core.sources import BedrockModel
from lib.wire.formats import Format
from lib.wire.requests import decode_request, encode_request
from lib.wire.snippets import ANY_ARN, snippets_of
from tests.support.loopback import Canned, bedrock

ARN = "arn:aws:bedrock:us-west-2:123456789012:imported-model/abcdefgh1234"
NASTY = 'It\'s "quoted", $HOME `id` \\ and\nnew lines — 世界'


@pytest.mark.parametrize("request_", [Request(prompt=NASTY, k=5), Request(messages=(Message("user", NASTY),))])
def test_the_script_makes_the_request(request_: Request, tmp_path: Path) -> None:
    canned = Canned(response={"ok": 1})
    with bedrock(canned) as url:
        code = snippets_of(request_, BedrockModel(ARN, endpoint=url))
        script, line = code.python, code.command
        environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "secret-example", "PATH": "/usr/bin:/bin"}
        run = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
    assert json.loads(run.stdout) == {"ok": 1}
    form = Format.CHAT if request_.prompt is None else Format.OPENAI
    assert canned.bodies == [encode_request(request_, form)]
    assert canned.paths == [f"/model/{ARN}/invoke"]
    words = shlex.split(line)
    assert json.loads(words[words.index("--body") + 1]) == canned.bodies[0]
    assert words[words.index("--region") + 1] == "us-west-2"
    assert "secret-example" not in script + line


def test_the_region_comes_from_the_arn() -> None:
    """The region chosen in the sidebar doesn't matter."""
    arn = "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:imported-model/abc123def456"
    code = snippets_of(Request(prompt="x"), BedrockModel(arn, region="us-east-1"))
    assert "--region us-gov-west-1" in code.command
    assert "region_name='us-gov-west-1'" in code.python


def test_without_a_model_there_is_a_placeholder() -> None:
    code = snippets_of(Request(prompt="x"), None)
    assert code.placeholder
    assert ANY_ARN in code.python
    assert ANY_ARN in code.command


@pytest.mark.parametrize("form", list(Format))
def test_a_request_survives_encoding(form: Format) -> None:
    chat = form is Format.CHAT
    request = Request(
        prompt=None if chat else "x",
        messages=(Message("system", "s"), Message("user", "x")) if chat else (),
        max_tokens=7,
        temperature=0.5,
        top_p=0.9,
        stop=(".",),
        k=4,
    )
    back = decode_request(encode_request(request, form), form)
    names = ("prompt", "messages", "max_tokens", "temperature", "top_p", "stop")
    assert [getattr(back, name) for name in names] == [getattr(request, name) for name in names]
    assert back.prompt_scores is form.scores_prompts
    assert back.k == {Format.EARLY: 1, Format.BEDROCK: 1, Format.OPENAI: 4, Format.CHAT: 5}[form]
