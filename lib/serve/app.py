"""The HTTP side of the local Bedrock: runtime, control plane, and the calls that set faults and switches."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.core.stream import Delta, fold
from lib.engines.local.engine import LocalEngine
from lib.errors import CandorError
from lib.serve import control_plane, s3
from lib.serve.async_bridge import results, submit
from lib.serve.behaviours import Switches
from lib.serve.event_stream import chunk_frame, exception_frame
from lib.serve.faults import CallFacts, Faults, fault_from
from lib.serve.limits import Limits
from lib.serve.models import ImportedModel, find
from lib.serve.request_parsing import Ask, read_body, understand
from lib.serve.responses import Chunks, Setting, whole, written
from lib.serve.service_errors import Refusal, in_service_words, refusal_for
from lib.serve.transport import Outgoing, as_cut, as_pieces, refused, until_gone

MAX_BODY = 25_000_000  # bytes; Bedrock's own limit
_LARGE = 1_000_000  # bytes of a body from which on one is read at a time, as that takes memory and a thread
_IDENTIFIER = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:imported-model/[a-z0-9]{12}")
_CREDENTIAL = re.compile(r"Credential=([^/,\s]{1,128})/")

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass
class Service:
    """What the local Bedrock is made of.

    engines: by the source of the models that they run. token: what control calls have to show. hosts: names by which
    it may be addressed, beside its own addresses on loopback. concurrency: calls at once. limits: how long it waits for
    a client.
    """

    models: Sequence[ImportedModel]
    engines: Mapping[str, LocalEngine]
    token: str
    faults: Faults = field(default_factory=Faults)
    switches: Switches = field(default_factory=Switches)
    hosts: frozenset[str] = frozenset()
    concurrency: int = 64
    limits: Limits = field(default_factory=Limits)
    under_way: int = 0
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

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
            404: _unknown, 405: _unknown, Refusal: _refused, CandorError: _refused, ClientDisconnect: _left,
            Exception: _refused,
        }  # fmt: skip
        return _Guard(Starlette(routes=routes, exception_handlers=handlers), self)

    async def invoke(self, request: Request) -> Response:
        """InvokeModel."""
        began = time.monotonic()
        setting, engine = await self._understood(request, began, streamed=False)
        samples = fold(await _unless_gone(request, _everything(engine, setting.ask, _owner(request))))
        body = await asyncio.to_thread(lambda: written(whole(samples, setting)))
        await _until(began, setting)
        headers = {"X-Amzn-Bedrock-Content-Type": "application/json", **_ids(request)}
        if self.switches["count-headers"] == "present":
            headers |= {
                "X-Amzn-Bedrock-Invocation-Latency": str(round((time.monotonic() - began) * 1000)),
                "X-Amzn-Bedrock-Input-Token-Count": str(len(samples[0].prompt)),
                "X-Amzn-Bedrock-Output-Token-Count": str(sum(len(done.generated) for done in samples)),
            }
        return Outgoing(as_pieces(body, setting.faults), headers, "application/json", len(body))

    async def stream(self, request: Request) -> Response:
        """InvokeModelWithResponseStream."""
        began = time.monotonic()
        setting, engine = await self._understood(request, began, streamed=True)
        ticket = await submit(engine, setting.ask.request, _owner(request))
        deltas = results(ticket)
        try:
            first = await _unless_gone(request, anext(deltas))  # an error before the first chunk has its own status
            await _until(began, setting)
        except BaseException:
            await deltas.aclose()  # type: ignore[attr-defined]
            raise
        frames = _frames(setting, Chunks(setting, began), first, deltas)
        headers = {"X-Amzn-Bedrock-Content-Type": "application/json", **_ids(request)}
        return Outgoing(as_cut(frames, setting.faults), headers, "application/vnd.amazon.eventstream")

    async def _understood(self, request: Request, began: float, *, streamed: bool) -> tuple[Setting, LocalEngine]:
        """What is asked, of whom, and what shall go wrong. Raises Refusal."""
        model = self._model(request.path_params["model"])
        body = await _body(request, self.limits)
        if refusal := self.faults.refuses(model.name):
            probing = self.switches["cold-probe"] == "formats" and read_body(body) == {}
            if refusal != "ModelNotReadyException" or not probing:
                raise Refusal(refusal)
        engine, switches = self.engines[model.source], self.switches
        async with self.large if len(body) > _LARGE else nullcontext():
            ask = await asyncio.to_thread(understand, body, model, engine, switches, streamed=streamed)
        facts = CallFacts(model.name, ask.form, "stream" if streamed else "invoke")
        setting = Setting(ask, model, switches, self.faults.meets(facts))
        if (fault := setting.faults.get("error")) is not None:
            await _until(began, setting)
            raise refusal_for(fault.code, fault.message)
        return setting, engine

    def _model(self, identifier: str) -> ImportedModel:
        if not _IDENTIFIER.fullmatch(identifier):
            raise Refusal("ValidationException", "The provided model identifier is invalid.")
        model = find(self.models, identifier, by_name=False)
        if model is None:
            raise Refusal("ResourceNotFoundException", "Could not find the model with the specified identifier.")
        return model

    async def list_models(self, request: Request) -> Response:
        """ListImportedModels."""
        return JSONResponse(
            control_plane.listed(self.models, self.engines, request.query_params), headers=_ids(request)
        )

    async def get_model(self, request: Request) -> Response:
        """GetImportedModel."""
        found = control_plane.get(self.models, self.engines, request.path_params["model"])
        return JSONResponse(found, headers=_ids(request) | s3.SERVES_S3)

    async def files(self, scope: Scope, receive: Receive, send: Send) -> None:
        """S3: the models' tokenizer files."""
        request = Request(scope, receive)
        response = await s3.respond(request, self.models, self.engines, _ids(request))
        await response(scope, receive, send)

    async def state(self, request: Request) -> Response:
        """The models, faults and switches."""
        return JSONResponse(
            {
                "models": [{"name": model.name, "arn": model.arn} for model in self.models],
                "faults": [asdict(fault) for fault in self.faults.all],
                "switches": self.switches.all(),
                "under_way": self.under_way,
            },
            headers=_ids(request),
        )

    async def set_faults(self, request: Request) -> Response:
        """Put a list of faults in the place of those in force."""
        wanted = _json(await _body(request, self.limits))
        if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
            raise Refusal("ValidationException", "Give a list of faults, each an object with its kind.")
        self.faults.set([fault_from(each) for each in wanted])
        return await self.state(request)

    async def set_switches(self, request: Request) -> Response:
        """Set the switches that are named, and all others to their first setting."""
        wanted = _json(await _body(request, self.limits))
        if not isinstance(wanted, dict) or not all(isinstance(each, str) for each in wanted.values()):
            raise Refusal("ValidationException", "Give an object of switches and their settings.")
        self.switches = Switches(wanted)
        return await self.state(request)


