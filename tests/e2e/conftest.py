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
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    WebError,
    expect,
    sync_playwright,
)

from tests.support.browser import CHROMIUM_ARGS, PATIENCE, chromium_path, serving

Serve = Callable[..., str]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """`serve(script, **environment)`: the URL of the running Streamlit script, a path from the repository's root.

    A script is started once per environment. All servers are stopped at the end of the session.
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
def _playwright() -> Iterator[Playwright]:
    """Module-scoped, because its event loop keeps other tests in this thread from starting one."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(_playwright: Playwright) -> Iterator[Browser]:
    """Chromium, from $CHROMIUM or the system. Without one, tests fail rather than being skipped."""
    chromium = _playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def _visitor(_playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A Chromium that caches what it fetches and compiles, which halves the time of every later visit."""
    context = _playwright.chromium.launch_persistent_context(
        tmp_path_factory.mktemp("chromium"),
        executable_path=chromium_path(),
        args=list(CHROMIUM_ARGS),
        viewport={"width": 1280, "height": 900},
        permissions=["clipboard-read"],
    )
    yield context
    context.close()


@pytest.fixture
def page(_visitor: BrowserContext) -> Iterator[Page]:
    """A tab of a new visitor. The test fails if the page logs or raises an error."""
    errors: list[str] = []
    origins: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        # If opened at a subpage, Streamlit first looks for its server below that address.
        probing = "/_stcore/" in message.location.get("url", "")
        if message.type == "error" and not probing:
            errors.append(message.text)

    def raised(error: WebError) -> None:
        errors.append(str(error.error))

    def navigated(request: Request) -> None:
        if request.is_navigation_request():
            origins.add("/".join(request.url.split("/")[:3]))

    listeners = {"console": note, "weberror": raised, "request": navigated}
    for event, listener in listeners.items():
        _visitor.on(event, listener)  # type: ignore[call-overload]
    expect.set_options(timeout=PATIENCE * 1000)
    _visitor.set_offline(False)
    tab = _visitor.new_page()
    tab.set_default_timeout(PATIENCE * 1000)
    yield tab
    last = _visitor.new_page()  # the browser closes with its last tab
    for each in _visitor.pages:
        if each is not last:
            each.close()
    for event, listener in listeners.items():
        _visitor.remove_listener(event, listener)
    _forget(last, origins)
    assert not errors, "errors in the browser:\n" + "\n".join(errors)


def _forget(tab: Page, origins: set[str]) -> None:
    """Clear everything that a visit stored, except its cache."""
    tab.context.clear_cookies()
    devtools = tab.context.new_cdp_session(tab)
    for origin in origins:
        stored = {"origin": origin, "storageTypes": "local_storage,indexeddb,service_workers,websql,file_systems"}
        devtools.send("Storage.clearDataForOrigin", stored)
    devtools.detach()
