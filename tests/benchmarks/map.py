"""The token map: how soon it is there, how quickly it answers, and what it costs to send, against the usual ways."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from components.token_map import deflated_frame
from lib.display.token_map_view import TokenMapView
from tests.benchmarks.completions import long_completion
from tests.benchmarks.report import Figure
from tests.support.browser import CHROMIUM_ARGS, chromium_path, serving, wait_for_app

SCRIPT = "tests/benchmarks/apps/map_app.py"
STREAM = "tests/e2e/apps/server.py"
SHORT, LONG = 10_000, 100_000
_WRITTEN, _RATE = 2_200, 60.0  # tokens, and tokens per second


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    with serving(SCRIPT, {}) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        yield from _shown(browser, url, SHORT, 0.22, rounds=7)
        yield from _shown(browser, url, LONG, 0.05, rounds=4)
        yield _first_view(browser, url)
        yield from _handlers(browser, url)
        yield _answered(browser, url)
        yield from _metric(browser, url)
        yield from _bytes(browser, url)
        browser.close()
    with serving(STREAM, {}) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        yield from _growing(browser, url)
        browser.close()


def _opened(browser: Browser, url: str, **asked: object) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{url}/?{'&'.join(f'{name}={value}' for name, value in asked.items())}")
    wait_for_app(page)
    page.wait_for_timeout(300)  # what Streamlit loads behind the first page
    return page


# From the click on Show until all of the text is there and the next frame after that is painted, in milliseconds.
_CLICK = """
async ([way, tokens]) => {
  const host = () => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
    .find(each => each.shadowRoot)?.shadowRoot;
  const ready = () => way === "spans"
    ? document.querySelector(".spans")?.childElementCount === tokens
    : (host()?.querySelector(".text")?.textContent.length ?? 0) > 2 * tokens;
  const began = performance.now();
  [...document.querySelectorAll("button")].find(each => each.innerText.includes("Show")).click();
  while (!ready()) await new Promise(soon => setTimeout(soon, 4));
  await new Promise(frame => requestAnimationFrame(() => setTimeout(frame)));
  return performance.now() - began;
}
"""


def _shown(browser: Browser, url: str, tokens: int, goal: float, rounds: int) -> Iterator[Figure]:
    """Pages that have shown a short text before, so that neither way pays for what is loaded once."""
    times: dict[str, list[float]] = {"map": [], "spans": []}
    for _ in range(rounds):
        for way, taken in times.items():
            page = _opened(browser, url, way=way, tokens=tokens)
            taken.append(page.evaluate(_CLICK, [way, tokens]))
            page.close()
    ours, theirs = (statistics.median(taken[1:]) for taken in times.values())
    yield Figure(f"{tokens:,} tokens, top-5, click to painted ÷ st.html spans with titles", ours / theirs, goal)
    yield Figure(f"… of these, {tokens:,} tokens, click to painted, ms", ours)


# A frame drawn into an element of its own, and the same text as one <pre>, in turns; milliseconds to the paint.
_DRAW = """
async (text) => {
  const data = new Uint8Array(await (await fetch("/frame.bin")).arrayBuffer());
  const files = performance.getEntriesByType("resource").map(each => each.name);
  const { default: draw } = await import(files.find(each => each.endsWith("/token_map.js")));
  const main = document.querySelector('[data-testid="stMainBlockContainer"]');
  const painted = () => new Promise(frame => requestAnimationFrame(() => setTimeout(frame)));
  const map = async () => {
    const place = document.createElement("div");
    const root = place.attachShadow({ mode: "open" });
    const style = Object.assign(document.createElement("link"), {
      rel: "stylesheet", href: files.find(each => each.endsWith("/token_map.css")),
    });
    root.append(style);
    main.append(place);
    await new Promise(loaded => (style.onload = loaded));
    await painted();
    const began = performance.now();
    const remove = draw({ data, parentElement: root, setStateValue: () => {} });
    while (!(root.querySelector(".text")?.textContent.length >= text.length)) {
      await new Promise(soon => setTimeout(soon));
    }
    await painted();
    const taken = performance.now() - began;
    await new Promise(drawn => setTimeout(drawn, 1500));
    place.remove();
    remove();
    return taken;
  };
  const pre = async () => {
    const whole = document.createElement("pre");
    whole.style = "white-space: pre-wrap; max-height: 65vh; overflow: auto; font: 17px/1.8 sans-serif";
    await painted();
    const began = performance.now();
    whole.textContent = text;
    main.append(whole);
    await painted();
    const taken = performance.now() - began;
    whole.remove();
    return taken;
  };
  const times = [];
  for (let round = 0; round < 8; round++) times.push([await map(), await pre()]);
  return times.slice(1);
}
"""


def _first_view(browser: Browser, url: str) -> Figure:
    done = long_completion(LONG)
    frame = deflated_frame(TokenMapView(done).packed(passages=False), {"key": "bench"})
    page = _opened(browser, url, way="map", tokens=10)
    page.route("**/frame.bin", lambda route: route.fulfill(body=frame, content_type="application/octet-stream"))
    times = page.evaluate(_DRAW, "".join(done.pieces.text_of(int(ref)) for ref in done.generated.refs))
    page.close()
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    return Figure(f"{LONG:,} tokens, data in the page to first view ÷ the text as one <pre>", ours / theirs, 4)


# How long the handler of each event took, and whether the tooltip of its cell stood there on the next frame.
_HANDLE = """
async (text, kind) => {
  const tip = text.getRootNode().querySelector(".tip");
  const frame = () => new Promise(next => requestAnimationFrame(next));
  const cells = [...text.querySelectorAll("i")].slice(400, 20000).filter((_, i) => i % 97 === 0);
  const taken = [];
  let late = 0;
  cells[0].scrollIntoView();
  await new Promise(settled => setTimeout(settled, 300));
  for (const cell of cells) {
    if (kind === "hover") cell.scrollIntoView({ block: "nearest" });
    await frame();
    await frame();
    const { left, top } = cell.getBoundingClientRect();
    const event = kind === "hover"
      ? new PointerEvent("pointerover", { bubbles: true, composed: true, clientX: left + 2, clientY: top + 8 })
      : new KeyboardEvent("keydown", { bubbles: true, composed: true, key: "ArrowRight" });
    tip.removeAttribute("data-shown");
    const began = performance.now();
    (kind === "hover" ? cell : text).dispatchEvent(event);
    taken.push(performance.now() - began);
    await frame();
    if (!tip.matches("[data-shown]") || !tip.getBoundingClientRect().height) late++;
  }
  return [taken, late];
}
"""


def _handlers(browser: Browser, url: str) -> Iterator[Figure]:
    page = _opened(browser, url, way="map", tokens=LONG)
    text = _show(page, LONG)
    page.mouse.move(0, 0)  # away from the text, which moves under it
    for kind in ("hover", "arrow key"):
        taken, late = text.evaluate(_HANDLE.replace("(text, kind)", f"(text, kind = '{kind}')"))
        worst = sorted(taken)[int(0.95 * len(taken))]
        yield Figure(f"{kind} at {LONG:,} tokens, handler, 95th percentile of {len(taken)}, ms", worst, 4)
        yield Figure(f"… of these, {kind}: not drawn on the next frame", late, 0)
    page.close()


def _show(page: Page, tokens: int) -> Locator:
    """The map's text, once all of it is drawn."""
    page.get_by_role("button", name="Show").click()
    page.wait_for_function(
        """tokens => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
            .some(each => each.shadowRoot?.querySelectorAll(".text i").length === tokens)""",
        arg=tokens,
    )
    wait_for_app(page)
    return page.locator(".text")


