"""Check every page against axe-core's rules for WCAG 2.1 AA, in light and dark."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support.browser import generate, wait_for_app
from tests.support.paths import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.model]

AXE = ROOT / "tests" / "browser_js" / "node_modules" / "axe-core" / "axe.min.js"
EVERYTHING = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
COLOURS = ("color-contrast", "link-in-text-block")  # all that a theme changes
CHECKS: tuple[tuple[Literal["light", "dark"], tuple[str, ...]], ...] = (("light", EVERYTHING), ("dark", COLOURS))
PAGES = ("", "prompts", "models", "rank", "doubts", "contexts", "evaluate", "history", "connection")
# Streamlit's own markup, which a page cannot change.
NOT_OURS: set[tuple[str, str]] = set()


def violations(page: Page, only: tuple[str, ...] = EVERYTHING) -> list[str]:
    """The violations that axe finds, as "rule: element (why)". only: tags of rules, or names of some."""
    page.add_script_tag(path=AXE)
    found: list[dict[str, Any]] = page.evaluate(
        "only => axe.run({runOnly: only}).then((found) => found.violations)", list(only)
    )
    return [
        f"{rule['id']}: {str(node['target'])[:120]} ({' '.join(str(node['failureSummary']).split())[:200]})"
        for rule in found
        for node in rule["nodes"]
        if not any(rule["id"] == name and part in str(node["target"]) for name, part in NOT_OURS)
    ]


def in_both_themes(page: Page, name: str) -> list[str]:
    """The violations of a page in light and dark, which follows the browser without being opened again."""
    found = []
    for theme, only in CHECKS:
        page.emulate_media(color_scheme=theme)
        expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", theme)
        wait_for_app(page)
        found += [f"{name}, {theme}: {each}" for each in violations(page, only)]
    return found


def test_every_page_meets_wcag_aa(page: Page, serve: Serve) -> None:
    url = serve("app.py")
    page.goto(url)
    generate(page, "The quick brown fox", 6)
    page.locator(".text i").nth(3).click()
    page.locator(".st-key-detail [data-testid=stDataFrame]").wait_for()
    found = in_both_themes(page, "answer")
    for name in PAGES:
        page.goto(f"{url}/{name}")
        wait_for_app(page)
        page.get_by_role("heading", level=1).wait_for()
        found += in_both_themes(page, name or "explore")
    assert found == []