class _Guard:
    """What every call has to pass, and what becomes of one that fails: never a traceback."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        scope["candor.id"] = str(uuid.uuid4())
        service = self._service
        runtime = scope["path"].startswith("/model/")
        service.under_way += runtime
        try:
            self._check(request, runtime=runtime)
            of_s3 = s3.is_s3_call(request.headers.get("authorization", ""))
            await (service.files if of_s3 else self._app)(scope, receive, send)
        except Refusal as error:
            await refused(error, _ids(request))(scope, receive, send)
        except Exception:  # the client has been told as much as it may know
            log.exception("a call failed")
        finally:
            service.under_way -= runtime

    def _check(self, request: Request, *, runtime: bool) -> None:
        """Raise Refusal for a call that must not come in."""
        try:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        except ValueError:
            host = None
        if host not in {"127.0.0.1", "localhost", "::1"} | self._service.hosts:
            # A page in somebody's browser could otherwise reach this server under a name of its own.
            raise Refusal("AccessDeniedException", "This server does not answer to that host name.")
        path = request.scope["path"]
        if path.startswith("/_candor/"):
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if path != "/_candor/health" and not secrets.compare_digest(given.encode(), self._service.token.encode()):
                raise Refusal("AccessDeniedException", "Control calls need the token that the server was started with.")
        elif not re.match(r"AWS4-HMAC-SHA256 |Bearer .", request.headers.get("authorization", "")):
            raise Refusal("MissingAuthenticationTokenException")
        if runtime and self._service.under_way > self._service.concurrency:
            raise Refusal("ThrottlingException")


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _unknown(request: Request, _: Exception) -> Response:
    return refused(Refusal("UnknownOperationException"), _ids(request))


async def _refused(request: Request, error: Exception) -> Response:
    return refused(in_service_words(error), _ids(request))


async def _left(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nobody is there to read it


def _ids(request: Request) -> dict[str, str]:
    return {"x-amzn-RequestId": request.scope["candor.id"]}


def _owner(request: Request) -> str:
    """Whose call it is, so that all get their turn: by access key, or by a digest of the bearer's token."""
    given = request.headers.get("authorization", "")
    if found := _CREDENTIAL.search(given):
        return found[1]
    return hashlib.sha256(given.encode()).hexdigest()[:16]


