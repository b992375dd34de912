"""The Models page: one text under the embedded model and a tiny one with another tokenizer; saved runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support import tiny
from tests.support.browser import choose, generate, wait_for_app, wait_for_map

pytestmark = [pytest.mark.browser, pytest.mark.model]
TEXT = "The cat <b>sat</b> on the mat."


def test_two_models_with_two_tokenizers(page: Page, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory: Path = tiny.make_random(tmp_path_factory.mktemp("models") / "tiny", "llama")
    page.goto(serve("app.py") + "/models")
    expect(page.get_by_text("Your text appears here")).to_be_visible()
    expect(page.get_by_text("This comparison needs a second model.")).to_be_visible()
    page.get_by_role("textbox", name="Text").fill(TEXT)
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("Choose a second model to compare with.")).to_be_visible()
    choose(page, "Model", "Another model")
    page.get_by_role("textbox", name="Directory, GGUF file or hub id").fill(str(directory))
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.get_by_role("button", name="Use the sidebar's model").nth(1).click()
    wait_for_app(page)
    page.get_by_role("button", name="Compare").click()
    page.locator(".differences .text span").first.wait_for()
    assert "".join(page.locator(".differences .text span").all_text_contents()) == TEXT
    expect(page.locator(".text .less").first).to_be_attached()
    expect(page.get_by_text(re.compile(r"Comparing \d+ characters"))).to_be_visible()
    expect(page.get_by_text("More likely to the second model", exact=True)).to_be_visible()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.locator(".differences .text span").first.wait_for()
    expect(page.get_by_role("textbox", name="Text")).to_have_value(TEXT)


def test_the_base_against_its_tuned_sibling(page: Page, serve: Serve) -> None:
    """What a fresh machine can compare without any other model."""
    page.goto(serve("app.py") + "/models")
    page.get_by_role("button", name="Base against tuned").click()
    wait_for_app(page)
    expect(page.get_by_text("Ardenworks-tuned SmolLM2-135M").first).to_be_visible()
    page.get_by_role("button", name="Compare").click()
    page.locator(".differences .text span").first.wait_for()
    expect(page.locator(".text .more").first).to_be_attached()


def test_a_saved_run_against_the_current_model(page: Page, serve: Serve) -> None:
    """With only one model, compare an answer from history with the same text scored now."""
    url = serve("app.py")
    page.goto(url)
    generate(page, "The rivers of Europe flow")
    wait_for_map(page)
    expect(page.get_by_text("Saved to history.")).to_be_visible()
    page.get_by_role("link", name="Models").click()
    wait_for_app(page)
    choose(page, "Or a saved run as the first model", "The rivers of Europe flow")
    expect(page.get_by_role("textbox", name="Text")).to_be_disabled()
    expect(page.get_by_role("textbox", name="Text")).to_have_value(re.compile("^The rivers of Europe flow "))
    page.get_by_role("button", name="Use the sidebar's model").nth(1).click()
    wait_for_app(page)
    expect(page.get_by_text("1 text to score")).to_be_visible()
    page.get_by_role("button", name="Compare").click()
    page.locator(".differences .text span").first.wait_for()
    shown = "".join(page.locator(".differences .text span").all_text_contents())
    assert shown.startswith("The rivers of Europe flow ")
    expect(page.locator(".text .less, .text .more")).to_have_count(0)  # the model is the same
    expect(page.get_by_text("Saved to history.")).to_be_visible()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.locator(".differences .text span").first.wait_for()
    expect(page.get_by_role("textbox", name="Text")).to_have_value(re.compile("^The rivers of Europe flow "))
