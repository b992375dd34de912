"""An answer while it is generated, in a real browser: new tokens are appended, and none are sent or drawn twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lib.display.token_map_view import TokenMapView
from tests.benchmarks.completions import long_completion
from tests.e2e.conftest import Serve
from tests.support.browser import wait_for_app

pytestmark = pytest.mark.browser
TOKENS, RATE = 280, 80


@pytest.fixture
def writing(page: Page, serve_app: Serve) -> Callable[[], None]:
    """Call it to start generating an answer on the page."""
    page.goto(serve_app("stream_app", tokens=TOKENS, rate=RATE))
    wait_for_app(page)

    def write() -> None:
        page.get_by_role("button", name="Write").click()
        expect(page.locator(".candor[data-live]")).to_be_visible()

    return write


def cells(page: Page) -> Any:
    return page.locator(".text i")


def finished(page: Page) -> None:
    expect(page.locator(".candor:not([data-live])")).to_be_visible()
    expect(cells(page)).to_have_count(TOKENS)


def expect_all(page: Page) -> None:
    """Expect the text of the whole answer."""
    done = long_completion(TOKENS)
    assert cells(page).evaluate_all("all => all.map(each => each.textContent)") == [
        done.pieces.text_of(int(ref)) for ref in done.generated.refs
    ]


def test_drawn_cells_stay_while_tokens_arrive(page: Page, writing: Callable[[], None]) -> None:
    writing()
    page.wait_for_timeout(1200)
    seen = cells(page).evaluate_all("all => all.map((each, i) => (each.mark = i))")
    assert 20 < len(seen) < TOKENS
    finished(page)
    marks = cells(page).evaluate_all("all => all.map(each => each.mark ?? null)")
    stay = len(seen) - 2  # the last cells may have become part of others
    assert marks[:stay] == list(range(stay))
    expect_all(page)


def test_settled_tokens_are_not_sent_again(page: Page, serve_app: Serve) -> None:
    sent: list[tuple[float, int]] = []
    page.on("response", lambda answer: sent.append((time.time(), int(answer.headers.get("content-length", 0)))))
    # Slowly: a machine so busy that it draws twice only would get nearly all tokens at once.
    page.goto(serve_app("stream_app", tokens=TOKENS, rate=RATE / 2))
    wait_for_app(page)
    page.get_by_role("button", name="Write").click()
    finished(page)
    wait_for_app(page)
    page.get_by_role("button", name="Notes").click()
    expect(page.get_by_test_id("stCode").first).to_contain_text("costs")
    notes = json.loads(page.get_by_test_id("stCode").first.inner_text())
    begun = next(when for tokens, when in notes["published"] if tokens >= 20)
    ended = notes["published"][-1][1]
    live = [size for when, size in sent if begun < when < ended]
    whole = len(TokenMapView(long_completion(TOKENS)).packed())
    assert 2_000 < max(live) < 0.8 * whole  # some lines and their alternatives, but not all


def test_a_pin_and_a_metric_chosen_midway_stay(page: Page, writing: Callable[[], None]) -> None:
    writing()
    page.wait_for_timeout(800)
    page.get_by_role("radio", name="Surprisal").click()
    page.get_by_role("combobox", name="Group by").select_option("word")
    cells(page).nth(3).click()
    finished(page)
    expect(page.get_by_role("radio", name="Surprisal")).to_be_checked()
    expect(page.get_by_role("combobox", name="Group by")).to_have_value("word")
    expect(page.locator(".text i[data-pin]")).to_have_count(1)
    expect(cells(page).nth(3)).to_have_attribute("data-pin", "")
    expect_all(page)


def test_a_threshold_can_be_typed_midway(page: Page, writing: Callable[[], None]) -> None:
    writing()
    page.get_by_role("button", name="Adjust").click()
    field = page.locator(".edges input").first
    field.click()
    field.press("Control+a")
    page.keyboard.type("96", delay=300)
    page.wait_for_timeout(500)
    expect(field).to_have_value("96")
    page.keyboard.press("Enter")
    expect(page.locator(".ramp i").first).to_have_text("≥ 96%")
    finished(page)
    expect_all(page)


def test_a_reader_who_scrolls_and_resizes_loses_nothing(page: Page, writing: Callable[[], None]) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    writing()
    page.wait_for_timeout(1500)
    text = page.locator(".text")
    text.evaluate("text => text.scrollTop = 30")
    page.wait_for_timeout(400)
    page.set_viewport_size({"width": 500, "height": 700})
    page.get_by_role("radio", name="Margin").click()
    finished(page)
    assert text.evaluate("text => text.scrollHeight - text.clientHeight - text.scrollTop") > 32  # it stayed behind
    expect_all(page)


def test_a_tab_out_of_sight_asks_for_nothing(page: Page, serve_app: Serve) -> None:
    asked: list[float] = []
    page.on("request", lambda request: "/growing/" in request.url and asked.append(time.time()))
    page.add_init_script(
        "Object.defineProperty(document, 'visibilityState', { get: () => window.__hidden ? 'hidden' : 'visible' })"
    )
    page.goto(serve_app("stream_app", tokens=TOKENS, rate=RATE))
    wait_for_app(page)
    page.get_by_role("button", name="Write").click()
    expect(cells(page).nth(20)).to_be_attached()
    page.evaluate("window.__hidden = true")
    page.wait_for_timeout(500)
    before = len(asked)
    page.wait_for_timeout(1500)
    assert len(asked) == before > 0
    page.evaluate("() => { window.__hidden = false; document.dispatchEvent(new Event('visibilitychange')); }")
    finished(page)
    expect_all(page)


def test_a_slow_network_makes_it_lag_but_not_stop(page: Page, serve_app: Serve) -> None:
    """200 ms and 1 Mbit/s, each way."""
    page.goto(serve_app("stream_app", tokens=TOKENS, rate=RATE))
    wait_for_app(page)
    network = page.context.new_cdp_session(page)
    limits = {"offline": False, "latency": 200, "downloadThroughput": 125_000, "uploadThroughput": 125_000}
    network.send("Network.emulateNetworkConditions", limits)
    page.get_by_role("button", name="Write").click()
    expect(cells(page).nth(5)).to_be_attached()
    assert cells(page).count() < TOKENS
    finished(page)
    expect_all(page)


def test_a_browser_that_reaches_no_frames_gets_the_answer_by_the_page(page: Page, serve_app: Serve) -> None:
    """As behind a proxy that lets only Streamlit's own addresses through."""
    page.route("**/growing/**", lambda route: route.fulfill(status=204))
    page.goto(serve_app("stream_app", tokens=TOKENS, rate=RATE / 4))
    wait_for_app(page)
    page.get_by_role("button", name="Write").click()
    expect(cells(page).nth(5)).to_be_attached()
    assert cells(page).count() < TOKENS
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".candor:not([data-live])")).to_be_visible()
    page.get_by_role("button", name="Write").click()  # what it has learnt holds for the next answer, too
    expect(page.locator(".candor[data-live]")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".candor:not([data-live])")).to_be_visible()


@pytest.mark.soak
def test_pages_survive_a_busy_machine(page: Page, serve_app: Serve) -> None:
    """Messages then wait long enough to be dropped, which once left updates for missing elements."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        for _ in range(30):
            page.goto(serve_app("stream_app", tokens=40, rate=400))
            wait_for_app(page)
            for _ in range(10):
                page.get_by_role("button", name="Write").click()
                page.wait_for_timeout(500)
    finally:
        for each in busy:
            each.kill()
