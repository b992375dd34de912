"""A real server and a real Chromium for tests marked `browser`.

`serve(script)` gives the URL of a running Streamlit script, `page` a fresh browser tab that fails its test on any error
in the console.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.browser import CHROMIUM_ARGS, PATIENCE, chromium_path, serving

Serve = Callable[..., str]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """`serve(script, **environment)`: the URL of the Streamlit script, a path from the repository's root on.

    A script is started once for the same environment, and everything is stopped at the end.
    """
    urls: dict[object, str] = {}
    running: list[contextlib.ExitStack] = []

    def start(script: str | Path, **environment: str) -> str:
        key = (str(script), *sorted(environment.items()))
        if key not in urls:
            running.append(contextlib.ExitStack())
            urls[key] = running[-1].enter_context(serving(script, environment))
        return urls[key]

    yield start
    with ThreadPoolExecutor(max(len(running), 1)) as pool:
        list(pool.map(lambda each: each.close(), running))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, from $CHROMIUM or where the system has it. Without one the browser tests fail: they are never skipped.

    Module-scoped, as Playwright keeps an event loop running in this thread, in which other tests could start none.
    """
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab in a fresh context. The test fails if the page logs an error or raises one."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read"])
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # Opened at a page's own address, Streamlit first looks for its server below that address.
        probing = "/_stcore/" in message.location.get("url", "")
        if message.type == "error" and not probing:
            errors.append(message.text)

    context.on("console", note)
    context.on("weberror", lambda error: errors.append(str(error.error)))
    expect.set_options(timeout=PATIENCE * 1000)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE * 1000)
    yield tab
    context.close()
    assert not errors, "errors in the browser:\n" + "\n".join(errors)