async def _body(request: Request, limits: Limits) -> bytes:
    """The body of a call. Raises Refusal for one that is too large or does not come."""
    # A length that is said is known before the body, and h11 has checked that it is a number.
    if int(request.headers.get("content-length", 0)) > MAX_BODY:
        raise _too_large()
    parts, size = [], 0
    now = asyncio.get_running_loop().time
    last = now() + limits.body
    try:
        async with asyncio.timeout(limits.pause) as patience:
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY:
                    raise _too_large()
                parts.append(part)
                patience.reschedule(min(last, now() + limits.pause))
    except TimeoutError as error:
        raise Refusal("ValidationException", "The body did not arrive in time.") from error
    return b"".join(parts)


def _too_large() -> Refusal:
    return Refusal("ValidationException", f"The body is larger than {MAX_BODY} bytes.")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal("ValidationException", "The body is not JSON.") from error


async def _until(began: float, setting: Setting) -> None:
    """Wait until an answer may begin."""
    if (fault := setting.faults.get("latency")) is not None:
        await asyncio.sleep(began + fault.seconds - time.monotonic())


async def _everything(engine: LocalEngine, ask: Ask, owner: str) -> list[Delta]:
    found: list[Delta] = []
    ticket = await submit(engine, ask.request, owner)
    async with aclosing(results(ticket, at_end=True)) as deltas:  # type: ignore[type-var]
        async for each in deltas:
            found += each
    return found


async def _unless_gone(request: Request, work: Awaitable[T]) -> T:
    """What the work gives; it is cancelled where the client hangs up meanwhile."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(until_gone(request.receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})


async def _frames(
    setting: Setting, chunks: Chunks, first: list[Delta], deltas: AsyncIterator[list[Delta]]
) -> AsyncIterator[bytes]:
    """A stream's messages. An error, of the model or on demand, is the last of them."""
    fault, sent = setting.faults.get("stream-error"), 0
    try:
        # The first chunk may hold the scores of a whole prompt, which take their time to write down.
        ready: list[bytes] | None = await asyncio.to_thread(lambda: list(chunks.of(first)))
        while ready is not None:
            for chunk in ready:
                if fault is not None and sent == fault.after:
                    yield exception_frame(refusal_for(fault.code, fault.message))
                    return
                yield chunk_frame(chunk)
                sent += 1
            found = await anext(deltas, None)
            ready = None if found is None else list(chunks.of(found))
        if fault is not None:  # the answer was shorter than that
            yield exception_frame(refusal_for(fault.code, fault.message))
    except CandorError as error:
        log.info("a stream ends with an error: %s", error.cause)
        yield exception_frame(refusal_for("ModelStreamErrorException", error.cause))
    finally:
        await deltas.aclose()  # type: ignore[attr-defined]
