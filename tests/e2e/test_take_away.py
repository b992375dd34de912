"""Exports: an interactive file, pictures and print. Token text in them is never executed."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import re
import struct
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page, expect

from components.explore.downloads import SNIPPET
from components.token_map.export_html import to_html
from lib.core.completion import Completion
from lib.display.export import to_csv, to_json
from lib.wire.saved_responses import completions_of, read_saved
from tests.e2e.apps.token_map_app import Row, completion, examples, hostile
from tests.e2e.conftest import Serve
from tests.support.hostile_text import STRINGS
from tests.support.paths import CASES

pytestmark = pytest.mark.browser


def opened(page: Page, done: Completion, folder: Path) -> Page:
    """The exported file of a completion, opened from disk without a network."""
    file = folder / "candor.html"
    file.write_bytes(to_html(done))
    page.context.set_offline(True)
    page.goto(file.as_uri())
    expect(page.locator(".text i").first).to_be_attached()
    return page


@pytest.fixture
def file(page: Page, tmp_path: Path) -> Page:
    return opened(page, examples()["whole"], tmp_path)


def colour(page: Page, token: int) -> str:
    return str(page.locator(".text i").nth(token).evaluate("each => getComputedStyle(each).backgroundColor"))


def picture(page: Page, form: str, folder: Path) -> Path:
    with page.expect_download() as saved:
        page.get_by_role("combobox", name="Save as a picture").select_option(form)
    target = folder / saved.value.suggested_filename
    saved.value.save_as(target)
    return target


def test_a_file_supports_hover_pins_and_the_keyboard(file: Page) -> None:
    cells = file.locator(".text i")
    cells.get_by_text(" Paris", exact=True).hover()
    expect(file.locator(".tip")).to_contain_text("58.6%")
    expect(file.locator(".tip")).to_contain_text("·Lyon")
    expect(file.locator(".tip")).to_contain_text("all others")
    cells.get_by_text(" Paris", exact=True).click()
    for expected in ("58.6%", "logprob −0.534", "rank 1", "id ", "all others"):
        expect(file.locator(".pinned")).to_contain_text(expected)
    file.keyboard.press("ArrowRight")
    expect(file.locator(".text i[data-at]")).to_have_text(",")
    file.keyboard.press("n")
    expect(file.locator(".text i[data-at]")).to_have_text(" never")
    file.keyboard.press("Escape")
    expect(file.locator(".text i[data-pin]")).to_have_count(0)
    expect(file.locator(".pinned")).to_be_empty()


def test_a_file_supports_metrics_groups_and_thresholds(file: Page) -> None:
    never = next(i for i, text in enumerate(file.locator(".text i").all_text_contents()) if text == " never")
    before = colour(file, never)
    file.get_by_role("radio", name="Margin").click()
    expect(file.get_by_role("radio", name="Margin")).to_be_checked()
    assert colour(file, never) != before
    options = file.get_by_role("combobox", name="Group by")
    assert options.locator("option").all_text_contents() == ["token", "word", "sentence", "line"]
    options.select_option("sentence")
    file.locator(".text i").nth(never).hover()
    expect(file.locator(".tip")).to_contain_text("Sentence of")
    file.get_by_role("radio", name="Probability").click()
    file.get_by_role("button", name="Adjust").click()
    file.locator(".edges input").first.fill("96")
    file.keyboard.press("Enter")
    expect(file.locator(".ramp i").first).to_have_text("≥ 96%")


def test_a_file_follows_the_theme_and_has_a_switch(file: Page) -> None:
    theme = file.locator(".candor")
    file.emulate_media(color_scheme="dark")
    expect(theme).to_have_attribute("data-theme", "dark")
    file.emulate_media(color_scheme="light")
    expect(theme).to_have_attribute("data-theme", "light")
    file.get_by_role("button", name="Light or dark").click()
    expect(theme).to_have_attribute("data-theme", "dark")
    assert file.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 17, 23)"


def test_a_file_describes_its_run(page: Page, tmp_path: Path) -> None:
    opened(page, examples()["whole"], tmp_path)
    for text in ("synthetic", "temperature 0", "saved 20", "Answer tokens", "not the chance that the answer is true"):
        expect(page.locator("body")).to_contain_text(text)


def test_print_has_the_whole_text_and_no_controls(page: Page, tmp_path: Path) -> None:
    opened(page, examples()["longer"], tmp_path)
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator(".bar")).to_be_hidden()
    assert page.locator(".text").evaluate("each => each.scrollHeight <= each.clientHeight + 1")
    assert page.locator(".candor").evaluate("each => getComputedStyle(each).color") == "rgb(34, 34, 34)"
    assert page.pdf().startswith(b"%PDF")


# As hosts of reports send them. All block the page's script; the second also blocks its styles.
POLICIES = (
    "default-src 'self'",
    "sandbox; default-src 'none'; img-src 'self'; style-src 'self'",
    "script-src 'self'",
    "sandbox",
)


@contextlib.contextmanager
def hosted(data: bytes, policy: str) -> Iterator[str]:
    """The address of a file on a host with this content security policy."""

    class Strict(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Strict) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/candor.html"
        server.shutdown()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_file_is_readable_if_its_script_is_blocked(browser: Browser, policy: str) -> None:
    with hosted(to_html(examples()["whole"]), policy) as address:
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.goto(address)
        for expected in (
            "What is the capital of France?",
            "The capital of France is Paris",
            "😀 cafe\u0301世界",
            "‹U+200B›",
        ):
            expect(page.get_by_text(expected).last).to_be_visible()
        expect(page.get_by_text("Save the file and open it from your disk")).to_be_visible()
        expect(page.get_by_text("<script>window.pwned=1</script>")).to_be_visible()
        text = page.locator("#text").inner_text()
        assert "def f(x):\n\u00a0\u00a0\u00a0\u00a0return x" in text
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect(page.get_by_role("button")).to_have_count(0)
        page.close()


@pytest.mark.parametrize("policy", ["", "default-src 'self' 'unsafe-inline' blob:"])
def test_a_file_removes_its_plain_text_once_the_map_is_drawn(page: Page, policy: str) -> None:
    with hosted(to_html(examples()["whole"]), policy) as address:
        page.goto(address)
        expect(page.locator(".text i").first).to_be_visible()
        expect(page.locator("#plain")).to_have_count(0)
        expect(page.get_by_role("button", name="Light or dark")).to_be_visible()


def test_a_file_is_readable_without_javascript(browser: Browser, tmp_path: Path) -> None:
    target = tmp_path / "candor.html"
    target.write_bytes(to_html(examples()["whole"]))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(target.as_uri())
    expect(page.get_by_text("The capital of France is Paris")).to_be_visible()
    context.close()


def test_an_empty_file_has_no_plain_text() -> None:
    assert b'id="plain"' not in to_html(examples()["nothing"])


def test_a_picture_of_the_pinned_line(file: Page, tmp_path: Path, browser: Browser) -> None:
    file.locator(".text i").get_by_text(" Paris", exact=True).click()
    png = picture(file, "png", tmp_path).read_bytes()
    svg = picture(file, "svg", tmp_path)
    width, height = struct.unpack(">II", png[16:24])
    root = ElementTree.parse(svg).getroot()
    assert (width, height) == (2 * int(root.attrib["width"]), 2 * int(root.attrib["height"]))
    texts = [each.text for each in root if each.tag.endswith("text")]
    assert "".join(str(text) for text in texts).startswith("The capital of France is Paris, never impossible words.")
    assert any(str(text).startswith("Probability") for text in texts)

    # The SVG by itself looks like the PNG: nearly all pixels match.
    context = browser.new_context(viewport={"width": width // 2, "height": height // 2}, device_scale_factor=2)
    page = context.new_page()
    page.goto(svg.as_uri())
    shot = base64.b64encode(page.screenshot()).decode()
    page.goto("about:blank")
    different = page.evaluate(_DIFFERENCE, [shot, base64.b64encode(png).decode()])
    context.close()
    assert different < 0.02


_DIFFERENCE = """
async (images) => {
  const pixels = await Promise.all(images.map(async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.getContext("2d").getImageData(0, 0, image.width, image.height).data;
  }));
  let different = 0;
  const length = Math.min(...pixels.map((each) => each.length)); // the second is taller than the first
  for (let i = 0; i < length; i += 4) different += Math.abs(pixels[0][i + 2] - pixels[1][i + 2]) > 90;
  return different / (length / 4);
}
"""


# The map with the picture's width, and without what only the page needs.
_AS_A_PICTURE = """
() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :not(.picture) > .text { background: var(--page); border: 0; box-sizing: border-box; inset: 0 auto auto 0;
      max-height: none; overflow: hidden; padding: 24px 24px 8px; position: fixed; scrollbar-gutter: auto;
      width: 960px; z-index: 9; }
    :not(.picture) > .text i { box-shadow: none; } .text b { display: none; }`);
  const root = document.querySelector("#map").shadowRoot;
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
}
"""
ARABIC = CASES / "31-arabic-reply.json"


def completion_of(name: str) -> Completion:
    return completions_of(read_saved(ARABIC.read_bytes()), None)[0] if name == "arabic" else examples()[name]


@pytest.mark.parametrize(("name", "most"), [("arabic", 0.008), ("scripts", 0.004), ("whole", 0.02)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_picture_matches_the_map(
    browser: Browser, tmp_path: Path, name: str, most: float, theme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(viewport={"width": 1040, "height": 900}, color_scheme=theme, device_scale_factor=2)
    opened(page, completion_of(name), tmp_path)
    page.evaluate(_AS_A_PICTURE)
    shot = page.locator(".text").screenshot()
    png, svg = picture(page, "png", tmp_path).read_bytes(), picture(page, "svg", tmp_path)
    page.set_viewport_size({"width": 960, "height": 900})
    page.goto(svg.as_uri())
    again = page.screenshot()
    page.goto("about:blank")
    for drawn in (png, again):
        different = page.evaluate(_DIFFERENCE, [base64.b64encode(each).decode() for each in (shot, drawn)])
        assert different < most
    page.close()


def test_an_arabic_picture_keeps_words_whole_and_reads_from_right_to_left(page: Page, tmp_path: Path) -> None:
    opened(page, completion_of("arabic"), tmp_path)
    root = ElementTree.parse(picture(page, "svg", tmp_path)).getroot()
    texts = [each for each in root if each.tag.endswith("text")]
    words = ["".join(each.itertext()) for each in texts]
    assert words[:6] == ["السلام", " عليكم", " ورحمة", " الله،", " هذه", " لاإله"]
    places = [float(each.attrib["x"]) for each in texts[:6]]
    assert places == sorted(places, reverse=True)
    assert {each.attrib["direction"] for each in texts[:6]} == {"rtl"}
    assert [part.text for part in texts[0]] == ["الس", "لام"]
    latin = texts[words.index("Lat")]
    assert "direction" not in latin.attrib


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_shows_hidden_characters(page: Page, tmp_path: Path, form: str) -> None:
    rows = [Row("OK", 0.9), *(Row(each, 0.2) for each in "\U000e0073\u3164"), Row(" then", 0.9)]
    opened(page, completion((), rows), tmp_path)
    saved = picture(page, form, tmp_path)
    if form == "svg":
        texts = [each.text for each in ElementTree.parse(saved).getroot() if each.tag.endswith("text")]
        assert texts[:4] == ["OK", "U+E0073", "U+3164", " then"]
    else:
        assert saved.stat().st_size > 1000


def test_a_picture_that_begins_within_a_paragraph_keeps_its_direction(page: Page, tmp_path: Path) -> None:
    opened(page, completion((), [Row(text) for text in ("שלום", " abc", " טוב", " def")]), tmp_path)
    page.locator(".text").evaluate(_SELECT, [1, 4])
    root = ElementTree.parse(picture(page, "svg", tmp_path)).getroot()
    places = {str(each.text).strip(): float(each.attrib["x"]) for each in root if each.tag.endswith("text")}
    assert places["abc"] > places["def"]


def test_a_picture_of_the_selection(file: Page, tmp_path: Path) -> None:
    file.locator(".text i").get_by_text(" capital", exact=True).last.select_text()
    root = ElementTree.parse(picture(file, "svg", tmp_path)).getroot()
    assert next(each.text for each in root if each.tag.endswith("text")) == " capital"


def test_the_code_for_a_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = examples()["whole"]
    (tmp_path / "candor.json").write_text(to_json(done), encoding="utf-8")
    names: dict[str, object] = {}
    exec(SNIPPET, names)
    tokens = names["tokens"]
    assert len(tokens) == len(done.prompt) + len(done.generated)  # type: ignore[arg-type]
    assert tokens["logprob"].min() == float("-inf")  # type: ignore[index]


# --- hostile texts --------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(page: Page) -> Iterator[Page]:
    """Fails the test if any token text is executed."""
    events: list[str] = []
    page.on("dialog", lambda dialog: (events.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: events.append(request.url) if "example.org" in request.url else None)
    yield page
    assert page.evaluate("window.pwned") is None
    assert not events


_SHOWN = (
    "all => all.map((each) => [each.textContent, [...each.children].filter((one) => one.localName !== 'u').length])"
)


def cells(done: Completion) -> str:
    return "".join(done.pieces.text_of(int(ref)) for ref in done.generated.refs)


def test_there_are_enough_hostile_texts() -> None:
    assert len(set(STRINGS)) >= 200


def test_hostile_texts_stay_texts_in_the_page(watched: Page, serve_app: Serve) -> None:
    watched.goto(serve_app("token_map_app", hostile=1))
    expect(watched.locator(".text i").first).to_be_attached()
    shown = watched.locator(".text i").evaluate_all(_SHOWN)
    assert "".join(text for text, _ in shown).endswith(cells(hostile()))
    assert sum(elements for _, elements in shown) == 0
    for number in range(0, len(shown), 29):
        watched.locator(".text i").nth(number).dispatch_event("pointerover")
    assert watched.locator(".tip").evaluate("tip => tip.querySelectorAll('script, img, a, svg, iframe').length") == 0


def test_hostile_texts_stay_texts_in_a_file(watched: Page, tmp_path: Path) -> None:
    done = hostile()
    opened(watched, done, tmp_path)
    shown = watched.locator(".text i").evaluate_all(_SHOWN)
    assert "".join(text for text, _ in shown).endswith(cells(done))
    assert sum(elements for _, elements in shown) == 0
    for number in range(0, len(shown), 29):
        watched.locator(".text i").nth(number).dispatch_event("pointerover")
    assert watched.locator("img, iframe, object, embed, form, link, base, a, svg").count() == 0
    assert watched.locator("script").count() == 4
    raw = (tmp_path / "candor.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<script", raw)) == 4
    assert raw.count("</script>") == 4


_SELECT = """
(text, [first, last]) => {
  const all = [...text.querySelectorAll("i")].slice(first, last);
  const [start, end] = [document.createRange(), document.createRange()];
  start.setStartBefore(all[0]);
  end.setEndAfter(all.at(-1));
  getSelection().setBaseAndExtent(start.startContainer, start.startOffset, end.endContainer, end.endOffset);
}
"""


def test_hostile_texts_stay_texts_in_a_picture(watched: Page, tmp_path: Path) -> None:
    done = hostile()
    opened(watched, done, tmp_path)
    count, seen = watched.locator(".text i").count(), ""
    for first in range(0, count, 60):
        watched.locator(".text").evaluate(_SELECT, [first, first + 60])
        svg = picture(watched, "svg", tmp_path)
        root = ElementTree.parse(svg).getroot()
        assert {each.tag.rsplit("}")[-1] for each in root.iter()} <= {"svg", "rect", "text", "tspan", "line"}
        assert "<script" not in svg.read_text(encoding="utf-8").lower()
        seen += "".join("".join(each.itertext()) for each in root if each.tag.endswith("text"))
    for text in ("<script>window.pwned=1</script>", "<svg/onload=window.pwned=1>", "=HYPERLINK", "javascript:"):
        assert text in seen
    watched.context.set_offline(False)
    watched.goto(svg.as_uri())


def test_hostile_texts_stay_texts_in_tables() -> None:
    done = hostile()
    rows = list(csv.DictReader(io.StringIO(to_csv(done), newline="")))
    assert len(rows) == len(done.generated) + 1
    assert not [row["text"] for row in rows if row["text"].startswith(("=", "+", "-", "@", "\t", "\r"))]
    document = json.loads(to_json(done))
    assert [row["text"] for row in document["generated"]] == list(STRINGS)
