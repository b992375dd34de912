"""Explore as a new visitor sees it: the real app, the real embedded model, a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support.browser import choose, generate, wait_for_app, wait_for_map

pytestmark = [pytest.mark.browser, pytest.mark.model]

FOX = "The quick brown fox jumps"
SLOW = 120_000  # milliseconds: the first answer waits for the model to load


@pytest.fixture
def explore(page: Page, serve: Serve) -> Page:
    page.goto(serve("app.py"))
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    wait_for_app(page)
    return page


def finished(page: Page) -> None:
    outcome = page.get_by_test_id("stMetric").or_(page.get_by_role("alert")).first
    expect(outcome).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("alert")).to_have_count(0)
    wait_for_map(page)


def job_of(page: Page) -> str:
    return re.search(r"run=([\w-]+)", page.url)[1]  # type: ignore[index]


def test_a_new_visitor_sees_how_confident_the_model_was(explore: Page) -> None:
    generate(explore, FOX)
    finished(explore)
    cells = explore.locator(".text i")
    assert "".join(cells.all_text_contents()).startswith(f"{FOX} over a lazy dog")
    cells.nth(1).hover()
    tip = explore.locator(".tip")
    expect(tip).to_contain_text("6.1e-07")
    expect(tip).to_contain_text("rank 13,694")
    cells.nth(5).click()
    detail = explore.locator(".st-key-detail")
    expect(detail).to_contain_text("99.5%")
    expect(detail).to_contain_text("logprob −0.0050")
    expect(detail).to_contain_text("rank 1 · id 690 · answer, token 1")
    expect(explore.locator(".text i[data-pin]")).to_have_text(" over")


def test_a_click_or_a_reload_reuses_the_answer(explore: Page) -> None:
    generate(explore, "Once upon a time")
    finished(explore)
    job, text = job_of(explore), explore.locator(".text i").all_text_contents()
    explore.locator(".text i").nth(2).click()
    expect(explore.locator(".st-key-detail")).to_contain_text("prompt, token 3 of 4")
    assert job_of(explore) == job
    explore.reload()
    finished(explore)
    assert job_of(explore) == job
    assert explore.locator(".text i").all_text_contents() == text
    expect(explore.get_by_label("Prompt", exact=True)).to_have_value("Once upon a time")


def test_a_reload_midway_continues_the_same_answer(explore: Page) -> None:
    generate(explore, "My favourite recipe begins with", 50)
    expect(explore.get_by_role("button", name="Stop")).to_be_visible(timeout=SLOW)
    explore.wait_for_url(re.compile("run="))
    job = job_of(explore)
    explore.reload()
    expect(explore.get_by_role("button", name="Stop")).to_be_visible(timeout=SLOW)
    finished(explore)
    assert job_of(explore) == job
    expect(explore.get_by_text("n = 50 answer tokens")).to_be_visible()


def test_stop_keeps_the_partial_answer(explore: Page) -> None:
    generate(explore, "A very long story:", 2000)
    expect(explore.locator(".text i").nth(8)).to_be_visible(timeout=SLOW)
    explore.get_by_role("button", name="Stop").click()
    finished(explore)
    expect(explore.get_by_text("You stopped it. The partial answer is kept.")).to_be_visible()
    assert explore.locator(".text i").count() > 8


def test_chat_shows_the_template_as_the_model_read_it(explore: Page) -> None:
    explore.get_by_role("button", name="A question").click()
    expect(explore.get_by_label("Prompt", exact=True)).to_have_value(re.compile("sky"))
    explore.get_by_label("System prompt").fill("You are brief.")
    explore.get_by_role("button", name="Generate").click()
    finished(explore)
    text = "".join(explore.locator(".text i").all_text_contents())
    assert "<|im_start|>system\nYou are brief.<|im_end|>\n<|im_start|>user\n" in text


MISSING = [
    ("/tmp", "/tmp contains no model"),
    ("/nowhere/at/all", "There is no model at '/nowhere/at/all'"),
    ("no such thing", "There is no model at 'no such thing'"),
]


def test_a_missing_model(explore: Page) -> None:
    choose(explore, "Model", "Another model")
    for source, cause in MISSING:
        explore.get_by_label("Directory, GGUF file or hub id", exact=True).fill(source)
        explore.keyboard.press("Enter")
        wait_for_app(explore)
        generate(explore, "Keep me")
        expect(explore.get_by_role("alert")).to_contain_text(cause, timeout=SLOW)
        expect(explore.get_by_label("Prompt", exact=True)).to_have_value("Keep me")


def test_an_invalid_prompt(explore: Page) -> None:
    for prompt, cause in (("", "The prompt is empty"), ("word " * 9000, "reads at most 8,192")):
        generate(explore, prompt)
        expect(explore.get_by_role("alert")).to_contain_text(cause, timeout=SLOW)
        expect(explore.get_by_label("Prompt", exact=True)).to_have_value(prompt)
    generate(explore, "Still alive?")
    finished(explore)


def test_downloads(explore: Page, tmp_path: Path) -> None:
    generate(explore, "=1+1")
    finished(explore)
    saved = {}
    for name in ("JSON", "CSV"):
        with explore.expect_download() as download:
            explore.get_by_role("button", name=name).click()
        saved[name] = tmp_path / name
        download.value.save_as(saved[name])
    document = json.loads(saved["JSON"].read_text())
    assert document["request"]["prompt"] == "=1+1"
    assert document["prompt"][0]["logprob"] is None
    rows = list(csv.DictReader(io.StringIO(saved["CSV"].read_text(encoding="utf-8"), newline="")))
    assert rows[0]["text"] == "'="
    assert len(rows) == len(document["prompt"]) + len(document["generated"])


def test_a_printed_page_has_the_map_and_no_controls(explore: Page) -> None:
    generate(explore, FOX)
    finished(explore)
    explore.emulate_media(media="print")
    expect(explore.get_by_test_id("stSidebar")).to_be_hidden()
    expect(explore.get_by_role("button", name="Generate")).to_be_hidden()
    expect(explore.locator(".bar")).to_be_hidden()
    expect(explore.locator(".text i").nth(5)).to_be_visible()
    main = explore.get_by_test_id("stMain")
    assert main.evaluate("each => getComputedStyle(each).overflowY") == "visible"
    explore.pdf()  # nothing is cut off, because nothing scrolls


def test_a_link_to_the_page_goes_through_the_entry_point(page: Page, serve: Serve) -> None:
    """In a process without visits so far, Streamlit would run only the page's script."""
    page.goto(serve("app.py", CANDOR_WARM_UP="0") + "/explore?run=gone")
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    expect(page.get_by_role("combobox", name="Model")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "run=gone" in page.url


def test_a_link_to_an_unknown_answer(page: Page, serve: Serve) -> None:
    page.goto(serve("app.py") + "/?run=gone")
    expect(page.get_by_text("Your prompt and the answer")).to_be_visible()


def test_nothing_is_fetched_from_other_hosts_and_nothing_overflows(page: Page, serve: Serve) -> None:
    foreign: list[str] = []
    page.on("request", lambda request: foreign.append(request.url))
    page.set_viewport_size({"width": 390, "height": 844})
    url = serve("app.py")
    page.goto(url)
    generate(page, FOX)
    finished(page)
    page.wait_for_timeout(1000)
    assert [request for request in foreign if not request.startswith((url, "data:", "blob:"))] == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
