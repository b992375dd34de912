"""The local Bedrock against its engine, and against what its latency would allow."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.opening import open_local
from lib.serve.server import in_thread
from tests.benchmarks.engine import text_of, without_end
from tests.benchmarks.report import Figure, alternated
from tests.support import tiny
from tests.support.serve_clients import AUTHORIZATION, TOKEN, Served, service_of

CALLS, AT_ONCE, LATENCY = 64, 16, 0.2


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    yield _rate()
    engine = open_local("embedded")
    service = service_of("embedded", engine)
    with without_end(engine), in_thread(service) as url, closing(Served(service, url)) as served:
        yield _added(engine, served)
        yield _together(engine, served)
    engine.close()


def _rate() -> Figure:
    """The server is a process of its own and its model tiny, so that the set latency is what takes time."""
    with tempfile.TemporaryDirectory() as folder, latent(tiny.make_random(Path(folder) / "tiny", "llama")) as served:
        body = json.dumps({"prompt": "abc", "max_gen_len": 1, "return_logprobs": True}).encode()
        path = f"/model/{quote(served.arn(), safe='')}/invoke"
        own = threading.local()

        def call(_: int) -> None:
            # Not boto3: signing 16 calls at once takes longer than the server takes for them.
            if not hasattr(own, "line"):
                own.line = http.client.HTTPConnection(urlsplit(served.url).netloc)
            own.line.request("POST", path, body, AUTHORIZATION)
            answer = own.line.getresponse()
            assert answer.status == 200
            answer.read()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(call, range(AT_ONCE)))  # connections and threads are there
            times = []
            for _ in range(5):
                began = time.perf_counter()
                list(pool.map(call, range(CALLS)))
                times.append(time.perf_counter() - began)
    ideal = CALLS / AT_ONCE * LATENCY
    name = f"{CALLS} calls at {LATENCY * 1000:.0f} ms set latency, concurrency {AT_ONCE}, rate ÷ ideal"
    return Figure(name, ideal / sorted(times)[2], 0.93, at_least=True)


@contextmanager
def latent(directory: Path) -> Iterator[Served]:
    """A local Bedrock of its own process that runs this model, and lets every call wait as long as the set latency."""
    environment = os.environ | {"CANDOR_SERVE_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}  # a tiny model needs no more
    command = [sys.executable, "-m", "lib", "serve", "--port", "0", "--fault", f"latency:seconds={LATENCY}"]
    for name, day in (("legacy", "2025-07-01"), ("early", "2025-09-01"), ("current", "2025-12-01")):
        command += ["--model", f"{name}={directory}@{day}"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert running.stdout is not None
        url = running.stdout.readline().split()[-1]
        yield Served(service_of(directory, None), url)  # type: ignore[arg-type]
    finally:
        running.terminate()
        running.wait()


def _added(engine: LocalEngine, served: Served) -> Figure:
    prompt = text_of(engine, 30)
    request = Request(prompt=prompt, max_tokens=50, k=5, prompt_scores=False)
    body = {"prompt": prompt, "max_tokens": 50, "temperature": 0, "logprobs": 5}
    assert len(served.invoke(body)["choices"][0]["logprobs"]["tokens"]) == 50
    ours, theirs = alternated(lambda: served.invoke(body), lambda: engine.complete(request), 15)
    name = "added time per InvokeModel over the engine in process, 50-token answer, top-5, %"
    return Figure(name, (ours / theirs - 1) * 100, 3.0)


def _together(engine: LocalEngine, served: Served) -> Figure:
    prompts = [text_of(engine, 20 + 5 * number) for number in range(8)]
    client = served.client(pool=8)

    def call(prompt: str) -> Any:
        body = json.dumps({"prompt": prompt, "max_tokens": 50, "temperature": 0, "logprobs": 5})
        return json.loads(client.invoke_model(modelId=served.arn(), body=body)["body"].read())

    with ThreadPoolExecutor(8) as pool:
        at_once, one_by_one = alternated(
            lambda: list(pool.map(call, prompts)), lambda: [call(prompt) for prompt in prompts], 3
        )
    name = "8 concurrent generations ÷ the same 8 one after another, tokens/s"
    return Figure(name, one_by_one / at_once, 2.5, at_least=True)
