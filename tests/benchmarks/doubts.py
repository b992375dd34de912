"""Doubts: how soon marks and list follow the threshold of the flags."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from playwright.sync_api import sync_playwright

from tests.benchmarks.report import Figure
from tests.support.browser import CHROMIUM_ARGS, chromium_path, serving, wait_for_app

SCRIPT = "tests/benchmarks/apps/map_app.py"
TOKENS = 10_000  # three in ten of them terms


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    yield from _moved()


# The slider moves to places all over its track, back and forth, as under a hand; from each event until the frame with
# what it changed is painted, in milliseconds, and how many passages are flagged then.
_MOVE = """
async (slider) => {
  const root = slider.getRootNode();
  const moves = [];
  const places = Array.from({ length: 24 }, (_, i) => (i * 7) % 24 / 24);
  for (const place of places) {
    slider.value = Number(slider.min) + place ** 2 * (Number(slider.max) - Number(slider.min));
    const began = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(frame => requestAnimationFrame(() => setTimeout(frame)));
    moves.push([performance.now() - began, root.querySelector(".flags strong").textContent]);
    await new Promise(rest => setTimeout(rest, 250)); // until what is out of sight is marked, too
  }
  return moves;
}
"""


def _moved() -> Iterator[Figure]:
    with serving(SCRIPT, {}) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        said: list[object] = []
        page.on("websocket", lambda socket: socket.on("framesent", lambda data: said.append(data)))
        page.goto(f"{url}/?way=flags&tokens={TOKENS}")
        wait_for_app(page)
        page.get_by_role("button", name="Show").click()
        page.wait_for_function(
            """tokens => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
                .some(each => each.shadowRoot?.querySelectorAll(".text i").length === tokens)""",
            arg=TOKENS,
        )
        wait_for_app(page)
        said.clear()
        moves = page.get_by_role("slider", name="Flag from").evaluate(_MOVE)
        browser.close()
    times, counts = [each for each, _ in moves[2:]], {words for _, words in moves}
    assert len(counts) > len(moves) / 2, "the flags did not follow the slider"
    yield Figure(f"a moved threshold redraws at {TOKENS:,} tokens, ms", statistics.median(times), 50)
    yield Figure("… of these, the slowest, ms", max(times))
    yield Figure("… of these, messages to the server", len(said), 0)
