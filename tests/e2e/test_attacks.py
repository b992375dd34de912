"""Attacks on the real app: reading the server's files and stealing its credentials."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lib.access.visitor import ALONE
from lib.core.request import Mode
from lib.core.sources import BedrockModel
from lib.jobs.batch import batch_of
from lib.jobs.job import Job
from lib.store.archive import export_runs
from lib.store.database import open_database
from lib.store.job_runs import answers_of, run_about
from lib.store.run import RunState
from lib.store.runs import Runs
from lib.studies.prompt_comparison import PromptsPlan
from tests.benchmarks.completions import long_completion
from tests.e2e.conftest import Serve
from tests.e2e.test_history import choose_rows
from tests.support.browser import choose, upload, wait_for_app
from tests.support.paths import FOX

pytestmark = pytest.mark.browser

ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234"
SECRET = "OPERATORS-SECRET-4711"
ENVIRONMENT = {
    "CANDOR_WARM_UP": "0",
    "CANDOR_BEDROCK": "listed",
    "CANDOR_TEST_SECRET": SECRET,
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret-example",
    "AWS_SESSION_TOKEN": SECRET,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/no/such/file",
}


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """(an attacker's address, the request lines and headers it received)."""
    arrived: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            arrived.append(f"{self.requestline}\n{self.headers}")
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the library's spelling

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", arrived
        server.shutdown()


def _run_file(folder: Path, endpoint: str) -> Path:
    """A comparison whose file names an endpoint, a profile and a tokenizer."""
    model = BedrockModel(ARN, tokenizer="/etc/passwd", profile="admin", endpoint=endpoint)
    plan = PromptsPlan(model, ("One prompt.", "Another prompt. With two."), Mode.RAW)
    done = replace(long_completion(20), text="An answer.")
    batch = batch_of([done, done])
    job = Job.over_already("attackers-run", plan, batch, None, 1.0)
    run = run_about(job, "prompts", owner="", version="1")
    runs = Runs(open_database(f"sqlite:///{folder}/attacker.sqlite"))
    runs.finish(replace(run, state=RunState.FINISHED), answers_of(batch))
    text = "".join(export_runs(runs, [run.id], by=ALONE))
    runs.database.close()
    assert endpoint in text
    (path := folder / "runs.json").write_text(text)
    return path


@pytest.mark.parametrize("public", ["0", "1"])
def test_a_run_file_sets_neither_endpoint_nor_profile(
    page: Page, serve: Serve, tmp_path: Path, listener: tuple[str, list[str]], public: str
) -> None:
    endpoint, arrived = listener
    file = _run_file(tmp_path, endpoint)
    page.goto(serve("app.py", **ENVIRONMENT, CANDOR_PUBLIC=public) + "/history")
    wait_for_app(page)
    page.get_by_text("Import and export", exact=True).click()
    upload(page, page.locator("input[type=file]").first, file)
    page.get_by_role("button", name="Import", exact=True).click()
    wait_for_app(page)
    choose_rows(page, 0)
    page.get_by_test_id("stBaseButton-primary").click()
    wait_for_app(page)
    expect(page.get_by_text("What helped?")).to_be_visible()
    expect(page.get_by_text(f"names the endpoint '{endpoint}'").first).to_be_visible()
    expect(page.get_by_text("names the profile 'admin'").first).to_be_visible()
    expect(page.get_by_text("names the tokenizer '/etc/passwd'").first).to_be_visible()
    if (button := page.get_by_role("button", name="Analyze")).count():
        button.click()
        wait_for_app(page)
    page.wait_for_timeout(1000)
    assert arrived == []


def test_an_uploaded_tokenizer_reads_no_server_files(page: Page, serve: Serve, tmp_path: Path) -> None:
    secret = tmp_path / "secrets.toml"
    secret.write_text(f"[UNK]\n{SECRET}\n" * 3)
    response = json.loads(FOX.read_text())["response"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    tokenizer = tmp_path / "tokenizer.json"
    for path in (secret, "/proc/self/environ", "/dev/zero"):
        model = {"type": "WordPiece", "vocab": str(path), "unk_token": "[UNK]"}
        tokenizer.write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
        page.goto(serve("app.py", **ENVIRONMENT, CANDOR_PUBLIC="1"))
        page.get_by_text("Saved response", exact=True).click()
        page.get_by_role("textbox", name="Response").fill(json.dumps(response))
        choose(page, "Tokenizer", "Upload its files")
        page.locator("input[type=file]").last.set_input_files([tokenizer, tmp_path / "tokenizer_config.json"])
        wait_for_app(page)
        page.get_by_test_id("stBaseButton-primary").click()
        expect(page.get_by_role("alert").first).to_contain_text("cannot be read as a tokenizer")
        assert SECRET not in page.content()
