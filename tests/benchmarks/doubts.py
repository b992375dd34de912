"""Doubts: how long the flags of a long answer take, and how soon marks and list follow their threshold."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np
from playwright.sync_api import sync_playwright

from lib.core.completion import Completion
from lib.core.pieces import make_pieces
from lib.core.request import Request
from lib.core.tokens import NO_TOKENS, make_tokens
from lib.doubts.flags import doubts_of, shown
from lib.doubts.methods import DEFAULT
from lib.doubts.presets import presets_of
from tests.benchmarks.report import Figure
from tests.support.browser import CHROMIUM_ARGS, chromium_path, serving, wait_for_app

SCRIPT = "tests/benchmarks/apps/map_app.py"
TOKENS = 10_000  # three in ten of them terms
_SHEET = (
    "Bolivia is a country in South America. Its capital is Sucre, its currency is the boliviano, and 11.4 million "
    "people live there; it became independent on 6 August 1825 and borders Peru, Chile, Argentina, Paraguay and Brazil."
)


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    yield _found()
    yield from _moved()


def _found() -> Figure:
    """Terms, scores, alternatives and flags of an answer that is decoded already."""
    done = _answer(TOKENS)
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        found = doubts_of(done, DEFAULT)
        found.flags(presets_of(DEFAULT).usual)
        for place in range(len(found.terms)):
            shown(found.alternatives(place))
        times.append(1000 * (time.perf_counter() - begun))
    return Figure(f"flags of an answer of {TOKENS:,} tokens beyond decoding, ms", statistics.median(times), 100)


def _answer(tokens: int) -> Completion:
    """Prose with as many names and numbers as a fact sheet, and ten alternatives at every position."""
    random = np.random.default_rng(0)
    words = [" ", *_SHEET.split(" ")]
    pieces = [f" {words[place % len(words)]}" for place in range(tokens)]
    names = sorted({*pieces, *(f" Other{number}" for number in range(9))})
    rows = {name: row for row, name in enumerate(names)}
    refs = np.array([rows[each] for each in pieces], np.int32)
    others = np.array([rows[f" Other{number}"] for number in range(9)], np.int32)
    logprobs = -random.exponential(1.0, (tokens, 10)).cumsum(axis=1).astype(np.float32)
    listed = np.column_stack([refs, np.tile(others, (tokens, 1))])
    table = make_pieces([(row, name.encode(), False) for row, name in enumerate(names)])
    generated = make_tokens(table, refs, logprobs=logprobs[:, 0], top_refs=listed, top_logprobs=logprobs)
    return Completion(Request(prompt="x"), "m", NO_TOKENS, generated, "".join(pieces))


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
