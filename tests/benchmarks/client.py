"""The client against bare boto3, against what the service's latency would allow, and from the click to the page."""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from lib.core.sources import AwsTarget, BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.calls import AT_ONCE
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.local.opening import open_local
from lib.jobs.batch import State
from lib.jobs.call import Call
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Jobs
from lib.jobs.run_plan import run_calls
from lib.models.tokenizer_files import load_tokenizer
from lib.serve.server import in_thread
from tests.benchmarks.report import Figure, alternated
from tests.benchmarks.serve import CALLS, LATENCY
from tests.benchmarks.wire import prompt_of, response_of
from tests.support.loopback import Canned, bedrock
from tests.support.serve_clients import Recorded, service_of

ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234"
NOBODY = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret-example",
    "AWS_CONFIG_FILE": "/no/such/file",
    "AWS_SHARED_CREDENTIALS_FILE": "/no/such/file",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    os.environ.update(NOBODY)  # the calls must not be signed with whoever's keys this machine has
    yield _whole_call()
    yield _rate()
    yield _first_token()


def _whole_call() -> Figure:
    request, ids, names = prompt_of(2000)
    response, tokenizer = response_of(ids, names, 5), load_tokenizer("embedded")
    with answering(response) as url, closing(Account()) as account:
        client = account.client("bedrock-runtime", AwsTarget("us-east-1", "", url))
        ledger = Ledger(Caps(None, None))
        engine = BedrockEngine(BedrockModel(ARN, endpoint=url, form="OPENAI"), tokenizer, client=client, ledger=ledger)
        body = json.dumps({"prompt": request.prompt, "max_tokens": 2, "logprobs": 5, "prompt_logprobs": 5})

        def bare() -> Any:
            answer = client.invoke_model(modelId=ARN, body=body)
            return json.loads(answer["body"].read())

        (done,) = engine.complete(request)
        assert len(done.prompt) == 2000
        assert not done.warnings
        ours, theirs = alternated(lambda: engine.complete(request), bare, 60)
    name = "whole client call, zero latency, 2,000 prompt tokens, top-5 ÷ bare boto3 with json.loads"
    return Figure(name, ours / theirs, 1.2)


@contextmanager
def answering(response: bytes, latency: float = 0.0) -> Iterator[str]:
    """The address of a process that gives this response to everything."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_answer, args=(response, latency, theirs), daemon=True
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def _answer(response: bytes, latency: float, pipe: Any) -> None:
    with bedrock(Canned(response=response, latency=latency)) as url:
        pipe.send(url)
        pipe.recv()


def _rate() -> Figure:
    """The service is a process of its own with nothing to work out, so that the latency is what takes time."""
    request, ids, names = prompt_of(4)
    with answering(response_of(ids, names, 5), LATENCY) as url, closing(Account()) as account:
        model, ledger = BedrockModel(ARN, "embedded", endpoint=url, form="OPENAI"), Ledger(Caps(None, None))
        engines = Engines(lambda source: BedrockEngine(source, account=account, ledger=ledger))  # type: ignore[arg-type]
        calls = [Call(model, request)] * CALLS

        def all_calls() -> float:
            job = Jobs().start(run_calls(engines, calls))
            assert job.wait(60)
            done = job.result
            assert done is not None
            assert done.count(State.DONE) == CALLS
            assert all(len(each.prompt) == 4 and not each.warnings for each in done.completions)
            return job.seconds

        all_calls()  # connections, tokenizer
        times = [all_calls() for _ in range(9)]
    ideal = CALLS / AT_ONCE * LATENCY
    name = f"{CALLS} calls at {LATENCY * 1000:.0f} ms latency, concurrency {AT_ONCE}, parsed and kept, rate ÷ ideal"
    return Figure(name, ideal / statistics.median(times), 0.9, at_least=True)


def _first_token() -> Figure:
    """From the click on Generate: the first token in the browser, and the first event that leaves the service."""
    from playwright.sync_api import sync_playwright

    from tests.support.browser import CHROMIUM_ARGS, choose, chromium_path, serving, wait_for_app

    ratios: list[float] = []
    engine = open_local("embedded")
    service = Recorded(service_of("embedded", engine))
    with in_thread(service) as url, closing(engine):  # type: ignore[arg-type]
        environment = {
            **NOBODY,
            "AWS_ENDPOINT_URL_BEDROCK": url,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
            "CANDOR_WARM_UP": "0",
        }
        with serving("app.py", environment) as app, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(app)
            choose(page, "Model", "Amazon Bedrock")
            page.get_by_role("combobox", name="Imported model").wait_for()
            page.get_by_text("Tokenizer, format, endpoint").click()
            page.get_by_role("textbox", name="Tokenizer: directory, file or hub id").fill("embedded")
            page.keyboard.press("Enter")
            page.get_by_text("streaming: answer only").wait_for()
            page.get_by_role("radio", name="Streaming").click()
            for number in range(12):
                page.get_by_role("textbox", name="Prompt").fill(f"{number} little ships went out to sea and")
                wait_for_app(page)
                service.streams_began.clear()
                shown = page.evaluate_handle(_WATCH, f"{number} little")
                clicked = time.time()
                page.get_by_role("button", name="Generate").click()
                seen = shown.evaluate("watch => watch.found") / 1000
                page.get_by_test_id("stMetric").last.wait_for()
                wait_for_app(page)
                ratios.append((seen - clicked) / (service.streams_began[0] - clicked))
            browser.close()
    name = "first token on the page ÷ first event on the wire, time from the click"
    return Figure(name, statistics.median(ratios[2:]), 1.5)


# When the map first holds an answer to the prompt that begins like that, in milliseconds since 1970.
_WATCH = """
beginning => ({found: new Promise(found => {
  const look = () => {
    for (const host of document.querySelectorAll("*")) {
      const text = host.shadowRoot?.querySelector(".text");
      if (text?.querySelector("[data-label=answer]") && text.textContent.includes(beginning)) {
        found(Date.now());
        return;
      }
    }
    requestAnimationFrame(look);
  };
  look();
})})
"""
