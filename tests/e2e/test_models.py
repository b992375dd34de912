"""The page Models: one text under the embedded model and a tiny one of another tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support import tiny
from tests.support.browser import choose, wait_for_app

pytestmark = [pytest.mark.browser, pytest.mark.model]
TEXT = "The cat <b>sat</b> on the mat."


def test_two_models_with_two_tokenizers(page: Page, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory: Path = tiny.make_random(tmp_path_factory.mktemp("models") / "tiny", "llama")
    page.goto(serve("app.py") + "/models")
    expect(page.get_by_text("Here the text will stand")).to_be_visible()
    page.get_by_role("textbox", name="Text").fill(TEXT)
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("A model is missing.")).to_be_visible()
    choose(page, "Model", "Another model")
    page.get_by_role("textbox", name="Directory, GGUF file or hub id").fill(str(directory))
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.get_by_role("button", name="Take the one in the sidebar").nth(1).click()
    wait_for_app(page)
    page.get_by_role("button", name="Compare").click()
    page.locator(".differences .text span").first.wait_for()
    assert "".join(page.locator(".differences .text span").all_text_contents()) == TEXT
    expect(page.locator(".differences .less").first).to_be_attached()
    expect(page.get_by_text("characters are compared")).to_be_visible()
    expect(page.get_by_text("Likelier to the second model", exact=True)).to_be_visible()
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    page.locator(".differences .text span").first.wait_for()
    expect(page.get_by_role("textbox", name="Text")).to_have_value(TEXT)
