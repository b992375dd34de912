"""What people feel: an answer that grows before their eyes, the first page, the first answer, another page."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from lib.core.request import Request
from lib.core.sources import LocalModel
from lib.engines.local.engine import LocalEngine
from lib.engines.local.opening import open_local
from lib.jobs.batch import batch_of
from lib.jobs.call import Call
from lib.jobs.job import Job
from lib.store.database import open_database
from lib.store.job_runs import run_about
from lib.store.run import Answer
from lib.store.runs import Runs
from lib.studies.exploration import ExplorePlan
from tests.benchmarks.completions import long_completion
from tests.benchmarks.engine import without_end
from tests.benchmarks.report import Figure, seconds
from tests.support.browser import CHROMIUM_ARGS, chromium_path, fill_in, generate, serving, wait_for_app, wait_for_map

_TOKENS, _LONG, _ROUNDS, _VISITORS, _SWITCHED = 150, 1_000, 3, 4, 10_000
_PROMPT = "Counting: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,"  # which the model goes on with for as long as it may
_SHORT = "The capital of France, as everybody knows, is"  # ten tokens
_COLD = 120_000  # milliseconds


def figures() -> Iterator[Figure]:
    """Each figure as soon as it is known."""
    yield from _started()
    engine = open_local("embedded")
    with serving("app.py", {}) as url, sync_playwright() as playwright, without_end(engine):
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
        server = _process_of(url)
        with _visitor(browser, url) as page:
            _ask(page, _SHORT, 3)  # the model is in memory from here on
            yield from _watched(engine, page, server)
            yield _first_token(page)
            yield _evenly(page)
        yield _together(engine, browser, url)
        browser.close()
    engine.close()
    yield _switched()


@dataclass(frozen=True)
class _Cost:
    """What an answer took."""

    seconds: float  # from the click to the last token
    server: float  # CPU seconds of the server's process
    renderer: float  # CPU seconds of Chromium's renderers


def _watched(engine: LocalEngine, page: Page, server: psutil.Process) -> Iterator[Figure]:
    alone, watched = [], []
    for number in range(_ROUNDS):
        prompt = f"{number}. {_PROMPT}"
        began = time.process_time()
        took = seconds(lambda prompt=prompt: _write(engine, prompt, _TOKENS))  # type: ignore[misc]
        alone.append(_Cost(took, time.process_time() - began, 0))
        before = _cpu([server]), _cpu(_renderers())
        took = _ask(page, prompt, _TOKENS)
        watched.append(_Cost(took, _cpu([server]) - before[0], _cpu(_renderers()) - before[1]))
    name = f"{_TOKENS} tokens watched on Explore"
    yield Figure(
        f"{name}, click to last token ÷ the engine alone", _ratio(watched, alone, lambda each: each.seconds), 1.5
    )
    yield Figure("… of these, tokens/s watched", _TOKENS / _median(watched, lambda each: each.seconds))
    yield Figure(f"{name}, CPU of the server ÷ the engine alone", _ratio(watched, alone, lambda each: each.server), 1.4)
    per_100 = 100 * _median(watched, lambda each: each.renderer) / _TOKENS
    yield Figure("renderer CPU seconds per 100 tokens watched", per_100, 2.5)


def _together(engine: LocalEngine, browser: Browser, url: str) -> Figure:
    """Visitors who ask at the same time, each in a tab of their own."""
    prompts = [f"{number}. {_PROMPT}" for number in range(_VISITORS)]

    def alone() -> None:
        with ThreadPoolExecutor(_VISITORS) as pool:
            list(pool.map(lambda prompt: _write(engine, prompt, _TOKENS), prompts))

    pages = [browser.new_context(viewport={"width": 1280, "height": 900}).new_page() for _ in prompts]
    for page in pages:
        _open(page, url)

    def watched(round_: int) -> float:
        for page, prompt in zip(pages, prompts, strict=True):
            _prepare(page, f"{round_} {prompt}", _TOKENS)
        began = time.time()
        for page in pages:
            page.get_by_role("button", name="Generate").click()
        return max(_last_token(page) for page in pages) - began

    pairs = [(watched(number), seconds(alone)) for number in range(_ROUNDS)]
    for page in pages:
        page.context.close()
    ratio = statistics.median(ours for ours, _ in pairs) / statistics.median(theirs for _, theirs in pairs)
    return Figure(f"{_VISITORS} visitors watch {_VISITORS} answers ÷ the engine alone on as many requests", ratio, 1.8)


def _first_token(page: Page) -> Figure:
    times = []
    for number in range(7):
        _prepare(page, f"{number} {_SHORT}", 4)
        began = time.time()
        page.get_by_role("button", name="Generate").click()
        _last_token(page)
        times.append(1000 * (_seen(page)[0][1] - began))
    return Figure("click to first token on the page, ten-token prompt, ms", statistics.median(times), 400)


def _evenly(page: Page) -> Figure:
    _ask(page, _PROMPT, _LONG)
    seen = _seen(page)
    first = seen[0][0]

    def at(tokens: int) -> float:
        return next(moment for count, moment in seen if count >= first + tokens)

    end = seen[-1][0] - first
    ratio = (at(end) - at(end - 100)) / (at(110) - at(10))
    return Figure(f"an answer of {_LONG:,} tokens: seconds for its last 100 ÷ for its first 100", ratio, 1.3)


def _started() -> Iterator[Figure]:
    """From the command to the first page and to the first answer's first token."""
    ours, theirs, first = [], [], []
    for _ in range(_ROUNDS):
        for script, taken in (("app.py", ours), (Path(__file__).parent / "one_button.py", theirs)):
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
                began = time.time()
                with serving(script, {}) as url:
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    page.goto(url)
                    page.wait_for_function(_HAS_BUTTON, polling=20)
                    taken.append(time.time() - began)
                    if taken is ours:
                        page.evaluate(_WATCH)
                        generate(page, _SHORT, 3)
                        page.wait_for_function("() => window.__seen.length > 0", timeout=_COLD)
                        first.append(_seen(page)[0][1] - began)
                    browser.close()
    yield Figure("command to first page ÷ a one-button app", statistics.median(ours) / statistics.median(theirs), 1.5)
    yield Figure("command to the first answer's first token, s", statistics.median(first), 12)


