"""`make screenshots`: the app takes its own pictures.

docs/explore.png for the README; and in screenshots/ the page in light and dark, on a desk and on a phone.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support.browser import CHROMIUM_ARGS, ROOT, chromium_path, serving

OUT = ROOT / "screenshots"


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with serving("app.py", {}) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        _take(browser, url, ROOT / "docs" / "explore.png", "light", 1280, 860)
        for theme in ("light", "dark"):
            for width, height in ((1280, 1500), (390, 2600)):
                _take(browser, url, OUT / f"explore-{theme}-{width}.png", theme, width, height)
        browser.close()


def _take(browser: Browser, url: str, target: Path, theme: str, width: int, height: int) -> None:
    """One answer to the made-up question, its second token of doubt pinned."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,  # type: ignore[arg-type]
        device_scale_factor=1,
    )
    page = context.new_page()
    page.goto(url)
    page.get_by_role("button", name="A made-up fact").click()
    page.get_by_label("Prompt", exact=True).and_(page.locator("textarea:not(:empty)")).wait_for()
    page.get_by_role("button", name="Generate").click()
    page.get_by_test_id("stMetric").first.wait_for(timeout=120_000)
    page.locator(".text i").nth(17).click()
    page.locator(".st-key-detail [data-testid=stDataFrame]").wait_for()
    page.mouse.move(2, 2)
    page.wait_for_timeout(2000)  # charts draw themselves in their own time
    page.screenshot(path=target)
    context.close()


if __name__ == "__main__":
    main()
