"""The examples of docs/local-bedrock-clients.md, run verbatim with the clients they are written for."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from lib.cli import main
from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.models.tokenizer_files import tokenizer_from_uploads
from lib.serve.app import Service
from lib.serve.models import DEFAULT_MODELS, read_models
from lib.serve.server import close_engines, in_thread, new_token, open_engines
from tests.support.paths import ROOT
from tests.support.serve_clients import Served

pytestmark = pytest.mark.model

PAGE = ROOT / "docs" / "local-bedrock-clients.md"
URL = "http://127.0.0.1:9911"  # as documented
BUCKET = "imported-models"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
PROMPT, QUESTION = "The capital of France is", "What is the capital of France?"
_ROUNDING = 1e-3  # nats; prompts that share a pass, or begin alike, are added up in another order

Run = Callable[[str, str], str]


def examples() -> dict[str, tuple[str, str]]:
    """The language and the code of each fenced block, by the heading above it."""
    found = re.findall(r"^## ([^\n]+)\n+```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return {heading: (language, code) for heading, language, code in found}


@pytest.fixture(scope="module")
def local() -> Iterator[Served]:
    """The models that `python -m lib serve` has, on a free port."""
    models = read_models(DEFAULT_MODELS, s3=f"s3://{BUCKET}/of/tests")
    engines = open_engines(models)
    try:
        service = Service(models, engines, token=new_token())
        with in_thread(service) as url, closing(Served(service, url)) as made:
            yield made
    finally:
        close_engines(engines.values())


@pytest.fixture
def proxy() -> Iterator[str]:
    """A proxy that nobody may use: a client that wants to go anywhere but to this machine is found out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            connection, _ = listener.accept()
            asked = connection.recv(1000)
            connection.close()
            pytest.fail(f"The client wanted to go elsewhere: {asked!r}")


