"""The server as a process: who may call it, how much it accepts, and how it stops."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.exceptions import ClientError

from lib.cli import main
from lib.engines.local.engine import LocalEngine
from lib.errors import InvalidRequest
from lib.serve.app import Service
from lib.serve.request_body import MAX_BODY
from lib.serve.server import bound, in_thread, url_of
from lib.wire.formats import Format
from tests.support.serve_clients import AUTHORIZATION, TOKEN, Served, bodies, service_of, until

TEXT = {"prompt": "abc", "max_gen_len": 4, "temperature": 0}


@pytest.fixture
def service(tiny_directory: Path, tiny_engine: LocalEngine) -> Service:
    """A separate service, for tests with other settings."""
    return service_of(tiny_directory, tiny_engine)


def path(served: Served, operation: str = "invoke") -> str:
    return f"/model/{quote(served.arn(), safe='')}/{operation}"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]", "[::1", "a b", "@"]
)
def test_other_host_names_are_refused(served: Served, host: str) -> None:
    for where in ("/imported-models", "/_candor/health"):
        status, headers, body = served.call("GET", where, Host=host)
        assert status == 403
        assert headers["x-amzn-errortype"].startswith("AccessDeniedException")
        assert "host name" in json.loads(body)["message"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:99"])
def test_its_own_host_names_are_not(served: Served, host: str) -> None:
    assert served.call("GET", "/imported-models", Host=host)[0] == 200


def test_a_host_name_can_be_allowed(service: Service) -> None:
    service.hosts = frozenset({"bedrock.test"})
    with in_thread(service) as url:
        assert Served(service, url).call("GET", "/imported-models", Host="bedrock.test:9911")[0] == 200


def test_calls_are_signed(served: Served) -> None:
    status, headers, _ = served.call("GET", "/imported-models", Authorization="")
    assert (status, headers["x-amzn-errortype"].split(":")[0]) == (403, "MissingAuthenticationTokenException")
    assert served.call("GET", "/imported-models", Authorization="Bearer x")[0] == 200


@pytest.mark.parametrize("given", ["", "Bearer wrong", f"Bearer {TOKEN}x", "Bearer \xe9"])
def test_control_calls_need_the_token(served: Served, given: str) -> None:
    for method, where in (("GET", "state"), ("PUT", "faults"), ("PUT", "switches")):
        status, _, body = served.call(method, f"/_candor/{where}", b"[]", Authorization=given)
        assert status == 403
        assert TOKEN not in body.decode()
    assert served.service.faults.all == []


def test_control_calls_say_what_is_wrong(served: Served) -> None:
    for where, wanted in (
        ("faults", {}),
        ("faults", ["error"]),
        ("faults", [{"kind": "oops"}]),
        ("switches", []),
        ("switches", {"echo": "maybe"}),
        ("switches", {"echo": 1}),
    ):
        status, answer = served.control("PUT", where, wanted)
        assert status == 400
        assert answer["message"]
    assert served.call("PUT", "/_candor/faults", b"{", Authorization=f"Bearer {TOKEN}")[0] == 400


def test_the_state_can_be_read(served: Served) -> None:
    served.faults({"kind": "error", "code": "ThrottlingException", "times": 2})
    served.switches(echo="passed")
    status, state = served.control("GET", "state")
    assert status == 200
    assert [fault["kind"] for fault in state["faults"]] == ["error"]
    assert state["switches"]["echo"] == "passed"
    assert [model["name"] for model in state["models"]] == ["legacy", "early", "current"]


def test_operations_that_do_not_exist(served: Served) -> None:
    for method, where in (
        ("GET", "/"),
        ("GET", "/model/x/invoke"),
        ("POST", "/model/x/converse"),
        ("DELETE", "/imported-models/current"),
    ):
        status, headers, body = served.call(method, where)
        assert status == 404
        assert headers["x-amzn-errortype"].startswith("UnknownOperationException")
        assert json.loads(body)["message"]


def test_every_answer_has_an_id_of_its_own(served: Served) -> None:
    ids = {served.call("GET", "/imported-models")[1]["x-amzn-requestid"] for _ in range(3)}
    ids |= {served.call("GET", "/nowhere")[1]["x-amzn-requestid"]}
    assert len(ids) == 4


def test_a_body_may_have_25_megabytes_and_no_more(served: Served) -> None:
    status, _, answer = served.call("POST", path(served), b'{"prompt": "' + b"x" * MAX_BODY + b'"}')
    assert status == 400
    assert "larger than 25000000 bytes" in json.loads(answer)["message"]
    within = json.dumps({**TEXT, "ignored": "x" * (MAX_BODY - 100)}).encode()
    assert len(within) <= MAX_BODY
    assert served.call("POST", path(served), within)[0] == 200


def test_what_is_no_http_harms_nobody(served: Served) -> None:
    where = urlsplit(served.url)
    for data in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\0" * 100_000):
        with socket.create_connection((where.hostname or "", where.port or 0), 5) as line:
            line.sendall(data)
    assert served.invoke(TEXT)["generation_token_count"] == 4


def test_more_calls_than_it_takes_are_throttled(service: Service) -> None:
    service.concurrency = 2
    with in_thread(service) as url:
        served = Served(service, url)
        served.faults({"kind": "latency", "seconds": 3})
        served.runtime  # noqa: B018 - made here rather than by six threads at once
        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(served.invoke, TEXT) for _ in range(6)]
            outcomes = [call.exception() for call in calls]
        refused = [each for each in outcomes if each is not None]
        assert len(refused) == 4
        assert all(isinstance(each, ClientError) and "ThrottlingException" in str(each) for each in refused)
        assert until(lambda: service.under_way == 0)
        served.close()


def test_waiting_holds_no_thread(served: Served) -> None:
    """Forty calls wait for several seconds at the same time, with no more threads than before."""
    lines = []
    body = json.dumps(TEXT).encode()
    served.invoke(TEXT)  # the few threads that tokenising may take are there
    served.faults({"kind": "latency", "seconds": 4})
    before = threading.active_count()
    began = time.monotonic()
    for _ in range(40):
        line = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=30)
        line.request("POST", path(served), body, AUTHORIZATION)
        lines.append(line)
    assert until(lambda: served.service.under_way == 40)
    assert threading.active_count() <= before + 8
    assert [line.getresponse().status for line in lines] == [200] * 40
    assert time.monotonic() - began < 16
    for line in lines:
        line.close()


@pytest.mark.parametrize("operation", ["invoke", "invoke-with-response-stream"])
def test_whoever_hangs_up_is_not_answered(served: Served, tiny_engine: LocalEngine, operation: str) -> None:
    """The model stops generating for a client that has hung up."""
    body = json.dumps({"prompt": "abc", "max_gen_len": 2000, "temperature": 0}).encode()
    line = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=30)
    line.request("POST", path(served, operation), body, AUTHORIZATION)
    assert until(lambda: tiny_engine.busy)
    began = time.monotonic()
    line.sock.shutdown(socket.SHUT_RDWR)
    line.close()
    assert until(lambda: not tiny_engine.busy)
    assert until(lambda: served.service.under_way == 0)
    assert time.monotonic() - began < 3  # 2,000 tokens would take longer


def test_callers_take_turns(served: Served) -> None:
    """A caller with one call does not wait for all the calls of a caller with many."""
    crowd, single = served.client(key="CROWD", pool=30), served.client(key="SINGLE")
    long = json.dumps({"prompt": "abc", "max_gen_len": 60, "temperature": 0})
    done: list[str] = []

    def call(client: Any, name: str, body: str) -> None:
        client.invoke_model(modelId=served.arn(), body=body)["body"].read()
        done.append(name)

    with ThreadPoolExecutor(25) as pool:
        for _ in range(24):
            pool.submit(call, crowd, "crowd", long)
        assert until(lambda: served.service.under_way >= 16)
        pool.submit(call, single, "single", json.dumps(TEXT))
    assert len(done) == 25
    assert done.index("single") < 13


def test_an_address_that_others_reach_needs_a_host_name() -> None:
    with pytest.raises(InvalidRequest, match="can be reached by others"):
        bound("0.0.0.0", 0)
    bound("0.0.0.0", 0, ["bedrock.test"]).close()
    with bound("127.0.0.1", 0) as taken:
        taken.listen()
        port = int(url_of(taken).rsplit(":", 1)[1])
        with pytest.raises(InvalidRequest, match="cannot listen"):
            bound("127.0.0.1", port)
    for number in (-1, 10**6):
        with pytest.raises(InvalidRequest, match="is not a port"):
            bound("127.0.0.1", number)


@pytest.fixture
def process(tiny_directory: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """`python -m lib serve`: (process, URL, what it printed at its start)."""
    command = [sys.executable, "-m", "lib", "serve", "--port", "0", "--model", f"mine={tiny_directory}@2025-12-01"]
    environment = os.environ | {"CANDOR_SERVE_TOKEN": TOKEN}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert running.stdout is not None
    said = [running.stdout.readline()]
    while "Stop it" not in said[-1] and said[-1]:
        said.append(running.stdout.readline())
    yield running, said[0].split()[-1], "".join(said)
    running.kill()
    running.communicate()


def test_from_the_command_line_until_ctrl_c(process: tuple[subprocess.Popen[str], str, str]) -> None:
    running, url, said = process
    assert "mine  2025-12-01  arn:aws:bedrock:us-east-1:123456789012:imported-model/" in said
    line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    line.request("GET", "/imported-models/mine", headers=AUTHORIZATION)
    answer = line.getresponse()
    assert json.loads(answer.read())["modelName"] == "mine"
    line.close()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=20)
    assert running.returncode in (0, 130, -signal.SIGINT)
    assert "Traceback" not in errors


def test_it_stops_while_calls_are_under_way(process: tuple[subprocess.Popen[str], str, str]) -> None:
    running, url, said = process
    arn = next(word for word in said.split() if word.startswith("arn:"))
    line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    body = json.dumps({"prompt": "abc", "max_gen_len": 2000, "temperature": 0}).encode()
    line.request("POST", f"/model/{quote(arn, safe='')}/invoke-with-response-stream", body, AUTHORIZATION)
    assert line.getresponse().read(10)
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=30)
    assert running.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in errors
    line.close()


@pytest.mark.parametrize(
    "options",
    [
        ("--model", "nonsense"),
        ("--model", "a=embedded", "--model", "a=embedded"),
        ("--fault", "oops"),
        ("--switch", "oops=1"),
        ("--host", "0.0.0.0"),
        ("--account", "12"),
    ],
)
def test_wrong_options_are_explained(options: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", *options]) == 1
    expect_explained(capfd.readouterr().err)


def test_a_model_that_is_not_there_is_explained() -> None:
    """As a process: of the wrong options, only this one is noticed once the port is taken."""
    done = subprocess.run(
        [sys.executable, "-m", "lib", "serve", "--port", "0", "--model", "a=/no/such/model"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    expect_explained(done.stderr)


def expect_explained(said: str) -> None:
    assert "Traceback" not in said
    assert len(said.splitlines()) == 2  # what is wrong, and what to do


def test_a_stream_is_read_as_it_is_written(served: Served) -> None:
    served.faults({"kind": "latency", "between": 0.5})
    began = time.monotonic()
    with served.stream(bodies(Format.BEDROCK)) as events:
        next(iter(events))
        assert time.monotonic() - began < 2  # all of it takes 2.5 s and more
