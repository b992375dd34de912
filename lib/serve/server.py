"""The local Bedrock as a process, or as a thread of one."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import sys
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TextIO

import uvicorn

from lib.engines.local.engine import LocalEngine
from lib.engines.local.opening import open_local
from lib.errors import CandorError, InvalidRequest, ServiceError
from lib.hosts import is_loopback
from lib.serve.app import Service
from lib.serve.connections import protocol_within
from lib.serve.models import ImportedModel

_GRACE = 5  # seconds that calls under way have to finish when the server stops
_START_TIMEOUT = 30.0  # seconds


def open_engines(models: Sequence[ImportedModel]) -> dict[str, LocalEngine]:
    """Load each source once. Returns engines by source. Raises CandorError."""
    engines: dict[str, LocalEngine] = {}
    try:
        for source in dict.fromkeys(model.source for model in models):
            engines[source] = open_local(source)
    except CandorError:
        close_engines(engines.values())
        raise
    return engines


def close_engines(engines: Iterable[LocalEngine]) -> None:
    """Stop the engines' threads."""
    for engine in engines:
        engine.close()


def bound(host: str, port: int, hosts: Collection[str] = ()) -> socket.socket:
    """A socket bound to that address. Raises InvalidRequest.

    port: 0 for any free one.
    hosts: allowed host names; without any, the address has to be on loopback.
    """
    if not is_loopback(host) and not hosts:
        raise InvalidRequest(
            f"{host} can be reached by others, and no host name is allowed.",
            "Add the server's host names with --allow-host, or listen on 127.0.0.1.",
        )
    if not 0 <= port <= 65535:
        raise InvalidRequest(f"{port} is not a port.", "Choose one from 1 to 65535, or 0 for any free one.")
    listener: socket.socket | None = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # asyncio disables Nagle's algorithm only if the protocol is given. Otherwise a body would wait 40 ms for the
        # client to acknowledge the headers.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise InvalidRequest(
            f"The server cannot listen on {host}, port {port}: {error.strerror or error}.",
            "Choose another with --port, or 0 for any free one.",
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_for(service: Service) -> uvicorn.Server:
    """The HTTP server of a service."""
    logging.getLogger("uvicorn.error").addFilter(_is_unexpected)
    config = uvicorn.Config(
        service.app(),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        http=protocol_within(service.limits),
        ws="none",
        timeout_keep_alive=service.limits.idle,
        timeout_graceful_shutdown=_GRACE,
    )
    return uvicorn.Server(config)


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Whether to log a record. Responses are cut off on purpose, and no client needs WebSockets here."""
    message = record.getMessage()
    return not any(each in message for each in ("without completing response", "Unsupported upgrade", "WebSocket"))


def serve(service: Service, listener: socket.socket, out: TextIO = sys.stdout) -> None:
    """Serve on a socket until the process is told to stop."""
    listener.listen()  # connections made from now on wait until the server runs
    out.write(greeting(service, url_of(listener)))
    out.flush()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C, after the calls under way have ended
        server_for(service).run(sockets=[listener])


def greeting(service: Service, url: str) -> str:
    """What a user needs to know to call the server."""
    region = service.models[0].region
    width = max(len(model.name) for model in service.models)
    models = [f"  {each.name:<{width}}  {each.imported:%Y-%m-%d}  {each.arn}" for each in service.models]
    lines = [
        f"The local Bedrock is listening on {url}",
        "",
        *models,
        "",
        "Point any AWS client at it, with any credentials:",
        f"  export AWS_ENDPOINT_URL_BEDROCK_RUNTIME={url} AWS_ENDPOINT_URL_BEDROCK={url}",
        f"  export AWS_DEFAULT_REGION={region} AWS_REGION={region}",  # which of the two is read depends on the client
        "  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local",
        "",
        f"Control calls need the header  Authorization: Bearer {service.token}",
        "Stop it with Ctrl-C.",
    ]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def in_thread(service: Service) -> Iterator[str]:
    """Run the service in a thread, on loopback, until the end of the block. Yields its URL."""
    with contextlib.closing(bound("127.0.0.1", 0)) as listener:
        server = server_for(service)
        thread = threading.Thread(target=server.run, args=([listener],), name="candor-serve", daemon=True)
        thread.start()
        deadline = time.monotonic() + _START_TIMEOUT
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise ServiceError("The local Bedrock did not start.")
            time.sleep(0.005)
        try:
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join()


def new_token() -> str:
    """A random token for control calls."""
    return secrets.token_urlsafe(18)
