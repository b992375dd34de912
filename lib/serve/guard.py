"""What every call has to pass before it is routed, and what becomes of one that fails: never a traceback."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.serve import s3
from lib.serve.service_errors import Refusal
from lib.serve.transport import error_response

if TYPE_CHECKING:
    from lib.serve.app import Service

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 |Bearer .")
_ACCESS_KEY = re.compile(r"Credential=([^/,\s]{1,128})/")

log = logging.getLogger(__name__)


class Guard:
    """The ASGI application in front of the router: checks host name, signature, token and load."""

    def __init__(self, router: ASGIApp, service: Service) -> None:
        self._router, self._service = router, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        scope["candor.id"] = str(uuid.uuid4())
        service = self._service
        is_runtime = scope["path"].startswith("/model/")
        service.under_way += is_runtime
        try:
            self._check(request, is_runtime=is_runtime)
            # Buckets may have any name, so it is the signature that tells a call of S3 from the others.
            to_s3 = s3.is_s3_call(request.headers.get("authorization", ""))
            await (service.files if to_s3 else self._router)(scope, receive, send)
        except Refusal as error:
            await error_response(error, request_id(request))(scope, receive, send)
        except Exception:  # the router has told the client as much as it may know
            log.exception("a call failed")
        finally:
            service.under_way -= is_runtime

    def _check(self, request: Request, *, is_runtime: bool) -> None:
        """Raise Refusal for a call that must not come in."""
        try:
            host = urlsplit(f"//{request.headers.get('host', '')}").hostname
        except ValueError:
            host = None
        if host not in _LOOPBACK | self._service.hosts:
            # A web page could otherwise reach this server under a host name of its own.
            raise Refusal("AccessDeniedException", "This server does not answer to that host name.")
        path = request.scope["path"]
        authorization = request.headers.get("authorization", "")
        if path.startswith("/_candor/"):
            token = authorization.removeprefix("Bearer ").encode()
            if path != "/_candor/health" and not secrets.compare_digest(token, self._service.token.encode()):
                raise Refusal("AccessDeniedException", "Control calls need the token that the server was started with.")
        elif not _SIGNED.match(authorization):
            raise Refusal("MissingAuthenticationTokenException")
        if is_runtime and self._service.under_way > self._service.concurrency:
            raise Refusal("ThrottlingException")


def request_id(request: Request) -> dict[str, str]:
    """The header that names a request."""
    return {"x-amzn-RequestId": request.scope["candor.id"]}


def caller_of(request: Request) -> str:
    """Who calls, so that callers can take turns: the access key, or a digest of the bearer token."""
    authorization = request.headers.get("authorization", "")
    if found := _ACCESS_KEY.search(authorization):
        return found[1]
    return hashlib.sha256(authorization.encode()).hexdigest()[:16]
