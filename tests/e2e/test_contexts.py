"""The Contexts page in a browser: score the example, keep fewer, answer, and open the link again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.e2e.test_accessibility import violations
from tests.support.browser import wait_for_app

pytestmark = [pytest.mark.browser, pytest.mark.model]


def test_score_prune_and_answer(page: Page, serve: Serve) -> None:
    url = serve("app.py")
    page.goto(f"{url}/contexts")
    wait_for_app(page)
    page.get_by_role("button", name="Look-alike passages").click()
    expect(page.get_by_text("6 passages, at most 50")).to_be_visible()
    page.get_by_role("button", name="Score passages").click()
    expect(page.get_by_text("Saved to history")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("3 of 6")).to_be_visible()
    page.get_by_role("slider").first.press("ArrowLeft")
    expect(page.get_by_text("2 of 6")).to_be_visible()
    assert violations(page) == []

    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_text("Without any passage").first).to_be_visible(timeout=60_000)
    expect(page.locator(".text i:visible").first).to_be_visible(timeout=60_000)
    page.get_by_text("Export", exact=True).click()
    expect(page.get_by_test_id("stCode").filter(has_text="def prune")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Kept passages (JSON)").click()
    assert saved.value.path().read_text(encoding="utf-8").count('"text"') == 2

    link = page.url
    page.goto("about:blank")
    page.goto(link)
    wait_for_app(page)
    expect(page.get_by_role("textbox", name="Question", exact=True)).to_have_value("When is the Selby museum closed?")
    expect(page.get_by_text("Without any passage").first).to_be_visible()
