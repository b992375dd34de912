"""Canned responses of Bedrock Runtime over loopback HTTP, framed as botocore expects them."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from lib.serve.event_stream import chunk_frame, frame


@dataclass
class Canned:
    """What the server answers next, and what it has received."""

    response: Any = None  # to InvokeModel: JSON or bytes
    # (status, code, message) to refuse a body with; None to answer it.
    refuse: Callable[[dict[str, Any]], tuple[int, str, str] | None] = lambda _: None
    chunks: Sequence[Any] = ()  # of a stream: JSON or bytes; (type, message) is an exception within it
    error: tuple[int, str, str] | None = None  # (status, code, message) to refuse every body with
    bodies: list[dict[str, Any]] = field(default_factory=list)  # received
    paths: list[str] = field(default_factory=list)  # received
    hold: threading.Event | None = None  # wait for this before answering
    latency: float = 0.0  # seconds before each answer
    control: dict[str, Any] = field(default_factory=dict)  # control plane: JSON, or an error as above, by path prefix
    headers: dict[str, str] = field(default_factory=dict)  # sent with every response


def framed(chunk: Any) -> bytes:
    """A chunk of a stream, or an exception within it, as a frame."""
    if isinstance(chunk, tuple):
        kind, message = chunk
        headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
        return frame(headers, json.dumps({"message": message}).encode())
    return chunk_frame(chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode())


@contextlib.contextmanager
def bedrock(canned: Canned) -> Iterator[str]:
    """The URL of a server that answers with `canned`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or the body waits for the headers to be acknowledged

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            canned.bodies.append(json.loads(body))
            canned.paths.append(unquote(self.path))
            if canned.hold is not None:
                canned.hold.wait(20)
            time.sleep(canned.latency)
            if (error := canned.error or canned.refuse(canned.bodies[-1])) is not None:
                status, code, message = error
                self._send(status, json.dumps({"message": message}).encode(), {"x-amzn-ErrorType": code})
            elif self.path.endswith("/invoke"):
                data = canned.response if isinstance(canned.response, bytes) else json.dumps(canned.response).encode()
                self._send(200, data, {"Content-Type": "application/json"})
            else:
                data = b"".join(map(framed, canned.chunks))
                self._send(200, data, {"Content-Type": "application/vnd.amazon.eventstream"})

        def do_GET(self) -> None:
            path = unquote(self.path)
            canned.paths.append(path)
            response = next(
                (response for beginning, response in canned.control.items() if path.startswith(beginning)), None
            )
            if isinstance(response, tuple):
                status, code, message = response
                self._send(status, json.dumps({"message": message}).encode(), {"x-amzn-ErrorType": code})
            elif response is None:
                self._send(404, b'{"message": "nothing here"}', {"x-amzn-ErrorType": "ResourceNotFoundException"})
            else:
                self._send(200, json.dumps(response).encode(), {"Content-Type": "application/json"})

        def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response_only(status)
            for name, value in {**headers, **canned.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.send_header("X-Amzn-Bedrock-Content-Type", "application/json")
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # Looks often whether it shall stop: each of many tests would wait half a second for the usual look.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
