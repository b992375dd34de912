"""The page Prompts: two side by side, and what helped."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support.browser import wait_for_app, wait_for_map

pytestmark = [pytest.mark.browser, pytest.mark.model]


def test_two_prompts_and_what_helped(page: Page, serve: Serve) -> None:
    page.goto(serve("app.py") + "/prompts")
    expect(page.get_by_text("Here the prompts will stand side by side")).to_be_visible()
    page.get_by_role("textbox", name="Prompt 1").fill("Name a fruit.")
    page.keyboard.press("Control+Enter")
    wait_for_app(page)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("There is only one prompt.")).to_be_visible()
    page.get_by_role("textbox", name="Prompt 2").fill("Be *brief*. Name a <b>yellow</b> fruit.")
    page.keyboard.press("Control+Enter")
    page.get_by_role("spinbutton", name="Tokens to write").fill("8")
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.get_by_role("button", name="Compare").click()
    wait_for_map(page)
    expect(page.locator(".candor")).to_have_count(2)
    expect(page.get_by_text("from one run of each")).to_be_visible()
    wait_for_app(page)
    typed = page.get_by_text(re.compile(r"\+ Be \*brief\*\."))
    for _ in range(3):  # an expander that is clicked while the page is drawn again may close
        if not typed.is_visible():
            page.get_by_text("What sets the prompts apart").click()
            page.wait_for_timeout(1000)
    expect(typed).to_be_visible()  # as typed, and no markup
    page.get_by_role("button", name="Find out").click()
    expect(page.get_by_text("by what each sentence does for its answer").or_(
        page.get_by_text("has one sentence only")
    )).to_be_visible()  # fmt: skip
    expect(page.locator(".differences .text").first).to_be_visible()
    page.get_by_text("Versions of this session: 2").click()
    page.get_by_role("textbox", name="Its name").fill("Bare")
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.get_by_role("button", name="Rename").click()
    wait_for_app(page)
    page.get_by_role("button", name="Compare as prompt 2").click()
    expect(page.get_by_role("textbox", name="Prompt 2")).to_have_value("Name a fruit.")
    link = page.url
    page.goto("about:blank")
    page.goto(link.replace("/prompts?", "/compare?"))  # as links were before
    wait_for_map(page)
    expect(page.get_by_role("textbox", name="Prompt 2")).to_have_value("Be *brief*. Name a <b>yellow</b> fruit.")
