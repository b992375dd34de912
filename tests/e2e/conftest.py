"""A real server and a real Chromium for tests marked `browser`.

`serve(script)` gives the URL of a running Streamlit script, `page` a fresh browser tab that fails its test on any error
in the console.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
PATIENCE = 30  # seconds until something that should happen is given up
_CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

Serve = Callable[..., str]


def wait_for_app(page: Page) -> None:
    """Wait until the page is connected and its script has run to the end."""
    app = "[data-testid='stApp'][data-test-connection-state='CONNECTED']"
    page.wait_for_selector(f"{app}[data-test-script-state='notRunning']", timeout=PATIENCE * 1000)


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """`serve(script, **environment)`: the URL of the Streamlit script, a path from the repository's root on.

    A script is started once for the same environment, and everything is stopped at the end.
    """
    urls: dict[object, str] = {}
    with contextlib.ExitStack() as running:

        def start(script: str | Path, **environment: str) -> str:
            key = (str(script), *sorted(environment.items()))
            if key not in urls:
                urls[key] = running.enter_context(_server(script, environment))
            return urls[key]

        yield start


@contextlib.contextmanager
def _server(script: str | Path, environment: dict[str, str]) -> Iterator[str]:
    port = _free_port()
    options = {
        "server.headless": "true",
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *flags]
    # A pipe that nobody reads would block the server once it is full.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=log, stderr=subprocess.STDOUT, text=True
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if not _healthy(url, process):
                log.seek(0)
                pytest.fail(f"{script} did not start:\n{log.read()}")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _healthy(url: str, process: subprocess.Popen[str]) -> bool:
    deadline = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer,
        ):
            if answer.status == 200:
                return True
        time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, from $CHROMIUM or where the system has it. Without one the browser tests fail: they are never skipped.

    Module-scoped, as Playwright keeps an event loop running in this thread, in which other tests could start none.
    """
    path = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    if shutil.which(path) is None:
        pytest.fail(f"No Chromium at {path}. Install one, or set CHROMIUM to its path.")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(_CHROMIUM_ARGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab in a fresh context. The test fails if the page logs an error or raises one."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read"])
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    context.on("console", note)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    expect.set_options(timeout=PATIENCE * 1000)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE * 1000)
    yield tab
    context.close()
    assert not errors, "errors in the browser:\n" + "\n".join(errors)
