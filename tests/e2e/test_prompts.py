"""The Prompts page: two prompts side by side, and what helped."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support.browser import wait_for_app, wait_for_map

pytestmark = [pytest.mark.browser, pytest.mark.model]


def test_two_prompts_and_what_helped(page: Page, serve: Serve) -> None:
    page.goto(serve("app.py") + "/prompts")
    expect(page.get_by_text("The prompts appear here side by side")).to_be_visible()
    page.get_by_role("textbox", name="Prompt 1").fill("Name a fruit.")
    page.keyboard.press("Tab")
    wait_for_app(page)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("There is only one prompt.")).to_be_visible()
    page.get_by_role("textbox", name="Prompt 2").fill("Be *brief*. Name a <b>yellow</b> fruit.")
    page.keyboard.press("Tab")
    page.get_by_role("spinbutton", name="Max new tokens").fill("8")
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.get_by_role("button", name="Compare").click()
    wait_for_map(page)
    expect(page.locator(".candor")).to_have_count(2)
    expect(page.get_by_text("n = 1 sample each")).to_be_visible()
    wait_for_app(page)
    typed = page.get_by_text(re.compile(r"\+ Be \*brief\*\."))
    for _ in range(3):  # an expander clicked during a rerun may close again
        if not typed.is_visible():
            page.get_by_text("How the prompts differ").click()
            page.wait_for_timeout(1000)
    expect(typed).to_be_visible()  # literal, not markup
    page.get_by_role("button", name="Analyze").click()
    expect(page.get_by_text("How much each sentence of prompt").or_(
        page.get_by_text("has only one sentence")
    )).to_be_visible()  # fmt: skip
    expect(page.locator(".differences .text").first).to_be_visible()
    page.get_by_text("Versions in this session: 2").click()
    page.get_by_role("textbox", name="Name").fill("Bare")
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.get_by_role("button", name="Rename").click()
    wait_for_app(page)
    page.get_by_role("button", name="Use as prompt 2").click()
    expect(page.get_by_role("textbox", name="Prompt 2")).to_have_value("Name a fruit.")
    link = page.url
    page.goto("about:blank")
    page.goto(link.replace("/prompts?", "/compare?"))  # the former address
    wait_for_map(page)
    expect(page.get_by_role("textbox", name="Prompt 2")).to_have_value("Be *brief*. Name a <b>yellow</b> fruit.")

    # The same prompts over many inputs, in Evaluate.
    page.get_by_role("button", name="Compare them on many inputs").click()
    expect(page.get_by_text("2 prompts from the Prompts page.")).to_be_visible()
    page.get_by_role("button", name="Sums of one digit").click()
    expect(page.get_by_text("The template names no column")).to_be_visible()
    page.get_by_text("Compare models or prompts").click()
    expect(page.get_by_role("textbox", name="Prompt 2")).to_have_value("Be *brief*. Name a <b>yellow</b> fruit.")
