"""The AWS CLI, in every format and generation. It has no command that reads a stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lib.wire.formats import Format
from tests.support.serve_clients import Served, bodies

AWS = Path(sys.executable).with_name("aws")


def aws(served: Served, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    nothing = str(place / "no-such-file")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": nothing,
        "AWS_SHARED_CREDENTIALS_FILE": nothing,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ENDPOINT_URL_BEDROCK": served.url,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": served.url,
        "AWS_ENDPOINT_URL_S3": served.url,
    }
    return subprocess.run(
        [AWS, *arguments], env=environment, cwd=place, capture_output=True, text=True, timeout=120, check=False
    )


def comparable(response: Any) -> Any:
    """A response without the fields that differ between calls."""
    return {name: value for name, value in response.items() if name not in ("id", "created")}


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("legacy", Format.EARLY),
        ("early", Format.EARLY),
        ("current", Format.BEDROCK),
        ("current", Format.OPENAI),
        ("current", Format.CHAT),
    ],
)
def test_invoke_model(served: Served, tmp_path: Path, name: str, form: Format) -> None:
    (tmp_path / "body.json").write_text(json.dumps(bodies(form)))
    done = aws(
        served, tmp_path, "bedrock-runtime", "invoke-model", "--model-id", served.arn(name),
        "--body", "fileb://body.json", "response.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert comparable(json.loads((tmp_path / "response.json").read_text())) == comparable(
        served.invoke(bodies(form), name)
    )


def test_an_error(served: Served, tmp_path: Path) -> None:
    served.faults({"kind": "error", "code": "ModelNotReadyException"})
    done = aws(
        served, tmp_path, "bedrock-runtime", "invoke-model", "--model-id", served.arn(), "--body", "{}", "response.json"
    )
    assert done.returncode != 0
    assert "ValidationException" in done.stderr  # an empty body is refused before the model is asked
    (tmp_path / "body.json").write_text('{"prompt": "abc"}')
    done = aws(
        served, tmp_path, "bedrock-runtime", "invoke-model", "--model-id", served.arn(),
        "--body", "fileb://body.json", "response.json",
    )  # fmt: skip
    assert "ModelNotReadyException" in done.stderr


def test_pages_of_models(served: Served, tmp_path: Path) -> None:
    done = aws(served, tmp_path, "bedrock", "list-imported-models", "--page-size", "1", "--name-contains", "r")
    assert [each["modelName"] for each in json.loads(done.stdout)["modelSummaries"]] == ["current", "early"]


def test_a_tokenizer_is_copied(served: Served, tmp_path: Path, tiny_directory: Path) -> None:
    done = aws(served, tmp_path, "s3", "cp", "s3://candor-123456789012/current/tokenizer.json", ".")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tokenizer.json").read_bytes() == (tiny_directory / "tokenizer.json").read_bytes()