@pytest.fixture
def run(local: Served, proxy: str, tmp_path: Path) -> Run:
    """Runs a program, pointed at the server, with nobody's credentials, and returns what it prints."""
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "no-such-file"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-such-file"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        **{f"{kind}_PROXY": proxy for kind in ("HTTP", "HTTPS")},
        "NO_PROXY": "127.0.0.1",
    }

    def of(language: str, code: str) -> str:
        command = {"python": [sys.executable, "-c"], "sh": ["bash", "-euc"]}[language]
        code = code.replace(URL, local.url)
        done = subprocess.run(
            [*command, code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return of


def answer(local: Served, **request: Any) -> Completion:
    """What the model says when no client and no server stands between."""
    (done,) = local.service.engines["embedded"].complete(Request(**request))
    return done


def expect_same(entries: list[dict[str, float]], done: Completion) -> None:
    """The entries, as BedrockCompletion has them, name the answer's tokens, and their logprobs."""
    assert [int(token) for entry in entries for token in entry] == done.generated.ids.tolist()
    logprobs = [logprob for entry in entries for logprob in entry.values()]
    assert logprobs == pytest.approx(done.generated.logprobs, abs=_ROUNDING)


def test_every_example_asks_the_model_current(local: Served) -> None:
    found = examples()
    assert list(found) == ["boto3", "AWS CLI", "litellm", "LangChain"]
    for _, code in found.values():
        assert URL in code
        assert set(re.findall(r"arn:[\w:/-]+", code)) == {local.arn("current")}


def test_boto3(local: Served, run: Run) -> None:
    lines = run(*examples()["boto3"]).splitlines()
    done = answer(local, prompt=PROMPT, max_tokens=5)
    text, rows = lines[: -len(done.generated)], lines[-len(done.generated) :]
    assert "\n".join(text) == done.text
    assert "Paris" in done.text
    expect_same([{token: math.log(float(p))} for token, p in map(str.split, rows)], done)


def test_aws_cli(local: Served, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Models are listed, an answer is saved, and what is saved can be decoded."""
    out = run(*examples()["AWS CLI"])
    newest_first = sorted(local.service.models, key=lambda model: (model.imported, model.name), reverse=True)
    assert out.splitlines()[: len(newest_first)] == [f"{model.name}\t{model.arn}" for model in newest_first]
    done = answer(local, prompt=PROMPT, max_tokens=5)
    saved = (tmp_path / "response.json").read_text()
    assert out.endswith(saved)
    response = json.loads(saved)
    assert response["generation"] == done.text
    expect_same(response["logprobs"], done)
    assert main(["decode", str(tmp_path / "response.json"), "--tokenizer", "embedded"]) == 0
    shown = [text for entry in json.loads(capsys.readouterr().out)["logprobs"] for text, _ in entry.values()]
    assert "".join(shown) == done.text


def test_litellm(local: Served, run: Run) -> None:
    """The answer of a chat, with the likeliest alternatives of every token."""
    done = answer(local, messages=(Message("user", QUESTION),), max_tokens=8, k=2)
    text, *rows = run(*examples()["litellm"]).splitlines()
    assert text == done.text
    assert "Paris" in text
    alternatives = [ast.literal_eval(row) for row in rows]
    assert [len(each) for each in alternatives] == [2] * len(done.generated)
    chosen = [each[0] for each in alternatives]
    assert "".join(token for token, _ in chosen).removesuffix("<|im_end|>") == text
    assert [logprob for _, logprob in chosen] == pytest.approx(done.generated.logprobs, abs=_ROUNDING)


LITELLM = """
import json, litellm

def ask(form, **options):
    return litellm.completion(
        model=f"bedrock/{form}/%(arn)s", aws_bedrock_runtime_endpoint="%(url)s", max_tokens=8, temperature=0,
        messages=[{"role": "user", "content": "%(question)s"}], **options,
    )

def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

whole = ask("qwen3", return_logprobs=True)
found = {
    "qwen3": whole.choices[0].message.content,
    "logprobs": getattr(whole.choices[0], "logprobs", None),
    "qwen3 streamed": text(ask("qwen3", stream=True)),
    "openai streamed": text(ask("openai", stream=True)),
    "prompt_logprobs": ask("openai", prompt_logprobs=2).prompt_logprobs,
}
print(json.dumps(found))
"""


@pytest.mark.soak
def test_other_forms_of_litellm(local: Served, run: Run) -> None:
    """What the page says of litellm's other forms is so."""
    values = {"arn": local.arn("current"), "url": URL, "question": QUESTION}
    found = json.loads(run("python", LITELLM % values))
    chatml = answer(local, prompt=f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n", max_tokens=8)
    assert found["qwen3"] == found["qwen3 streamed"] == chatml.text
    assert found["logprobs"] is None
    assert found["openai streamed"] == ""
    chat = answer(local, messages=(Message("user", QUESTION),), max_tokens=8, k=2)
    ids = chat.prompt.ids.tolist()
    scored = [entry[str(token)]["logprob"] for token, entry in zip(ids[1:], found["prompt_logprobs"][1:], strict=True)]
    assert scored == pytest.approx(chat.prompt.logprobs[1:], abs=_ROUNDING)


def test_langchain(local: Served, run: Run) -> None:
    done = answer(local, prompt=f"[INST] {PROMPT} [/INST]", max_tokens=5)
    *text, logprobs = run(*examples()["LangChain"]).splitlines()
    assert "\n".join(text) == done.text
    expect_same(ast.literal_eval(logprobs), done)


LANGCHAIN = """
import json
from langchain_aws import ChatBedrock

def ask(**options):
    return ChatBedrock(
        model_id="%(arn)s", endpoint_url="%(url)s", region_name="us-east-1", max_tokens=8, temperature=0, **options
    )

chat = ask(provider="openai", model_kwargs={"logprobs": True, "top_logprobs": 2})
whole = chat.invoke("%(question)s")
plain = ask(provider="meta", model_kwargs={"return_logprobs": True}).invoke("%(prompt)s")
found = {
    "openai": whole.content,
    "openai streamed": "".join(chunk.content for chunk in chat.stream("%(question)s")),
    "meta": plain.content,
    "logprobs": [message.response_metadata.get("logprobs") for message in (whole, plain)],
}
print(json.dumps(found))
"""


@pytest.mark.soak
def test_other_forms_of_langchain(local: Served, run: Run) -> None:
    """What the page says of LangChain's other forms is so."""
    values = {"arn": local.arn("current"), "url": URL, "question": QUESTION, "prompt": PROMPT}
    found = json.loads(run("python", LANGCHAIN % values))
    assert found["openai"] == found["openai streamed"]
    assert found["openai"] == answer(local, messages=(Message("user", QUESTION),), max_tokens=8).text
    assert found["meta"] == answer(local, prompt=f"[INST] {PROMPT} [/INST]", max_tokens=8).text
    assert found["logprobs"] == [None, None]


def test_the_tokenizer_comes_from_s3(local: Served) -> None:
    """The ARN alone leads a client to the files, and they decode the ids in the model's responses."""
    s3 = local.client("s3")
    model = local.client("bedrock").get_imported_model(modelIdentifier=local.arn("current"))
    uri = model["modelDataSource"]["s3DataSource"]["s3Uri"]
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    files = {
        PurePosixPath(key).name: s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in keys
        if PurePosixPath(key).name in TOKENIZER_FILES
    }
    assert sorted(files) == sorted(TOKENIZER_FILES)
    tokenizer = tokenizer_from_uploads(files)
    response = local.invoke({"prompt": PROMPT, "max_gen_len": 10, "temperature": 0, "return_logprobs": True})
    ids = [int(token) for entry in response["logprobs"] for token in entry]
    assert len(ids) == response["generation_token_count"] == 10
    assert tokenizer.vocabulary.decode(np.array(ids)) == response["generation"]
    assert len(tokenizer.readings(Request(prompt=PROMPT))[0]) == response["prompt_token_count"]
