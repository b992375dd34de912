"""The Doubts page in a browser: from an answer on Explore to its flags, a policy of one's own, and back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.e2e.test_accessibility import violations
from tests.support.browser import generate, wait_for_app

pytestmark = [pytest.mark.browser, pytest.mark.model]


def test_from_explore_to_a_policy_as_code(page: Page, serve: Serve) -> None:
    url = serve("app.py")
    page.goto(url)
    generate(page, "The capital of France is", 8)
    page.get_by_role("button", name="Find doubtful words").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What might the model have made up?")
    wait_for_app(page)
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value("The capital of France is")
    assert "/doubts?run=" in page.url

    # A lower threshold flags more, without the server; letting go tells it.
    page.get_by_role("button", name="Many", exact=True).click()
    page.get_by_role("radio", name="All", exact=True).click()
    wait_for_app(page)
    expect(page.locator(".entry").first).to_be_visible()
    expect(page.get_by_text(re.compile("is not measured on this model|labelled facts"))).to_be_visible()

    # The policy as a function, which changes with the policy.
    page.get_by_text("Edit or export the policy").click()
    expect(page.get_by_test_id("stCode").filter(has_text="def decide")).to_be_visible()
    name = page.get_by_role("textbox", name="Name", exact=True)
    name.fill('Mine """ \\')
    name.press("Tab")
    page.get_by_role("button", name="Use this policy").click()
    wait_for_app(page)
    expect(page.get_by_test_id("stCode").filter(has_text="Mine")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Function (Python)").click()
    code = saved.value.path().read_text(encoding="utf-8")
    compile(code, "policy.py", "exec")
    assert violations(page) == []

    # The link opens the same answer, here and on Explore.
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    wait_for_app(page)
    expect(page.locator(".text i:visible").first).to_be_visible()
    page.goto(f"{url}/history")
    wait_for_app(page)
    expect(page.get_by_test_id("stDataFrame").first).to_be_visible()
