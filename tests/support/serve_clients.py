"""Real clients of a local Bedrock, in tests and benchmarks."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from lib.core.sources import BedrockModel
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.local.engine import LocalEngine
from lib.engines.remote.retry import RetryPolicy
from lib.models.tokenizer_files import from_built
from lib.serve.app import Service
from lib.serve.limits import Limits
from lib.serve.models import read_models
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.formats import Format

TOKEN = "token-of-the-test"
HASTE = RetryPolicy(cold_timeout=0, throttled_attempts=1, transient_attempts=1)
AUTHORIZATION = {"Authorization": "Bearer anything"}
GENERATIONS = {"legacy": date(2025, 7, 1), "early": date(2025, 9, 1), "current": date(2025, 12, 1)}


def service_of(source: Path | str, engine: LocalEngine, **options: Any) -> Service:
    """A service with a model of each generation, all run by one engine."""
    specs = [f"{name}={source}@{day}" for name, day in GENERATIONS.items()]
    return Service(read_models(specs), {str(source): engine}, token=TOKEN, **options)


@dataclass
class Recorded:
    """A service that records the bodies it receives, and when it first sends something of each stream."""

    service: Service
    bodies: list[Any] = field(default_factory=list)
    streams_began: list[float] = field(default_factory=list)

    @property
    def limits(self) -> Limits:
        """The service's limits."""
        return self.service.limits

    def app(self) -> Any:
        """The application around the service's own."""
        inner = self.service.app()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            began, parts = False, []

            async def received() -> Any:
                message = await receive()
                if message["type"] == "http.request":
                    parts.append(message.get("body", b""))
                    if not message.get("more_body") and scope["path"].startswith("/model/"):
                        self.bodies.append(json.loads(b"".join(parts)))
                return message

            async def sent(message: Any) -> None:
                nonlocal began
                if message.get("body") and not began and scope["path"].endswith("-stream"):
                    began = True
                    self.streams_began.append(time.time())
                await send(message)

            await inner(scope, received, sent)

        return app


@dataclass(frozen=True)
class Served:
    """A service and its address."""

    service: Service
    url: str
    _clients: list[Any] = field(default_factory=list)

    def client(
        self, name: str = "bedrock-runtime", *, attempts: int = 1, pool: int = 10, key: str = "AKIALOCAL"
    ) -> Any:
        """A boto3 client that does not read this machine's settings."""
        session = boto3.Session(aws_access_key_id=key, aws_secret_access_key="secret", region_name="us-east-1")
        retries = {"total_max_attempts": attempts, "mode": "standard"}
        config = Config(retries=retries, max_pool_connections=pool, read_timeout=60)
        self._clients.append(session.client(name, endpoint_url=self.url, config=config))
        return self._clients[-1]

    def close(self) -> None:
        """Close all its clients."""
        for client in self._clients:
            client.close()

    @cached_property
    def runtime(self) -> Any:
        """A client of bedrock-runtime that tries once."""
        return self.client()

    def arn(self, name: str = "current") -> str:
        """The ARN of a model."""
        return next(model.arn for model in self.service.models if model.name == name)

    def invoke(self, body: Any, name: str = "current") -> Any:
        """The response to InvokeModel."""
        data = body if isinstance(body, bytes) else json.dumps(body)
        return json.loads(self.runtime.invoke_model(modelId=self.arn(name), body=data)["body"].read())

    def chunks(self, body: Any, name: str = "current") -> list[Any]:
        """The chunks of InvokeModelWithResponseStream."""
        with self.stream(body, name) as events:
            return [json.loads(event["chunk"]["bytes"]) for event in events]

    def stream(self, body: Any, name: str = "current") -> AbstractContextManager[Any]:
        """The events of InvokeModelWithResponseStream."""
        answer = self.runtime.invoke_model_with_response_stream(modelId=self.arn(name), body=json.dumps(body))
        return closing(answer["body"])

    def engine(
        self,
        form: Format,
        name: str = "",
        patience: RetryPolicy | None = None,
        read_with: Callable[[Tokenizer], Tokenizer | None] = lambda own: own,
    ) -> BedrockEngine:
        """Candor's own client.

        name: of the model; "" for one of the generation that has the format. patience: by default it gives up at once.
        read_with: the tokenizer to give it, made from the model's own.
        """
        local = next(iter(self.service.engines.values()))
        name = name or ("early" if form is Format.EARLY else "current")
        model = BedrockModel(self.arn(name), endpoint=self.url, form=form.name)
        tokenizer = from_built(local.loaded.tokenizer.built, "tiny")
        return BedrockEngine(model, read_with(tokenizer), client=self.runtime, retry_policy=patience or HASTE)

    def call(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """A bare HTTP call: status, headers, body."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, path, body, {**AUTHORIZATION, **headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def control(self, method: str, path: str, wanted: Any = None) -> tuple[int, Any]:
        """A control call."""
        status, _, body = self.call(
            method, f"/_candor/{path}", json.dumps(wanted).encode(), Authorization=f"Bearer {TOKEN}"
        )
        return status, json.loads(body)

    def faults(self, *wanted: dict[str, Any]) -> None:
        """Replace the faults in force."""
        status, answer = self.control("PUT", "faults", list(wanted))
        assert status == 200, answer

    def switches(self, **wanted: str) -> None:
        """Set these switches, with _ for - in their names."""
        status, answer = self.control("PUT", "switches", {k.replace("_", "-"): v for k, v in wanted.items()})
        assert status == 200, answer


def until(condition: Callable[[], bool], patience: float = 20.0) -> bool:
    """Wait until a condition holds. Returns whether it does."""
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def bodies(form: Format, *, streamed: bool = False, length: int = 6, k: int = 2) -> dict[str, Any]:
    """A body in a format that requests all the logprobs it has."""
    if form is Format.CHAT:
        body: dict[str, Any] = {"messages": [{"role": "user", "content": "abc"}], "logprobs": True, "top_logprobs": k}
    elif form is Format.OPENAI:
        body = {"prompt": "abc", "logprobs": k}
    else:
        return {"prompt": "abc", "return_logprobs": True, "max_gen_len": length, "temperature": 0}
    body |= {"max_tokens": length, "temperature": 0}
    return body if streamed else {**body, "prompt_logprobs": k}


def model_of(form: Format) -> str:
    """The generation that answers in a format."""
    return "early" if form is Format.EARLY else "current"


FORMATS: Sequence[Format] = tuple(Format)
