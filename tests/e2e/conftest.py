"""A real server and a real Chromium for tests marked `browser`.

`serve(script)` gives the URL of a running Streamlit script, `serve_app(name)` that of a small app, `page` a fresh
browser tab that fails its test on any error in the console.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    ConsoleMessage,
    Page,
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


@pytest.fixture(scope="session")
def serve_app(serve: Serve) -> Serve:
    """`serve_app(name, **query)`: the address of an app of tests/e2e/apps. All of them share a server."""

    def address(name: str, **query: object) -> str:
        return f"{serve('tests/e2e/apps/server.py')}/?{urlencode({'app': name} | query)}"

    return address


# What lasts until the last test here. No fixtures of the session: the event loop of Playwright keeps other tests in
# this thread from starting one. Nor of the module: starting Chromium and filling its cache takes seconds.
_LASTING = contextlib.ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """Close the browsers once no other test here follows."""
    try:
        return (yield)
    finally:
        if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
            _LASTING.close()
            for each in (_chromium, _browser, _visitor):
                each.cache_clear()


@cache
def _chromium() -> BrowserType:
    return _LASTING.enter_context(sync_playwright()).chromium


@cache
def _browser() -> Browser:
    chromium = _chromium().launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
    _LASTING.callback(chromium.close)
    return chromium


@cache
def _visitor() -> BrowserContext:
    """A Chromium that caches what it fetches and compiles, which halves the time of every later visit."""
    context = _chromium().launch_persistent_context(
        _LASTING.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)),
        executable_path=chromium_path(),
        args=list(CHROMIUM_ARGS),
        viewport={"width": 1280, "height": 900},
        permissions=["clipboard-read"],
    )
    _LASTING.callback(context.close)
    return context


@pytest.fixture
def browser() -> Browser:
    """Chromium, from $CHROMIUM or the system. Without one, tests fail rather than being skipped."""
    return _browser()


@pytest.fixture
def page() -> Iterator[Page]:
    """A tab of a new visitor. The test fails if the page logs or raises an error."""
    with _tab() as tab:
        yield tab


@pytest.fixture(scope="module")
def lasting_page() -> Iterator[Page]:
    """A tab that stays open beside the others, for tests that leave it as they found it."""
    with _tab() as tab:
        _KEPT.add(tab)
        yield tab
        _KEPT.remove(tab)


_KEPT: set[Page] = set()


@contextlib.contextmanager
def _tab() -> Iterator[Page]:
    context = _visitor()
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
        context.on(event, listener)  # type: ignore[call-overload]
    expect.set_options(timeout=PATIENCE * 1000)
    context.set_offline(False)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE * 1000)
    yield tab
    last = context.new_page()  # the browser closes with its last tab
    for each in context.pages:
        if each is not last and each not in _KEPT:
            each.close()
    for event, listener in listeners.items():
        context.remove_listener(event, listener)
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
