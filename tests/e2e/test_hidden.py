"""Invisible characters are shown by code point, except those that only shape a neighbouring character."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import components.token_map as token_map_module
from components.token_map.export_html import to_html
from lib.segmentation.char_classes import marked
from tests.e2e.apps.token_map_app import Row, completion
from tests.support.paths import CASES

pytestmark = pytest.mark.browser

WORDS = Path(token_map_module.__file__).parent / "browser" / "words.js"
CASE = CASES / "14a-prompt-with-tag-characters.txt"
ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
UNMARKED = [
    ENGLAND, "👨\u200d👩\u200d👧", "👩🏽\u200d🚀", "🏳\ufe0f\u200d🌈", "❤\ufe0f", "☎\ufe0e", "1\ufe0f\u20e3",
    "می\u200cخواهم", "ه\u200d", "क्\u200dष", "ක්\u200dර", "ന്\u200d", "\u1820\u180b", "\u0600١", "a b\t\n\r",
]  # fmt: skip
MARKED = [
    "K\U000e0073\U000e0061", ENGLAND + "\U000e0061", ENGLAND[:-1], "🏴\U000e0075\U000e0073\U000e007f", "x\ufe0f",
    "1\ufe0f", "😀\ufe0f\ufe0f", "😀\U000e0101", "a\u200db", "a\u200c", "😀\u200d", "😀\u200da", "ی\u200c\u200d",
    "葛\U000e0100", "e\u034f",
    "\u3164\u115f\u1160\uffa0\u2800\u180e", "1\u202f000\u00a0€", "\u3000漢", "\ufff9\u2028\x85\0\x7f", "\u180b",
]  # fmt: skip

_ALL = """async ([source, texts]) => {
  const { marked } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
  const single = [];
  for (let point = 0; point < 0x110000; point++) {
    if (point < 0xd800 || point > 0xdfff) if (marked(String.fromCodePoint(point)).length > 2) single.push(point);
  }
  return [single, texts.map(marked)];
}"""


def test_python_and_javascript_mark_the_same_characters(page: Page) -> None:
    page.goto("about:blank")
    single, texts = page.evaluate(_ALL, [WORDS.read_text(encoding="utf-8"), UNMARKED + MARKED])
    points = (point for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    assert single == [point for point in points if len(marked(chr(point))) > 1]
    assert texts[: len(UNMARKED)] == UNMARKED
    assert texts == list(map(marked, UNMARKED + MARKED))
    assert not [text for text in MARKED if "‹U+" not in marked(text)]


def opened(page: Page, folder: Path, *texts: str) -> Page:
    """An exported file with a prompt of these tokens, opened from disk."""
    rows = [Row(text, 0.2, likely=((text, 0.2), ("\U000e0041", 0.1))) for text in texts]
    file = folder / "candor.html"
    file.write_bytes(to_html(completion(rows, [Row("Yes")])))
    page.goto(file.as_uri())
    expect(page.locator(".text i").first).to_be_attached()
    return page


_MARKS = "all => all.map((each) => [each.textContent, [...each.querySelectorAll('.c')].map((one) => one.dataset.mark)])"


def shown(page: Page) -> list[Any]:
    found: list[Any] = page.locator(".text i").evaluate_all(_MARKS)
    return found[:-1]


def test_hidden_text_is_visible_in_the_map(page: Page, tmp_path: Path) -> None:
    text = CASE.read_text(encoding="utf-8")
    opened(page, tmp_path, "OK", *text[2:8], text[8:])
    assert shown(page) == [["OK", []], *[[each, [f"U+{ord(each):04X}"]] for each in text[2:8]], [" then", []]]
    page.locator(".text i").nth(1).hover()
    tip = page.locator(".tip")
    expect(tip.locator("header code")).to_have_text("‹U+E0073›")
    expect(tip.locator("li code")).to_have_text(["‹U+E0073›", "‹U+E0041›"])
    expect(page.locator(".text i").nth(1)).to_have_css("background-color", "rgb(251, 177, 63)")


def test_blank_characters_are_visible_in_the_map(page: Page, tmp_path: Path) -> None:
    blanks = "\u3164\u115f\u2800\u180e\U000e0100\u200d\u2028\u00a0\ufe0f"
    opened(page, tmp_path, *(each for blank in blanks for each in ("a", blank, "b")))
    found = shown(page)
    assert len(found) == 3 * len(blanks)
    for number, blank in enumerate(blanks):
        expected = [["a", []], [blank, [f"U+{ord(blank):04X}"]], ["b", []]]
        assert found[3 * number : 3 * number + 3] == expected, unicodedata.name(blank, "")


def test_shaping_characters_are_not_marked(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, *(each for text in UNMARKED for each in (text, " ")))
    assert not [text for text, marks in shown(page) if marks]


def test_a_token_of_spaces_is_shown_as_dots(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, "a", "    ", "b")
    width = page.locator(".text i").nth(1).evaluate("each => each.getBoundingClientRect().width")
    size = page.locator(".text i .p").evaluate("each => parseFloat(getComputedStyle(each).backgroundSize)")
    assert size == pytest.approx(width / 4, abs=0.1)
