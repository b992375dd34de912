"""A real server and a real Chromium, for the browser tests, the benchmarks and the screenshots."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from playwright.sync_api import Error, Locator, Page

from tests.support.paths import ROOT

PATIENCE = 30  # seconds until something that should happen is given up
_MOMENT = 60  # milliseconds from a key press to the run that it causes
CHROMIUM_ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def wait_for_app(page: Page) -> None:
    """Wait until the page is connected and its script has run to the end.

    Once is not enough: what was typed reaches the server a moment later, and only then does the script run.
    """
    app = "[data-testid='stApp'][data-test-connection-state='CONNECTED']"
    for _ in range(2):
        page.wait_for_selector(f"{app}[data-test-script-state='notRunning']", timeout=PATIENCE * 1000)
        page.wait_for_timeout(_MOMENT)
    page.wait_for_selector(f"{app}[data-test-script-state='notRunning']", timeout=PATIENCE * 1000)


def wait_for_map(page: Page) -> None:
    """Wait until the map of a finished answer is drawn: the numbers below it come first."""
    drawn = page.locator(".candor:not([data-live]) .text i:visible").first
    drawn.wait_for(timeout=PATIENCE * 1000)
    wait_for_app(page)
    drawn.wait_for(timeout=PATIENCE * 1000)  # a busy machine may draw it once more


def fill_in(page: Page, prompt: str, tokens: int) -> None:
    """Fill in the form of Explore."""
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("Max new tokens", exact=True).fill(str(tokens))
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.keyboard.press("Escape")
    page.get_by_label("Prompt", exact=True).fill(prompt)


def generate(page: Page, prompt: str, tokens: int = 12) -> None:
    """Generate an answer to a prompt on Explore."""
    fill_in(page, prompt, tokens)
    page.get_by_role("button", name="Generate").click()


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of a select box. Opens the list again where a run of the script has just closed it."""
    deadline = time.monotonic() + PATIENCE
    choice = page.get_by_role("option", name=option)
    wait_for_app(page)
    while not choice.is_visible():
        if time.monotonic() > deadline:
            raise AssertionError(f"{label} offers no {option}")
        page.get_by_role("combobox", name=label, exact=True).click()
        with contextlib.suppress(Error):
            choice.wait_for(timeout=2000)
    choice.click()
    wait_for_app(page)


def upload(page: Page, field: Locator, file: Path) -> None:
    """Put a file into a file field, and wait until the server has it."""
    field.set_input_files(file)
    # The size takes the place of the word that it is being uploaded.
    page.get_by_label(re.compile(rf"^{re.escape(file.name)}, [0-9.]+[KM]?B$")).wait_for()
    wait_for_app(page)


def chromium_path() -> str:
    """Where Chromium is: $CHROMIUM, or the system's own. Raises RuntimeError where there is none."""
    path = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    if shutil.which(path) is None:
        raise RuntimeError(f"No Chromium at {path}. Install one, or set CHROMIUM to its path.")
    return path


@contextlib.contextmanager
def serving(
    script: str | Path, environment: dict[str, str], options: Mapping[str, str] = MappingProxyType({})
) -> Iterator[str]:
    """The URL of a Streamlit script, a path from the repository's root on, that runs until the end of the block.

    options: of Streamlit's configuration.
    """
    port = _free_port()
    options = dict(options) | {
        "server.headless": "true",
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *flags]
    # A pipe that nobody reads would block the server once it is full.
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"CANDOR_DATA": data, "CANDOR_SETTINGS": "off"} | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            if not _healthy(url, process):
                log.seek(0)
                raise RuntimeError(f"{script} did not start:\n{log.read()}")
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