# From a click until the page's line says something else, in milliseconds.
_ANSWER = """
async (target) => {
  const line = () => [...document.querySelectorAll('[data-testid="stMarkdown"]')].at(-1).textContent;
  const before = line();
  const began = performance.now();
  target.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, composed: true }));
  target.click();
  while (line() === before) await new Promise(soon => setTimeout(soon, 1));
  return performance.now() - began;
}
"""


def _answered(browser: Browser, url: str) -> Figure:
    page = _opened(browser, url, way="map", tokens=SHORT)
    text = _show(page, SHORT)
    again = page.get_by_role("button", name="Run again")
    pinned, bare = [], []
    for number in range(25):
        pinned.append(text.locator("i").nth(3 * number).evaluate(_ANSWER))
        wait_for_app(page)
        bare.append(again.evaluate(_ANSWER))
        wait_for_app(page)
    page.close()
    name = f"click on a token at {SHORT:,} tokens until Python's answer ÷ a bare rerun of the page"
    return Figure(name, statistics.median(pinned[3:]) / statistics.median(bare[3:]), 1.5)


_CHOOSE = """
async (button) => {
  const began = performance.now();
  button.click();
  await new Promise(frame => requestAnimationFrame(() => setTimeout(frame)));
  return performance.now() - began;
}
"""