def _switched() -> Figure:
    """From the click in the sidebar to the other page, and back to the map; the slower of the two."""
    done = long_completion(_SWITCHED)
    call = Call(LocalModel("embedded"), Request("x"))
    job: Job[Any] = Job.over_already("long-answer", ExplorePlan(call), batch_of([done]), None, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/runs.sqlite"
        with closing(open_database(store)) as database:
            Runs(database).finish(run_about(job, "explore", owner="", version="0"), [Answer(done)])
        with serving("app.py", {"CANDOR_STORE": store}) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(CHROMIUM_ARGS))
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}/?run={job.id}")
            page.wait_for_function(_HAS_MAP, timeout=_COLD)
            wait_for_app(page)
            away, back = [], []
            for _ in range(_ROUNDS + 1):
                for name, seen, taken in (("Prompts", _HAS_PROMPTS, away), ("Explore", _HAS_MAP, back)):
                    taken.append(1000 * page.evaluate(_CLICKED, [name, seen]))
                    wait_for_app(page)
            browser.close()
    times = [statistics.median(each[1:]) for each in (away, back)]  # the first visit of a page fetches its scripts
    return Figure(f"a page switch from or to an answer of {_SWITCHED:,} tokens, ms", max(times), 600)


# Rather than by role, which makes the browser work out the roles of all elements again and again.
_HAS_BUTTON = "() => [...document.querySelectorAll('button')].some(each => each.textContent.includes('Generate'))"

_HAS_MAP = """() => [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')]
    .some(each => each.shadowRoot?.querySelectorAll('.candor .text i').length > 1000)"""
