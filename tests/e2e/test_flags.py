"""Flags of the token map in a real browser: what they mark and list, what they send, and how they are reached."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from components.token_map.export_html import to_html
from tests.e2e.apps import flags_app as app
from tests.e2e.conftest import Serve
from tests.e2e.test_accessibility import in_both_themes
from tests.support.browser import wait_for_app
from tests.support.hostile_text import STRINGS

pytestmark = pytest.mark.browser

USUAL = ["London", "1815", "Mary-Somerville", "Babbage", "<img src=x onerror=window.pwned=1>", "‹U+202E›evil שלום"]


@pytest.fixture
def shown(page: Page, serve_app: Serve) -> Page:
    return opened(page, serve_app("flags_app"))


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    wait_for_app(page)
    expect(page.locator(".text i").first).to_be_visible()
    return page


def passages(page: Page) -> list[str]:
    """The passages of the list."""
    return page.locator(".entry .passage bdi:last-child").all_text_contents()


def marked(page: Page) -> list[tuple[str, int]]:
    """The marked passages of the text, each with its severity: 1 is mild."""
    found = page.locator(".text i:is(.d1, .d2, .d3)").evaluate_all(
        "all => all.map(each => [each.textContent, each.className])"
    )
    whole: list[tuple[str, int]] = []
    for text, name in found:
        names = name.split()
        severity = next(number for number in (1, 2, 3) if f"d{number}" in names)
        if "da" in names:
            whole.append((text, severity))
        else:
            whole[-1] = (whole[-1][0] + text, severity)
    return whole


def slider(page: Page) -> Locator:
    return page.get_by_role("slider", name="Flag from")


def said(page: Page, pinned: int | None, threshold: float) -> None:
    """Expect Python to know what is pinned and where flags start."""
    expect(page.get_by_text(re.compile(rf"pinned: {pinned} · from: {threshold:g}$"))).to_be_visible()


def cell(page: Page, text: str) -> int:
    """The cell with that text, after the prompt."""
    return page.locator(".text i:not(.p)").all_text_contents().index(text) + page.locator(".text i.p").count()


def test_flagged_passages_are_marked_and_listed_in_reading_order(shown: Page) -> None:
    assert passages(shown) == USUAL
    texts = [text.strip() for text, _ in marked(shown)]
    assert texts == [each.replace("‹U+202E›", "\u202e") for each in USUAL]
    assert [severity for _, severity in marked(shown)] == [2, 3, 2, 3, 3, 3]
    severities = ["Clear", "Strong", "Clear, sudden drop", "Strong, sudden drop", "Strong", "Strong"]
    assert shown.locator(".entry .severity").all_text_contents() == severities
    assert shown.get_by_role("button", name="sudden drop").count() == 2, "a screen reader says it, too"
    expect(shown.get_by_text("6 passages flagged")).to_be_visible()
    first = shown.locator(".entry").first
    expect(first).to_contain_text("3.50 nats")
    expect(first).to_contain_text("Instead: Paris 30.0% · Vienna 12.0% · Berl… 6.00%")
    expect(first.locator(".before")).to_have_text("Ada Lovelace was born in")
    expect(shown.locator(".entry").nth(2)).to_contain_text("up to 5.00 nats")
    expect(shown.locator(".entry").nth(2)).to_contain_text("Instead of Mary: Augustus 50.0%")


def test_the_most_doubtful_can_come_first_and_that_is_remembered(shown: Page) -> None:
    shown.get_by_role("radio", name="Severity").click()
    assert passages(shown) == [USUAL[3], USUAL[4], USUAL[1], USUAL[5], USUAL[2], USUAL[0]]
    opened(shown, shown.url)  # as it was chosen before the reload
    expect(shown.get_by_role("radio", name="Severity")).to_be_checked()
    assert passages(shown)[0] == "Babbage"
    shown.get_by_role("radio", name="Severity").press("ArrowLeft")
    assert passages(shown) == USUAL


def test_severities_differ_without_colour(shown: Page) -> None:
    shown.get_by_role("button", name="Many").click()
    lines = [
        shown.locator(f".text i.d{number}").first.evaluate(
            "each => ['border-bottom-style', 'border-bottom-width'].map(name => getComputedStyle(each)[name]).join()"
        )
        for number in (1, 2, 3)
    ]
    assert len(set(lines)) == 3


def test_marks_take_no_room(shown: Page) -> None:
    boxes = "all => all.map(each => each.getBoundingClientRect()).map(({ left, right }) => [left, right])"
    before = shown.locator(".text i").evaluate_all(boxes)
    shown.get_by_role("button", name="Few").click()
    assert shown.locator(".text i").evaluate_all(boxes) == before


def test_moving_the_slider_says_nothing_until_the_reader_lets_go(page: Page, serve_app: Serve) -> None:
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(data)))
    opened(page, serve_app("flags_app"))
    said(page, None, 3)
    box = slider(page).bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    sent.clear()
    counts = set()
    for part in (0.4, 0.5, 0.6, 0.7, 0.8, 0.99):
        page.mouse.move(box["x"] + box["width"] * part, middle)
        page.wait_for_timeout(100)
        counts.add(len(passages(page)))
        assert len(marked(page)) == len(passages(page))
    assert len(counts) > 2
    assert sent == []
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"from: (9\.\d+|10)$"))).to_be_visible()
    assert len(sent) == 1


def test_keys_move_the_slider_and_words_say_where_it_is(shown: Page) -> None:
    slider(shown).focus()
    expect(slider(shown)).to_have_attribute("aria-valuetext", "3.00 nats, 6 passages flagged")
    for _ in range(15):
        shown.keyboard.press("ArrowRight")
    value = float(slider(shown).input_value())
    assert 3.5 < value < 5
    expect(slider(shown)).to_have_attribute(
        "aria-valuetext", f"{value:.2f} nats, {len(passages(shown))} passages flagged"
    )
    wait_for_app(shown)
    said(shown, None, value)
    expect(slider(shown)).to_be_focused()  # still, after the page ran
    shown.keyboard.press("End")
    expect(shown.get_by_text("0 passages flagged")).to_be_visible()
    expect(shown.get_by_text(re.compile(r"Nothing reaches \d"))).to_be_visible()
    assert marked(shown) == []


def test_a_preset_is_a_threshold(shown: Page) -> None:
    shown.get_by_role("button", name="Few").click()
    said(shown, None, 6)
    assert passages(shown) == [USUAL[1], *USUAL[3:5], "‹U+202E›evil"]
    expect(shown.get_by_role("button", name="Few")).to_have_attribute("aria-pressed", "true")
    shown.get_by_role("button", name="Many").click()
    said(shown, None, 1)
    assert passages(shown)[:3] == ["London", "10 December, 1815", "Byron"]


def test_the_threshold_outlives_the_map_and_the_page(shown: Page) -> None:
    shown.get_by_role("button", name="Few").click()
    said(shown, None, 6)
    shown.get_by_role("button", name="no map").click()
    expect(shown.locator(".text i")).to_have_count(0)
    shown.wait_for_timeout(2100)  # a map that is drawn again sooner may be one that every run draws again
    shown.get_by_role("button", name="flags", exact=True).click()
    said(shown, None, 6)
    assert len(passages(shown)) == 4
    opened(shown, shown.url)
    said(shown, None, 6)
    assert len(passages(shown)) == 4


def test_an_entry_pins_the_first_token_of_its_passage(shown: Page) -> None:
    entry = shown.locator(".entry").nth(2)
    entry.click()
    mary = cell(shown, " Mary")
    said(shown, mary, 3)
    expect(shown.locator(".text i").nth(mary)).to_have_attribute("data-pin", "")
    expect(entry).to_have_attribute("aria-current", "true")
    entry.click()  # again: it stays pinned
    wait_for_app(shown)
    said(shown, mary, 3)


def test_a_click_on_a_mark_highlights_its_entry(shown: Page) -> None:
    shown.locator(".text i", has_text="Somerville").click()
    expect(shown.locator(".entry[aria-current]")).to_contain_text("Mary-Somerville")
    wait_for_app(shown)
    expect(shown.locator(".entry[aria-current]")).to_contain_text("Mary-Somerville")
    shown.locator(".text i", has_text=" Ada").click()
    expect(shown.locator(".entry[aria-current]")).to_have_count(0)


def test_the_keyboard_reaches_marks_and_entries(shown: Page) -> None:
    shown.locator(".text").focus()
    for expected in ("London", "1815", " Mary"):
        shown.keyboard.press("f")
        expect(shown.locator(".text i[data-at]")).to_contain_text(expected.strip())
    expect(shown.locator(".status[role=status]")).to_contain_text("flagged, clear, sudden drop")
    shown.keyboard.press("F")
    shown.keyboard.press("Enter")
    expect(shown.locator(".entry[aria-current]")).to_contain_text("1815")
    said(shown, cell(shown, " 1815"), 3)
    shown.locator(".entry[tabindex='0']").focus()
    expect(shown.locator(".entry[tabindex='0']")).to_have_count(1)
    shown.keyboard.press("ArrowDown")
    shown.keyboard.press("Enter")
    said(shown, cell(shown, " Mary"), 3)
    expect(shown.locator(".entry:focus")).to_contain_text("Mary")
    shown.keyboard.press("Home")
    expect(shown.locator(".entry:focus")).to_contain_text("London")


def test_an_entry_scrolls_the_map_to_its_passage(page: Page, serve_app: Serve) -> None:
    opened(page, serve_app("flags_app", tokens=4000))
    expect(page.get_by_text(re.compile(r"The list shows 300 of [\d,]+ passages\."))).to_be_visible()
    expect(page.locator(".entry")).to_have_count(300)
    page.locator(".entry").nth(299).click()
    expect(page.locator(".text i[data-pin]")).to_be_in_viewport()
    assert page.locator(".text").evaluate("text => text.scrollTop") > 100
    text, pin = page.locator(".text").bounding_box(), page.locator(".text i[data-pin]").bounding_box()
    assert text is not None
    assert pin is not None
    assert text["y"] <= pin["y"] <= text["y"] + text["height"]
    wait_for_app(page)
    assert page.locator(".entries").evaluate("list => list.scrollTop") > 1000  # the list stays where it is


def test_flags_come_and_go_with_the_page(shown: Page) -> None:
    shown.get_by_role("button", name="no flags").click()
    expect(shown.locator(".flagged")).to_be_hidden()
    expect(slider(shown)).to_be_hidden()
    assert marked(shown) == []
    shown.get_by_role("button", name="flags", exact=True).click()
    expect(shown.locator(".flagged")).to_be_visible()
    assert passages(shown) == USUAL


def test_tints_can_be_left_out(shown: Page) -> None:
    tint = "each => getComputedStyle(each).backgroundColor"
    babbage = shown.locator(".text i", has_text="Babbage")
    assert babbage.evaluate(tint) != "rgba(0, 0, 0, 0)"
    shown.get_by_label("Flags only").check()
    assert babbage.evaluate(tint) == "rgba(0, 0, 0, 0)"
    expect(shown.locator(".ramp")).to_be_hidden()


def test_on_a_phone_the_list_is_below_the_text(page: Page, serve_app: Serve) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    opened(page, serve_app("flags_app"))
    text, entries = page.locator(".text").bounding_box(), page.locator(".entries").bounding_box()
    assert text is not None
    assert entries is not None
    assert entries["y"] >= text["y"] + text["height"]
    assert entries["x"] >= 0
    assert entries["x"] + entries["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(".entry").last.click()
    expect(page.locator(".text i[data-pin]")).to_be_in_viewport()


def test_hostile_texts_are_only_text(page: Page, serve_app: Serve) -> None:
    opened(page, serve_app("flags_app", hostile=1))
    expect(page.locator(".entry").first).to_be_visible()
    assert page.evaluate("window.pwned") is None
    assert page.locator(".candor").locator("script, img, iframe, style, a, svg").count() == 0
    assert page.locator(".entry").count() <= len(STRINGS)


def test_an_alternative_keeps_its_direction_to_itself(shown: Page) -> None:
    """Whatever letters it has, what follows it stays to its right."""
    entry = shown.locator(".entry", has_text="De Morgan")
    ends = entry.locator(".instead").evaluate(
        """line => [...line.childNodes].map(node => {
            const range = document.createRange();
            range.selectNodeContents(node);
            return range.getBoundingClientRect().left;
        })"""
    )
    assert ends == sorted(ends)


def test_an_exported_file_has_marks_and_list(page: Page, tmp_path: Path) -> None:
    done, flags = app.answer()
    file = tmp_path / "candor.html"
    file.write_bytes(to_html(done, flags=flags))
    page.context.set_offline(True)
    page.goto(file.as_uri())
    expect(page.locator(".entry")).to_have_count(len(USUAL))
    assert passages(page) == USUAL
    page.get_by_role("button", name="Few").click()
    assert len(marked(page)) == len(passages(page)) == 4
    page.locator(".entry").first.click()
    expect(page.locator(".pinned")).to_contain_text("1815")


def test_flags_meet_wcag_aa(shown: Page) -> None:
    shown.locator(".entry").nth(1).click()
    wait_for_app(shown)
    assert in_both_themes(shown, "flags") == []