def _metric(browser: Browser, url: str) -> Iterator[Figure]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: said.append(data)))
    page.goto(f"{url}/?way=map&tokens={LONG}")
    wait_for_app(page)
    _show(page, LONG)
    said.clear()
    times = []
    for _ in range(4):
        for label in ("Surprisal", "Rank", "Entropy", "Probability"):
            times.append(page.get_by_role("radio", name=label).evaluate(_CHOOSE))
            page.wait_for_timeout(700)  # until what is out of sight has its colours, too
    page.close()
    yield Figure(f"another metric at {LONG:,} tokens, median, ms", statistics.median(times), 150)
    yield Figure("… of these, messages to the server", len(said), 0)


def _bytes(browser: Browser, url: str) -> Iterator[Figure]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    heard: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda data: heard.append(len(data))))
    page.goto(f"{url}/?way=map&tokens={SHORT}")
    wait_for_app(page)
    heard.clear()
    _show(page, SHORT)
    first = sum(heard)
    heard.clear()
    page.get_by_role("button", name="Run again").click()
    wait_for_app(page)
    page.close()
    yield Figure(f"bytes sent per token at {SHORT:,} tokens, top-5, the whole message", first / SHORT, 40)
    yield Figure("… of these, a rerun with the map unchanged ÷ the first showing", sum(heard) / first, 0.02)


# Notes how many tokens stand there after every frame, and when: seconds since 1970.
_WATCH = """
() => {
  window.__seen = [];
  const look = () => {
    const hosts = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')];
    const count = hosts.find(each => each.shadowRoot)?.shadowRoot.querySelectorAll(".text i").length ?? 0;
    if (count !== window.__seen.at(-1)?.[0]) {
      window.__seen.push([count, (performance.timeOrigin + performance.now()) / 1000]);
    }
    requestAnimationFrame(look);
  };
  look();
}
"""


def _growing(browser: Browser, url: str) -> Iterator[Figure]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    heard: list[tuple[float, int]] = []
    page.on("response", lambda answer: heard.append((time.time(), int(answer.headers.get("content-length", 0)))))
    page.goto(f"{url}/?app=stream_app&tokens={_WRITTEN}&rate={_RATE}")
    wait_for_app(page)
    page.evaluate(_WATCH)
    page.get_by_role("button", name="Write").click()
    page.wait_for_timeout(1000 * (_WRITTEN / _RATE))
    page.get_by_text(f"n = {_WRITTEN:,} answer tokens").wait_for()
    wait_for_app(page)
    seen = page.evaluate("window.__seen")
    page.get_by_role("button", name="Notes").click()
    page.get_by_test_id("stCode").filter(has_text="costs").wait_for()
    notes: dict[str, Any] = json.loads(page.get_by_test_id("stCode").first.inner_text())
    page.close()
    published = notes["published"]
    lags = sorted(
        next((shown for count, shown in seen if count >= tokens), seen[-1][1]) - at for tokens, at in published[5:-5]
    )

    def around(tokens: int, values: Callable[[float, float], list[float]]) -> float:
        began = next(at for count, at in published if count >= tokens - 150)
        ended = next(at for count, at in published if count >= tokens + 150)
        found = values(began, ended)
        return sum(found) / len(found)

    def costs(tokens: int) -> float:
        return statistics.median(cost for count, cost in notes["costs"] if abs(count - tokens) <= 150)

    def sizes(began: float, ended: float) -> list[float]:
        return [size for at, size in heard if began <= at < ended]

    yield Figure(
        "streaming: bytes per look at token 2,000 ÷ at token 200", around(2000, sizes) / around(200, sizes), 1.5
    )
    yield Figure("streaming: Python time per look at token 2,000 ÷ at token 200", costs(2000) / costs(200), 1.5)
    yield Figure("… of these, Python time per look at token 2,000, ms", 1000 * costs(2000))
    yield Figure("the map lags the last token by, 95th percentile, ms", 1000 * lags[int(0.95 * len(lags))], 150)
    yield Figure("… of these, median, ms", 1000 * statistics.median(lags))