_HAS_PROMPTS = "() => [...document.querySelectorAll('h1')].some(each => each.textContent.includes('Which prompt'))"
# Click a link of the sidebar; the seconds until a frame is painted in which something is there.
_CLICKED = """async ([name, seen]) => {
  const began = performance.now();
  const links = [...document.querySelectorAll('[data-testid="stSidebarNavLink"]')];
  links.find(each => each.innerText.includes(name)).click();
  const there = eval(seen);
  while (!there()) await new Promise(done => requestAnimationFrame(done));
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return (performance.now() - began) / 1000;
}"""

# Notes how many tokens the map shows, and when (seconds since 1970), once it is no longer that of the answer before.
_WATCH = """
() => {
  const map = () => {
    const hosts = [...document.querySelectorAll('[data-testid="stBidiComponentIsolated"]')];
    const text = hosts.map(each => each.shadowRoot?.querySelector(".candor .text")).find(each => each);
    return text && [text.querySelectorAll("i").length, text.textContent.slice(0, 50)];
  };
  window.__seen = [];
  window.__before = String(map());
  if (window.__watching) return;
  window.__watching = true;
  const look = () => {
    const now = map();
    if (now?.[0] && now[0] !== window.__seen.at(-1)?.[0] && (window.__seen.length || String(now) !== window.__before)) {
      window.__seen.push([now[0], (performance.timeOrigin + performance.now()) / 1000]);
    }
  };
  setInterval(look, 40); // rather than in every frame, which would make the browser draw frames of nothing new
}
"""


def _write(engine: LocalEngine, prompt: str, tokens: int) -> None:
    (done,) = engine.complete(Request(prompt=prompt, max_tokens=tokens, temperature=0.0, k=10))
    assert len(done.generated) == tokens


def _open(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Generate").wait_for()
    wait_for_app(page)


@contextmanager
def _visitor(browser: Browser, url: str) -> Iterator[Page]:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    _open(page, url)
    yield page
    page.context.close()


def _prepare(page: Page, prompt: str, tokens: int) -> None:
    """Fill in the form, up to the click."""
    fill_in(page, prompt, tokens)
    page.keyboard.press("Tab")
    wait_for_app(page)
    page.evaluate(_WATCH)


def _ask(page: Page, prompt: str, tokens: int) -> float:
    """Seconds from the click to the last token on the page."""
    _prepare(page, prompt, tokens)
    began = time.time()
    page.get_by_role("button", name="Generate").click()
    moment = _last_token(page)
    seen = _seen(page)
    assert seen[-1][0] - seen[0][0] > 0.9 * tokens - 10, "the answer ended before its last token"
    return moment - began


def _last_token(page: Page) -> float:
    """When the last token came, in seconds since 1970."""
    page.wait_for_function("() => window.__seen.length > 0", timeout=_COLD)
    page.locator(".candor:not([data-live]) .text i:visible").first.wait_for(timeout=_COLD)
    moment = _seen(page)[-1][1]
    wait_for_map(page)
    return float(moment)


def _seen(page: Page) -> list[Any]:
    found: list[Any] = page.evaluate("window.__seen")
    return found


def _process_of(url: str) -> psutil.Process:
    port = int(url.rsplit(":", 1)[1])
    found = (each.pid for each in psutil.net_connections("tcp") if each.laddr.port == port and each.status == "LISTEN")
    return psutil.Process(next(pid for pid in found if pid is not None))


def _renderers() -> list[psutil.Process]:
    return [
        each for each in psutil.Process().children(recursive=True) if "--type=renderer" in " ".join(_arguments(each))
    ]


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def _cpu(processes: list[psutil.Process]) -> float:
    times = [each.cpu_times() for each in processes]
    return float(sum(each.user + each.system for each in times))


def _median(costs: list[_Cost], of: Callable[[_Cost], float]) -> float:
    return statistics.median(map(of, costs))


def _ratio(ours: list[_Cost], theirs: list[_Cost], of: Callable[[_Cost], float]) -> float:
    return _median(ours, of) / _median(theirs, of)
