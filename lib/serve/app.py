"""The HTTP interface of the local Bedrock: runtime, control plane, S3, and the calls that set faults and switches."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.core.completion import Completion
from lib.core.stream import fold
from lib.engines.local.engine import LocalEngine
from lib.errors import CandorError
from lib.serve import control_plane, s3
from lib.serve.async_bridge import all_results, results, submit, unless_disconnected
from lib.serve.behaviours import Behaviours
from lib.serve.faults import CallFacts, Faults, fault_from
from lib.serve.format_selection import RunningModel, body_object
from lib.serve.guard import Guard, caller_of, request_id
from lib.serve.limits import Limits
from lib.serve.models import ImportedModel, find
from lib.serve.request_body import parse_json, read_body
from lib.serve.request_parsing import parse_request
from lib.serve.responses import CallContext, Chunks, response_of, to_json
from lib.serve.service_errors import Refusal, in_service_words, refusal_for
from lib.serve.stream_messages import messages
from lib.serve.transport import StreamedBody, error_response, stream_body, whole_body

_LARGE = 1_000_000  # bytes; larger bodies are parsed one at a time, because that takes memory and a thread
_IDENTIFIER = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:imported-model/[a-z0-9]{12}")
_JSON_BODY = {"X-Amzn-Bedrock-Content-Type": "application/json"}


@dataclass
class Service:
    """The local Bedrock: its models, its settings, and its state."""

    models: Sequence[ImportedModel]
    engines: Mapping[str, LocalEngine]  # by the `source` of the models they run
    token: str  # required by control calls
    faults: Faults = field(default_factory=Faults)
    behaviours: Behaviours = field(default_factory=Behaviours)
    hosts: frozenset[str] = frozenset()  # host names it answers to, besides those of loopback
    concurrency: int = 64  # runtime calls at once; more are throttled
    limits: Limits = field(default_factory=Limits)
    under_way: int = 0  # runtime calls being answered
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))  # held to parse a large body

    def app(self) -> ASGIApp:
        """The service as an ASGI application."""
        routes = [
            Route("/model/{model:path}/invoke", self.invoke, methods=["POST"]),
            Route("/model/{model:path}/invoke-with-response-stream", self.stream, methods=["POST"]),
            Route("/imported-models", self.list_models, methods=["GET"]),
            Route("/imported-models/{model:path}", self.get_model, methods=["GET"]),
            Route("/_candor/state", self.state, methods=["GET"]),
            Route("/_candor/faults", self.set_faults, methods=["PUT"]),
            Route("/_candor/switches", self.set_switches, methods=["PUT"]),
            Route("/_candor/health", _health, methods=["GET"]),
        ]
        handlers: dict[Any, Any] = {
            404: _unknown, 405: _unknown, Refusal: _refused, CandorError: _refused, ClientDisconnect: _disconnected,
            Exception: _refused,
        }  # fmt: skip
        return Guard(Starlette(routes=routes, exception_handlers=handlers), self)

    async def invoke(self, request: Request) -> Response:
        """InvokeModel."""
        began = time.monotonic()
        call, engine = await self._call(request, began, streamed=False)
        work = all_results(engine, call.parsed.request, caller_of(request))
        samples = fold(await unless_disconnected(request, work))
        body = await asyncio.to_thread(lambda: to_json(response_of(samples, call)))
        await _wait_latency(began, call)
        headers = {**_JSON_BODY, **request_id(request)}
        if self.behaviours["count-headers"] == "present":
            headers |= _count_headers(samples, began)
        return StreamedBody(whole_body(body, call.faults), headers, "application/json", len(body))

    async def stream(self, request: Request) -> Response:
        """InvokeModelWithResponseStream."""
        began = time.monotonic()
        call, engine = await self._call(request, began, streamed=True)
        ticket = await submit(engine, call.parsed.request, caller_of(request))
        deltas = results(ticket)
        try:
            # Waited for here, because an error before the first chunk has its own status.
            first = await unless_disconnected(request, anext(deltas))
            await _wait_latency(began, call)
        except BaseException:
            await deltas.aclose()  # type: ignore[attr-defined]
            raise
        sent = messages(call, Chunks(call, began), first, deltas)
        headers = {**_JSON_BODY, **request_id(request)}
        return StreamedBody(stream_body(sent, call.faults), headers, "application/vnd.amazon.eventstream")

    async def _call(self, request: Request, began: float, *, streamed: bool) -> tuple[CallContext, LocalEngine]:
        """The parsed call with the faults it meets, and the engine to run it on. Raises Refusal."""
        model = self._model(request.path_params["model"])
        body = await read_body(request, self.limits)
        if refusal := self.faults.refuses(model.name):
            probing = self.behaviours["cold-probe"] == "formats" and body_object(body) == {}
            if refusal != "ModelNotReadyException" or not probing:
                raise Refusal(refusal)
        running = RunningModel(model, self.engines[model.source], self.behaviours)
        async with self.large if len(body) > _LARGE else nullcontext():
            parsed = await asyncio.to_thread(parse_request, body, running, streamed=streamed)
        facts = CallFacts(model.name, parsed.wire_format, "stream" if streamed else "invoke")
        call = CallContext(parsed, model, self.behaviours, self.faults.meets(facts))
        if (fault := call.faults.get("error")) is not None:
            await _wait_latency(began, call)
            raise refusal_for(fault.code, fault.message)
        return call, running.engine

    def _model(self, identifier: str) -> ImportedModel:
        if not _IDENTIFIER.fullmatch(identifier):
            raise Refusal("ValidationException", "The provided model identifier is invalid.")
        model = find(self.models, identifier, by_name=False)
        if model is None:
            raise Refusal("ResourceNotFoundException", "Could not find the model with the specified identifier.")
        return model

    async def list_models(self, request: Request) -> Response:
        """ListImportedModels."""
        found = control_plane.list_models(self.models, self.engines, request.query_params)
        return JSONResponse(found, headers=request_id(request))

    async def get_model(self, request: Request) -> Response:
        """GetImportedModel."""
        found = control_plane.get_model(self.models, self.engines, request.path_params["model"])
        return JSONResponse(found, headers=request_id(request) | s3.SERVES_S3)

    async def files(self, scope: Scope, receive: Receive, send: Send) -> None:
        """S3, with the models' tokenizer files."""
        request = Request(scope, receive)
        response = await s3.respond(request, self.models, self.engines, request_id(request))
        await response(scope, receive, send)

    async def state(self, request: Request) -> Response:
        """The models, faults and switches, and how many calls are being answered."""
        return JSONResponse(
            {
                "models": [{"name": model.name, "arn": model.arn} for model in self.models],
                "faults": [asdict(fault) for fault in self.faults.all],
                "switches": self.behaviours.all(),
                "under_way": self.under_way,
            },
            headers=request_id(request),
        )

    async def set_faults(self, request: Request) -> Response:
        """Replace the faults in force."""
        wanted = parse_json(await read_body(request, self.limits))
        if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
            raise Refusal("ValidationException", "Give a list of faults, each an object with its kind.")
        self.faults.set([fault_from(each) for each in wanted])
        return await self.state(request)

    async def set_switches(self, request: Request) -> Response:
        """Set the named switches, and reset all others to their defaults."""
        wanted = parse_json(await read_body(request, self.limits))
        if not isinstance(wanted, dict) or not all(isinstance(each, str) for each in wanted.values()):
            raise Refusal("ValidationException", "Give an object of switches and their settings.")
        self.behaviours = Behaviours(wanted)
        return await self.state(request)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _unknown(request: Request, _: Exception) -> Response:
    return error_response(Refusal("UnknownOperationException"), request_id(request))


async def _refused(request: Request, error: Exception) -> Response:
    return error_response(in_service_words(error), request_id(request))


async def _disconnected(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # the client is gone and won't read it


async def _wait_latency(began: float, call: CallContext) -> None:
    """Wait until a response may start."""
    if (fault := call.faults.get("latency")) is not None:
        await asyncio.sleep(began + fault.seconds - time.monotonic())


def _count_headers(samples: Sequence[Completion], began: float) -> dict[str, str]:
    return {
        "X-Amzn-Bedrock-Invocation-Latency": str(round((time.monotonic() - began) * 1000)),
        "X-Amzn-Bedrock-Input-Token-Count": str(len(samples[0].prompt)),
        "X-Amzn-Bedrock-Output-Token-Count": str(sum(len(done.generated) for done in samples)),
    }
