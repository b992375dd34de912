"""Text from a model, a file or a visitor stays text in markdown, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.apps.text_app import CONTROLS, HOSTILE
from tests.e2e.conftest import Serve
from tests.support.browser import wait_for_app

pytestmark = pytest.mark.browser

_MADE = "a, img, code, pre, h1, h2, h3, h4, h5, h6, ul, ol, table, blockquote, hr, del, em, sup, sub, script, .katex"
_ICONS = "[data-testid='stMarkdownContainer'] [role='img'], [data-testid='stMarkdownContainer'] [translate='no']"
# For each container: its texts, the number of elements that markdown made of them, and all of its text.
_READ = """([count, made, icons]) => [...Array(count).keys()].map(at => {
    const all = document.querySelector(`.st-key-at${at}`);
    const texts = [...all.querySelectorAll("[data-testid='stMarkdownContainer'], [data-testid='stCaptionContainer']")];
    return [texts.map(each => each.innerText), all.querySelectorAll(made).length + all.querySelectorAll(icons).length,
            all.innerText];
})"""


def _blanks(text: str) -> str:
    return " ".join(text.split())


def _shown(text: str) -> str:
    return _blanks(re.sub("[\0\ud800-\udfff\x1b\u202a-\u202e\u2066-\u2069]", "\ufffd", text))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"\r\n|[\n\r\v\f\x85\u2028\u2029]", text)]


WHERE: dict[str, Callable[[str], list[str]]] = {
    "text": lambda shown: [shown, shown, f"+ {shown}".strip(), f"{shown} · 1 s".strip()],
    "notices": lambda shown: [f"{shown} {shown}".strip(), shown],
}


def _read(page: Page, serve_app: Serve, where: str) -> Any:
    page.goto(serve_app("text_app", where=where))
    page.get_by_text("That is all").wait_for()
    wait_for_app(page)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    return page.evaluate(_READ, [len(HOSTILE + CONTROLS), _MADE, _ICONS])


@pytest.mark.parametrize("where", WHERE)
def test_text_is_shown_literally(where: str, page: Page, serve_app: Serve) -> None:
    found = _read(page, serve_app, where)
    for text, (texts, made, _) in zip(HOSTILE + CONTROLS, found, strict=True):
        assert not made, f"{text!r} became more than text: {texts}"
        wanted = WHERE[where](_shown(text))
        assert [_blanks(each) for each in texts] == wanted, text


def test_labels_are_shown_literally(page: Page, serve_app: Serve) -> None:
    found = _read(page, serve_app, "labels")
    for text, (_, made, shown) in zip(HOSTILE + CONTROLS, found, strict=True):
        assert not made, f"{text!r} became more than text: {shown}"
        assert _blanks(shown).count(_shown(text)) >= 4, f"{text!r}: {shown}"


def test_line_breaks_and_spaces_are_shown_literally(page: Page, serve_app: Serve) -> None:
    found = _read(page, serve_app, "lines")
    for text, (texts, made, _) in zip(HOSTILE + CONTROLS, found, strict=True):
        assert not made, f"{text!r} became more than text: {texts}"
        (shown,) = texts
        assert [_blanks(line) for line in shown.split("\n")] == [_shown(line) for line in _lines(text)] or (
            _blanks(shown) == _shown(text) and len(_lines(text)) == 1
        ), text
