"""The Rank page: samples and candidates, the order, and the link back to it."""

from __future__ import annotations

import csv
import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support.browser import choose, wait_for_map

pytestmark = [pytest.mark.browser, pytest.mark.model]


def test_the_published_pair_and_samples(page: Page, serve: Serve) -> None:
    url = serve("app.py")
    page.goto(f"{url}/rank")
    expect(page.get_by_text("The answers appear here")).to_be_visible()
    page.get_by_role("button", name="Two translations of a proverb").click()
    expect(page.get_by_text("2 texts to score")).to_be_visible()
    page.get_by_role("button", name="Rank", exact=True).click()
    wait_for_map(page)
    expect(page.locator(".text")).to_contain_text("Strike while the iron is hot.")  # the more likely one is shown
    choose(page, "Rank by", "Sum of logprobs")
    expect(page.locator(".text")).to_contain_text("iron is hot.")
    link = page.url

    # The CSV is Candor's: Streamlit's own would not defuse formulas.
    page.get_by_test_id("stDataFrame").hover()
    expect(page.get_by_role("button", name="Fullscreen").last).to_be_visible()
    expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV", exact=True).click()
    rows = list(csv.DictReader(saved.value.path().read_text(encoding="utf-8").splitlines()))
    assert rows[0]["Answer"] == "Strike while the iron is hot."
    assert float(rows[0]["Mean"]) < 0

    # With nothing to rank, it says so, and the previous ranking stays.
    page.get_by_role("textbox", name="Candidates").fill("")
    page.keyboard.press("Control+Enter")  # asks, as on every page
    expect(page.get_by_text("There is nothing to rank.")).to_be_visible()
    expect(page.locator(".text i:visible").first).to_be_visible()

    # The link opens it again, even under another page's address, with the form filled in.
    page.goto("about:blank")
    page.goto(link.replace("/rank", "/"))
    wait_for_map(page)
    assert "/rank" in page.url
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value(re.compile("Translate into English"))
    expect(page.get_by_role("textbox", name="Candidates")).to_have_value(re.compile("Strike .*\nBeat"))
    page.goto(f"{url}/history")
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
