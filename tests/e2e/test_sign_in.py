"""With sign-in: runs are private to their owner until shared."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_history import choose_rows, open_response
from tests.support.browser import PATIENCE, serving, wait_for_app, wait_for_map
from tests.support.oidc import provider
from tests.support.serve_clients import until

pytestmark = pytest.mark.browser


@pytest.fixture
def visitor(browser: Browser, tmp_path: Path) -> Iterator[Callable[[str], Page]]:
    """`visitor(name)`: a tab of a visitor signed in by that name, on the app's first page."""
    with contextlib.ExitStack() as stack:
        identities = stack.enter_context(provider())
        secrets = tmp_path / "secrets.toml"
        secrets.write_text(identities.secrets())
        environment = {"CANDOR_WARM_UP": "0", "CANDOR_DATA": str(tmp_path)}
        url = stack.enter_context(serving("app.py", environment, {"secrets.files": str(secrets)}))

        def signed_in(name: str) -> Page:
            context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=url)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            page.goto("/")
            expect(page.get_by_role("heading", name="Sign in to Candor")).to_be_visible()
            expect(page.get_by_label("Prompt", exact=True)).to_have_count(0)
            identities.user = name
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_text(name.capitalize(), exact=True)).to_be_visible()
            wait_for_app(page)
            return page

        yield signed_in


def test_a_link_opens_for_others_only_once_it_is_shared(visitor: Callable[[str], Page]) -> None:
    ann = visitor("ann")
    open_response(ann, "/")
    expect(ann.get_by_text("Saved to history.")).to_be_visible()
    link = ann.url[ann.url.index("/?") :]
    cookies = {each["name"]: each for each in ann.context.cookies()}
    signed = [each for name, each in cookies.items() if name.startswith("_streamlit_user")]
    assert signed
    assert all(each["httpOnly"] and each["sameSite"] in ("Lax", "Strict") for each in signed), "kept from scripts"

    bob = visitor("bob")
    for gone in (link, "/history" + link[1:]):
        bob.goto(gone)
        wait_for_app(bob)
        expect(bob.locator(".candor")).to_have_count(0)
    expect(bob.get_by_text("Your runs appear here")).to_be_visible()
    bob.goto(link)
    expect(bob.get_by_text("The answer this link points to is no longer available")).to_be_visible()

    ann.goto("/history")
    choose_rows(ann, 0)
    ann.get_by_text("Shared").click()
    ann.get_by_role("button", name="Save").click()
    wait_for_app(ann)

    bob.goto(link)
    wait_for_map(bob)
    expect(bob.get_by_text("Saved to history.")).to_have_count(0)  # the run isn't his to save
    bob.goto("/history")
    choose_rows(bob, 0)
    expect(bob.get_by_role("button", name="Export", exact=True)).to_be_visible()
    expect(bob.get_by_role("button", name="Remove from history", exact=True)).to_have_count(0)
    expect(bob.get_by_role("button", name="Save")).to_have_count(0)

    bob.get_by_role("button", name="Sign out").click()
    expect(bob.get_by_role("heading", name="Sign in to Candor")).to_be_visible()
    # The page says so before the browser has gone to the address that takes the cookie away.
    assert until(lambda: not any(each["name"].startswith("_streamlit_user") for each in bob.context.cookies()))
    bob.goto(link)
    expect(bob.get_by_text("open your link again")).to_be_visible()
    expect(bob.locator(".candor")).to_have_count(0)
