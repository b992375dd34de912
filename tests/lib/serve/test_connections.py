"""Connections whose clients stop sending or reading are closed, and others are served meanwhile."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.exceptions import ClientError

from lib.engines.local.engine import LocalEngine
from lib.serve.limits import Limits
from lib.serve.request_body import MAX_BODY
from lib.serve.server import in_thread
from lib.wire.formats import Format
from tests.support.serve_clients import Served, bodies, service_of, until

HEAD = 0.6  # seconds
SLACK = 2.5  # seconds that a busy machine may be late
ENOUGH = 60.0  # a time limit that no test reaches
REQUEST = b"GET /imported-models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n"
TEXT = {"prompt": "abc", "max_gen_len": 4, "temperature": 0}

Start = Callable[..., Served]


@pytest.fixture
def start(tiny_directory: Path, tiny_engine: LocalEngine) -> Iterator[Start]:
    """`start(head=…)`: a service with these limits, the others out of reach."""
    with ExitStack() as stack:

        def started(**limits: Any) -> Served:
            wanted = Limits(**{"head": ENOUGH, "pause": ENOUGH, "body": ENOUGH, "idle": 60, "unread": ENOUGH} | limits)
            service = service_of(tiny_directory, tiny_engine, limits=wanted)
            served = Served(service, stack.enter_context(in_thread(service)))
            stack.callback(served.close)
            return served

        yield started


@pytest.fixture
def line() -> Iterator[Callable[..., socket.socket]]:
    """`line(served, source)`: a connection that is closed at the end of the test."""
    with ExitStack() as stack:

        def connected(served: Any, source: str = "127.0.0.1") -> socket.socket:
            where = urlsplit(served.url)
            address = (where.hostname or "", where.port or 0)
            return stack.enter_context(socket.create_connection(address, 30, source_address=(source, 0)))

        yield connected


def has_ended(line: socket.socket) -> bool:
    """Whether the server has closed a connection on which it has sent nothing that is unread."""
    line.setblocking(False)
    try:
        return line.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        line.settimeout(30)


def posted(served: Served, *headers: str) -> bytes:
    """The head of an InvokeModel call."""
    path = f"/model/{quote(served.arn(), safe='')}/invoke"
    return "\r\n".join(
        [f"POST {path} HTTP/1.1", "Host: localhost", "Authorization: Bearer x", *headers, "", ""]
    ).encode()


def answer_to(line: socket.socket) -> tuple[int, str]:
    """Status and message of an answer."""
    answer = http.client.HTTPResponse(line)
    answer.begin()
    return answer.status, json.loads(answer.read()).get("message", "")


def trickle(line: socket.socket, data: bytes, *, every: float, patience: float) -> float:
    """Send a byte at a time until the server ends the connection; how many seconds that took."""
    began = time.monotonic()
    for place in range(int(patience / every)):
        if has_ended(line):
            break
        try:
            line.sendall(data[place : place + 1])
        except ConnectionError:
            break
        time.sleep(every)
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"G", REQUEST], ids=["nothing", "one byte", "no end"])
def test_a_connection_without_a_complete_head_is_closed(start: Start, line: Any, sent: bytes) -> None:
    half = line(start(head=HEAD))
    began = time.monotonic()
    half.sendall(sent)
    assert until(lambda: has_ended(half), HEAD + SLACK)
    assert time.monotonic() - began >= HEAD - 0.1


def test_a_head_that_comes_in_time_is_answered(start: Start, line: Any) -> None:
    slow = line(start(head=HEAD + SLACK))
    for place in range(0, len(REQUEST), 10):
        slow.sendall(REQUEST[place : place + 10])
        time.sleep(0.05)
    slow.sendall(b"\r\n")
    assert answer_to(slow)[0] == 200


def test_a_head_that_trickles_in_gets_no_more_time(start: Start, line: Any) -> None:
    took = trickle(line(start(head=HEAD)), REQUEST * 2, every=0.05, patience=HEAD + SLACK)
    assert HEAD - 0.1 <= took < HEAD + SLACK - 0.1


def test_two_hundred_half_open_heads_are_gone_after_the_time_and_others_are_answered_meanwhile(
    start: Start, line: Any
) -> None:
    served = start(head=2.0)
    began = time.monotonic()
    half = [line(served) for _ in range(200)]
    for each in half:
        each.sendall(REQUEST)
    assert served.invoke(TEXT)["generation_token_count"] == 4
    assert served.call("GET", "/imported-models")[0] == 200
    assert time.monotonic() - began < 2.0, "too slow to be of any meaning"
    assert not any(has_ended(each) for each in half)
    assert until(lambda: all(has_ended(each) for each in half), 2.0 + SLACK)


def test_half_open_connections_of_an_address_are_bounded_and_the_newest_are_served(start: Start, line: Any) -> None:
    served = start(half_open=20)
    half = [line(served) for _ in range(100)]
    assert until(lambda: sum(has_ended(each) for each in half) == 80)
    assert all(has_ended(each) for each in half[:80])
    half[-1].sendall(REQUEST + b"\r\n")
    assert answer_to(half[-1])[0] == 200
    assert served.call("GET", "/imported-models")[0] == 200


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 at hand")
def test_one_address_does_not_crowd_out_another(start: Start, line: Any) -> None:
    served = start(half_open=20)
    other = line(served, "127.0.0.2")
    crowd = [line(served) for _ in range(60)]
    assert until(lambda: sum(has_ended(each) for each in crowd) == 40)
    assert not has_ended(other)
    other.sendall(REQUEST + b"\r\n")
    assert answer_to(other)[0] == 200


def test_connections_that_are_not_half_open_do_not_count_as_such(start: Start, line: Any) -> None:
    served = start(half_open=5)
    lines = [line(served) for _ in range(1)]
    for _ in range(20):
        lines[-1].sendall(REQUEST + b"\r\n")
        assert answer_to(lines[-1])[0] == 200
        lines.append(line(served))
    lines[0].sendall(REQUEST + b"\r\n")
    assert answer_to(lines[0])[0] == 200


def test_a_connection_is_kept_between_requests(start: Start, line: Any) -> None:
    kept = line(start(head=HEAD))
    for _ in range(2):
        kept.sendall(REQUEST + b"\r\n")
        assert answer_to(kept)[0] == 200
        time.sleep(1.5 * HEAD)
    assert not has_ended(kept)


def test_a_connection_that_is_idle_for_long_is_closed(start: Start, line: Any) -> None:
    kept = line(start(idle=1))
    kept.sendall(REQUEST + b"\r\n")
    assert answer_to(kept)[0] == 200
    assert not has_ended(kept)
    assert until(lambda: has_ended(kept), 1 + SLACK)


def test_the_head_of_a_later_request_has_the_same_time(start: Start, line: Any) -> None:
    kept = line(start(head=HEAD))
    kept.sendall(REQUEST + b"\r\n")
    assert answer_to(kept)[0] == 200
    kept.sendall(REQUEST)
    assert until(lambda: has_ended(kept), HEAD + SLACK)


def test_a_head_that_came_in_part_with_the_request_before_has_the_same_time(start: Start, line: Any) -> None:
    kept = line(start(head=HEAD))
    kept.sendall(REQUEST + b"\r\n" + REQUEST)
    assert answer_to(kept)[0] == 200
    assert until(lambda: has_ended(kept), HEAD + SLACK)


def test_an_answer_may_take_longer_than_a_head(start: Start) -> None:
    served = start(head=HEAD, pause=HEAD, body=HEAD, idle=1, unread=HEAD)
    served.faults({"kind": "latency", "between": HEAD})
    began = time.monotonic()
    assert len(served.chunks(bodies(Format.BEDROCK, length=5))) > 3
    assert time.monotonic() - began > 3 * HEAD
    served.faults({"kind": "latency", "seconds": 3 * HEAD})
    assert served.invoke(TEXT)["generation_token_count"] == 4


def test_a_body_that_does_not_come_is_refused_and_its_connection_ends(start: Start, line: Any) -> None:
    served = start(head=HEAD, pause=HEAD)
    waiting = line(served)
    began = time.monotonic()
    waiting.sendall(posted(served, "Content-Length: 1000") + b'{"prompt":')
    assert answer_to(waiting) == (400, "The body did not arrive in time.")
    assert time.monotonic() - began < HEAD + SLACK
    assert until(lambda: has_ended(waiting), HEAD + SLACK)
    assert served.service.under_way == 0


def test_a_body_that_trickles_in_is_refused_after_its_whole_time(start: Start, line: Any) -> None:
    served = start(body=1.0)
    waiting = line(served)
    waiting.sendall(posted(served, "Content-Length: 1000"))
    began = time.monotonic()
    waiting.settimeout(0.05)
    status = b""
    while not status and time.monotonic() - began < 1.0 + SLACK:
        waiting.sendall(b" ")
        try:
            status = waiting.recv(12)
        except TimeoutError:
            continue
    assert status == b"HTTP/1.1 400"
    assert time.monotonic() - began >= 0.9


def test_a_body_that_comes_slowly_but_in_time_is_taken(start: Start, line: Any) -> None:
    served = start(head=HEAD, pause=2 * HEAD)
    slow = line(served)
    body = json.dumps(TEXT).encode()
    slow.sendall(posted(served, f"Content-Length: {len(body)}"))
    for part in (body[:10], body[10:20], body[20:]):
        time.sleep(HEAD)
        slow.sendall(part)
    assert answer_to(slow)[0] == 200


@pytest.mark.parametrize("length", [MAX_BODY + 1, 10**15, 10**19])
def test_a_body_that_says_it_is_too_large_is_refused_at_once(start: Start, line: Any, length: int) -> None:
    served = start(head=HEAD)
    absurd = line(served)
    began = time.monotonic()
    absurd.sendall(posted(served, f"Content-Length: {length}"))
    status, message = answer_to(absurd)
    assert time.monotonic() - began < SLACK
    assert status == 400
    assert "larger than 25000000 bytes" in message
    assert until(lambda: has_ended(absurd), HEAD + SLACK), "and nothing waits for the rest"


def test_the_rest_of_a_refused_body_keeps_no_connection(start: Start, line: Any) -> None:
    served = start(head=HEAD)
    refused = line(served)
    refused.sendall(b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 100000\r\n\r\n")
    assert answer_to(refused)[0] == 403
    assert trickle(refused, b" " * 1000, every=0.05, patience=HEAD + SLACK) < HEAD + SLACK - 0.1


def test_a_refused_body_that_comes_does_not_spoil_its_connection(start: Start, line: Any) -> None:
    refused = line(start())
    refused.sendall(b"POST / HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 4\r\n\r\n")
    assert answer_to(refused)[0] == 403
    refused.sendall(b"{}{}" + REQUEST + b"\r\n")
    assert answer_to(refused)[0] == 200


def test_a_body_that_waits_to_be_asked_for_is_never_mixed_up_with_the_next_request(start: Start) -> None:
    """boto3 sends a file's head first, and its body only when told to go on."""
    served = start()
    with pytest.raises(ClientError, match="larger than"):
        served.runtime.invoke_model(modelId=served.arn(), body=io.BytesIO(b" " * (MAX_BODY + 1)))
    began = time.monotonic()
    assert served.invoke(TEXT)["generation_token_count"] == 4
    assert time.monotonic() - began < 10


