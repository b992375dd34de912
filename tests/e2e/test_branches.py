"""Branching in the real app: choosing an alternative, the tree of answers, two answers side by side."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support.browser import PATIENCE, choose, generate, wait_for_app, wait_for_map

pytestmark = [pytest.mark.browser, pytest.mark.model]

FOX = "The quick brown fox jumps"
SLOW = 120_000  # milliseconds: the first answer waits for the model to load


@pytest.fixture
def answered(page: Page, serve: Serve) -> Page:
    """Explore with an answer to "The quick brown fox": " over a lazy dog" and more."""
    page.goto(serve("app.py"))
    generate(page, FOX)
    finished(page)
    return page


def finished(page: Page) -> None:
    expect(page.get_by_test_id("stMetric").first).to_be_visible(timeout=SLOW)
    wait_for_map(page)


def text(page: Page, number: int = 0) -> str:
    """The text of a map once it stops changing; a busy machine draws it in several steps."""
    before, deadline = "", time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        shown = "".join(page.locator(".candor").nth(number).locator(".text i").all_text_contents())
        if shown and shown == before:
            return shown
        before = shown
        page.wait_for_timeout(100)
    return before


def open_branch(page: Page, token: int) -> None:
    """Pin a token and open the form for a branch there."""
    page.locator(".text i").nth(token).click()
    expect(page.locator(".text i[data-pin]")).to_have_count(1)
    wait_for_app(page)
    form = page.get_by_role("button", name="Branch", exact=True)
    if not form.is_visible():
        page.get_by_text("Branch here").click()
    expect(form).to_be_visible()
    wait_for_app(page)


def press_branch(page: Page) -> None:
    before = page.url
    page.get_by_role("button", name="Branch", exact=True).click()
    page.wait_for_url(lambda url: url != before)
    finished(page)


def tree(page: Page) -> str:
    return page.get_by_role("combobox", name=re.compile("Tree of")).input_value()


def test_branch_at_an_alternative_and_navigate_the_tree(answered: Page) -> None:
    page, root = answered, text(answered)
    assert root.startswith(f"{FOX} over a lazy dog")
    open_branch(page, 6)  # " a"
    choose(page, "Continue with", "·the")
    press_branch(page)
    assert text(page).startswith(f"{FOX} over the ")
    expect(page.locator(".text i.o")).to_have_text(" the")
    expect(page.get_by_text("after 1 token of the answer, “·the” was forced")).to_be_visible()
    page.locator(".text i.o").hover()
    expect(page.locator(".tip")).to_contain_text("forced")

    # A branch of the branch, then back up the tree.
    open_branch(page, 8)
    press_branch(page)
    expect(page.get_by_text("Tree of 3 answers")).to_be_visible()
    assert text(page).startswith(f"{FOX} over the ")
    choose(page, "Tree of 3 answers", "over a lazy dog")
    finished(page)
    assert text(page) == root
    page.reload()
    finished(page)
    expect(page.get_by_text("Tree of 3 answers")).to_be_visible()
    assert text(page) == root

    # Two answers side by side, on one scale.
    choose(page, "Side by side with", "└ over the board.")
    expect(page.locator(".candor")).to_have_count(2)
    assert text(page, 0) == root
    assert text(page, 1).startswith(f"{FOX} over the board.")


def test_branch_with_typed_text(answered: Page) -> None:
    page = answered
    open_branch(page, 6)
    choose(page, "Continue with", "Your own text")
    page.get_by_role("textbox", name="Text to insert").fill(" seven <b>sleeping</b>")
    page.keyboard.press("Enter")
    wait_for_app(page)
    press_branch(page)
    assert text(page).startswith(f"{FOX} over seven <b>sleeping</b>")
    assert page.locator(".text i.o").count() >= 3


def test_a_branch_within_the_prompt_but_not_at_its_first_token(answered: Page) -> None:
    page = answered
    open_branch(page, 0)
    expect(page.get_by_role("button", name="Branch", exact=True)).to_be_disabled()
    reason = "There is nothing before the first token to continue from. Edit the prompt instead."
    expect(page.get_by_text(reason)).to_be_visible()
    open_branch(page, 3)  # " fox"
    expect(page.get_by_role("button", name="Branch", exact=True)).to_be_enabled()
    press_branch(page)
    said = text(page)
    assert said.startswith("The quick brown ")
    assert not said.startswith("The quick brown fox")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value(FOX)


def test_rename_remove_and_undo(answered: Page) -> None:
    page = answered
    open_branch(page, 6)
    press_branch(page)
    page.locator(".st-key-tree").get_by_test_id("stPopover").get_by_role("button").click()
    page.get_by_label("Name", exact=True).fill("The other way")
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="Tree of 2 answers")).to_have_value(re.compile("The other way"))
    page.locator(".st-key-tree").get_by_test_id("stPopover").get_by_role("button").click()
    page.get_by_role("button", name="Remove answer").click()
    wait_for_app(page)
    expect(page.get_by_text("1 answer removed.")).to_be_visible()
    assert text(page).startswith(f"{FOX} over a lazy dog")
    page.get_by_role("button", name="Undo").click()
    wait_for_app(page)
    expect(page.get_by_role("combobox", name="Tree of 2 answers")).to_have_value(re.compile("The other way"))


def test_editing_the_prompt_keeps_the_tree(answered: Page) -> None:
    page = answered
    page.get_by_label("Prompt", exact=True).fill("The quick brown fox sleeps")
    before = page.url
    page.get_by_role("button", name="Generate").click()
    page.wait_for_url(lambda url: url != before)
    finished(page)
    expect(page.get_by_text("Tree of 2 answers")).to_be_visible()
    choose(page, "Tree of 2 answers", "over a lazy dog")
    finished(page)
    assert text(page).startswith(f"{FOX} over a lazy dog")
