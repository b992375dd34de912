"""A full answer in a real browser: reasoning counts only on request, and token text is always shown as text."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from lib import formatting
from lib.scores.token_scores import summarise_answer
from tests.e2e.apps.token_map_app import examples
from tests.e2e.conftest import Serve
from tests.support.browser import wait_for_map

pytestmark = pytest.mark.browser
HOSTILE = (" <script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", "</style>", "</i></div>")


@pytest.fixture
def answer(page: Page, serve_app: Serve) -> Page:
    page.goto(serve_app("answer_app"))
    expect(page.get_by_test_id("stMetric").last).to_be_visible()
    wait_for_map(page)
    return page


def test_reasoning_counts_only_on_request(answer: Page) -> None:
    whole = examples()["whole"]
    without, with_reasoning = (summarise_answer(whole, reasoning=each).scored for each in (False, True))
    assert without < with_reasoning
    scored = answer.get_by_text("prompt tokens.")
    expect(scored).to_contain_text(f"n = {without}")
    answer.get_by_text("Include reasoning in the answer's scores").click()
    expect(scored).to_contain_text(f"n = {with_reasoning}")


def test_hostile_text_is_text_in_detail_chart_and_table(answer: Page) -> None:
    cells = answer.locator(".text i")
    texts = cells.all_text_contents()
    for text in HOSTILE:
        cells.nth(texts.index(text)).click()
        expect(answer.locator(".st-key-detail code").first).to_contain_text(formatting.visible(text.strip()))
    points = answer.locator(".scatterlayer .point")
    expect(points.last).to_be_attached()
    points.first.scroll_into_view_if_needed()
    labels = answer.locator(".hoverlayer .hovertext")
    shown: set[str] = set()
    for place in range(len(examples()["whole"].prompt), points.count()):
        points.nth(place).hover(force=True)
        answer.wait_for_timeout(80)  # Plotly shows its label with a delay
        shown.update(labels.all_text_contents())
    assert any("<img" in text for text in shown), shown
    assert any("<script>" in text for text in shown), shown
    answer.get_by_text("All tokens").click()
    expect(answer.get_by_test_id("stDataFrame").last).to_be_visible()
    assert answer.evaluate("window.pwned === undefined")
    assert answer.locator(".hoverlayer script, .hoverlayer img, .stMain img[src=x]").count() == 0