def test_very_large_prompts_of_clients_that_leave_keep_nobody_waiting(start: Start, line: Any) -> None:
    served = start()
    body = json.dumps({"prompt": "ab " * 6_000_000, "max_gen_len": 1}).encode()
    for _ in range((os.cpu_count() or 1) + 4):
        large = line(served)
        large.sendall(posted(served, f"Content-Length: {len(body)}") + body)
        large.close()
    began = time.monotonic()
    assert served.invoke(TEXT)["generation_token_count"] == 4
    assert time.monotonic() - began < 10


def test_a_request_for_a_websocket_is_answered_as_any_other(start: Start) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    status, headers, _ = start().call("GET", "/imported-models", Sec_WebSocket_Key="eA==", **upgrade)
    assert status == 200
    assert "upgrade" not in headers


@dataclass
class Flood:
    """A service that sends 64 MB, far more than the buffers between two sockets hold."""

    limits: Limits
    calls: list[str] = field(default_factory=list)

    def app(self) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.calls.append("began")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(1000):
                await send({"type": "http.response.body", "body": b"x" * 64_000, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            self.calls.append("ended")

        return app


@dataclass(frozen=True)
class At:
    url: str


def test_an_answer_that_its_client_does_not_read_is_given_up(line: Any) -> None:
    service = Flood(Limits(unread=HEAD))
    with in_thread(service) as url:  # type: ignore[arg-type]
        deaf = line(At(url))
        deaf.sendall(REQUEST + b"\r\n")
        assert until(lambda: service.calls == ["began", "ended"], HEAD + SLACK), "the call is over"
        received = 0
        with pytest.raises(ConnectionError):  # noqa: PT012 - it ends somewhere within
            while part := deaf.recv(1 << 20):
                received += len(part)
            raise ConnectionError
        assert received < 64_000_000


def test_an_answer_that_its_client_reads_slowly_is_sent_whole(line: Any) -> None:
    service = Flood(Limits(unread=HEAD))
    with in_thread(service) as url:  # type: ignore[arg-type]
        slow = line(At(url))
        slow.sendall(REQUEST + b"\r\n")
        began, received = time.monotonic(), 0
        while received < 64_000_000:
            part = slow.recv(2_000_000)
            assert part, "cut off"
            received += len(part)
            time.sleep(0.04)
        assert time.monotonic() - began > 2 * HEAD
