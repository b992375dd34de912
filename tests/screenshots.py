"""`make screenshots`: the app takes its own pictures.

docs/explore.png for the README; and in screenshots/ every page with its results in light and dark, on a desk and on a
phone.
"""

from __future__ import annotations

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.browser import CHROMIUM_ARGS, ROOT, chromium_path, serving, wait_for_app

OUT = ROOT / "screenshots"
SIZES = ((1280, 1500), (390, 2600))
COLD = 120_000  # milliseconds for the first answer


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with serving("app.py", {}) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        page = _opened(browser, url, "light", 1280, 860)
        explore = _explore(page)
        page.screenshot(path=ROOT / "docs" / "explore.png")
        addresses = {"explore": explore, "prompts": _prompts(page, url), "models": _models(page, url)}
        addresses |= {"rank": _rank(page, url), "evaluate": _evaluate(page, url)}
        addresses |= {"history": f"{url}/history", "connection": f"{url}/connection"}
        addresses |= {"explore-empty": url, "prompts-empty": f"{url}/prompts", "rank-empty": f"{url}/rank"}
        addresses |= {"models-empty": f"{url}/models"}
        page.context.close()
        for name, address in addresses.items():
            for theme in ("light", "dark"):
                for width, height in SIZES:
                    page = _opened(browser, address, theme, width, height)
                    page.screenshot(path=OUT / f"{name}-{theme}-{width}.png")
                    page.context.close()
        browser.close()


def _opened(browser: Browser, address: str, theme: str, width: int, height: int) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,  # type: ignore[arg-type]
        device_scale_factor=1,
    )
    page = context.new_page()
    page.goto(address)
    wait_for_app(page)
    page.wait_for_timeout(2000)  # maps and charts draw themselves in their own time
    return page


def _explore(page: Page) -> str:
    """One answer to the made-up question, its second token of doubt pinned. Returns the address of the answer."""
    page.get_by_role("button", name="A made-up fact").click()
    page.get_by_label("Prompt", exact=True).and_(page.locator("textarea:not(:empty)")).wait_for()
    page.get_by_role("button", name="Generate").click()
    page.get_by_test_id("stMetric").first.wait_for(timeout=COLD)
    page.locator(".text i").nth(17).click()
    page.locator(".st-key-detail [data-testid=stDataFrame]").wait_for()
    return _saved(page)


def _prompts(page: Page, url: str) -> str:
    page.goto(f"{url}/prompts")
    wait_for_app(page)
    page.get_by_role("textbox", name="Prompt 1").fill("Who wrote The Old Man and the Sea?")
    page.get_by_role("textbox", name="Prompt 2").fill(
        "You are a librarian. Answer in one sentence. Who wrote The Old Man and the Sea?"
    )
    page.keyboard.press("Tab")
    wait_for_app(page)
    page.get_by_role("button", name="Compare").click()
    return _saved(page)


def _models(page: Page, url: str) -> str:
    page.goto(f"{url}/models")
    wait_for_app(page)
    page.get_by_role("button", name="Base against tuned").click()
    wait_for_app(page)
    page.get_by_role("button", name="Compare").click()
    return _saved(page)


def _rank(page: Page, url: str) -> str:
    page.goto(f"{url}/rank")
    wait_for_app(page)
    page.get_by_role("textbox", name="Prompt").fill("Suggest a name for a bakery.")
    page.keyboard.press("Tab")
    wait_for_app(page)
    page.get_by_role("button", name="Rank").click()
    return _saved(page)


def _evaluate(page: Page, url: str) -> str:
    page.goto(f"{url}/evaluate")
    wait_for_app(page)
    page.get_by_role("button", name="Base against tuned").click()
    wait_for_app(page)
    page.get_by_role("button", name="Evaluate", exact=True).click()
    return _saved(page)


def _saved(page: Page) -> str:
    """The address of the run on the page, once it is saved."""
    page.get_by_text("saved to history.").last.wait_for(timeout=3 * COLD)
    wait_for_app(page)
    page.mouse.move(2, 2)
    page.wait_for_timeout(2000)
    return page.url


if __name__ == "__main__":
    main()
