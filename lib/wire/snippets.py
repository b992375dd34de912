"""Turn a request into code you can run: boto3 or the AWS command line. Neither contains credentials."""

from __future__ import annotations

import json
import pprint
import shlex
from dataclasses import dataclass
from typing import Any

from lib.core.request import Request
from lib.core.sources import BedrockModel, Source
from lib.wire.formats import Format
from lib.wire.requests import encode_request

ANY_ARN = "arn:aws:bedrock:REGION:ACCOUNT:imported-model/MODEL"


def as_boto3(body: dict[str, Any], model: BedrockModel) -> str:
    """A Python script that makes the call and prints the response."""
    region = _region(model)
    profile = f"profile_name={model.profile!r}, " if model.profile else ""
    endpoint = f", endpoint_url={model.endpoint!r}" if model.endpoint else ""
    arguments = f"{profile}region_name={region!r}"
    written = pprint.pformat(body, width=100, sort_dicts=False)
    return (
        "import json\n\nimport boto3\n\n"
        f'client = boto3.Session({arguments}).client("bedrock-runtime"{endpoint})\n'
        f"body = {written}\n"
        f"answer = client.invoke_model(modelId={model.arn!r}, body=json.dumps(body))\n"
        'print(answer["body"].read().decode())\n'
    )


def as_cli(body: dict[str, Any], model: BedrockModel) -> str:
    """A POSIX shell command that makes the call and writes the response to response.json."""
    parts = ["aws", "bedrock-runtime", "invoke-model", "--model-id", model.arn, "--region", _region(model)]
    parts += ["--profile", model.profile] * bool(model.profile)
    parts += ["--endpoint-url", model.endpoint] * bool(model.endpoint)
    parts += ["--cli-binary-format", "raw-in-base64-out", "--body", json.dumps(body), "response.json"]
    return " ".join(shlex.quote(part) for part in parts)


@dataclass(frozen=True)
class Snippets:
    """A request as code."""

    python: str  # with boto3
    command: str  # with the AWS CLI
    placeholder: bool  # whether the model's ARN and region are to be filled in


def snippets_of(request: Request, source: Source | None, answered_in: str = "") -> Snippets:
    """A request as a call to Bedrock.

    source: the model; the call has a placeholder unless it is an imported one.
    answered_in: name of the format in which an imported model has answered; "" for the usual one.
    """
    chosen = Format.CHAT if request.prompt is None else Format.OPENAI
    model = source if isinstance(source, BedrockModel) else None
    if model is not None and answered_in:
        chosen = Format(answered_in)
    body = encode_request(request, chosen)
    target = model or BedrockModel(ANY_ARN, region="REGION")
    return Snippets(as_boto3(body, target), as_cli(body, target), model is None)


def _region(model: BedrockModel) -> str:
    return model.place.region or "us-east-1"
