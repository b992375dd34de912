"""The token map in a real browser: what it shows, what it sends to Python, and what it never does."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import components.token_map as token_map_module
from components.token_map import pinned_cell
from lib import formatting
from lib.display.scales import OUTSIDE, SCALES, UNSCORED, Scale
from lib.display.token_map_columns import fingerprint
from lib.display.token_map_view import TokenMapView
from lib.scores.token_scores import entropy_bounds
from tests.e2e.apps import token_map_app as app
from tests.e2e.conftest import Serve
from tests.support.browser import wait_for_app

pytestmark = pytest.mark.browser


@cache
def view(name: str = "whole") -> TokenMapView:
    return TokenMapView(app.examples()[name])


def texts(name: str = "whole") -> list[str]:
    return [view(name).text_of(cell) for cell in range(len(view(name)))]


def place(text: str, name: str = "whole") -> int:
    """The cell with that text."""
    return texts(name).index(text)


@pytest.fixture
def shown(page: Page, serve_app: Serve) -> Page:
    """The page with the completion "whole"."""
    page.goto(serve_app("token_map_app"))
    wait_for_app(page)
    expect(cells(page)).to_have_count(len(view()))
    return page


@pytest.fixture
def still(lasting_page: Page, serve_app: Serve) -> Page:
    """The same, opened once for all tests that only read it, hover over it, or choose its metric and groups."""
    lasting_page.set_viewport_size({"width": 1280, "height": 900})
    if lasting_page.url == "about:blank":
        lasting_page.goto(serve_app("token_map_app"))
        wait_for_app(lasting_page)
    lasting_page.bring_to_front()
    lasting_page.mouse.move(0, 0)
    lasting_page.evaluate("getSelection().removeAllRanges()")
    lasting_page.get_by_role("radio", name="Probability").click()
    group_by(lasting_page, "token")
    expect(cells(lasting_page)).to_have_count(len(view()))
    assert runs(lasting_page) == 1
    return lasting_page


def cells(page: Page) -> Locator:
    return page.locator(".text i")


def cell(page: Page, text: str, name: str = "whole") -> Locator:
    return cells(page).nth(place(text, name))


def show(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_text(f"shown: {name} ·")).to_be_visible()
    wait_for_app(page)


def expect_pinned(page: Page, pinned: int | None) -> None:
    """Expect Python and the browser to agree on the pinned token."""
    expect(page.get_by_text(re.compile(rf"pinned: {pinned}$"))).to_be_visible()
    expect(page.locator(".text i[data-pin]")).to_have_count(0 if pinned is None else 1)
    if pinned is not None:
        expect(cells(page).nth(pinned)).to_have_attribute("data-pin", "")


def runs(page: Page) -> int:
    line = page.get_by_text(re.compile(r"runs: \d+")).inner_text()
    return int(re.search(r"runs: (\d+)", line)[1])  # type: ignore[index]


def tip(page: Page, target: Locator) -> str:
    """The text of a cell's tooltip, with words separated by single spaces."""
    target.hover()
    expect(page.locator(".tip")).to_be_visible()
    return re.sub(r"\s+", " ", page.locator(".tip").inner_text())


def steps_shown(page: Page) -> list[int]:
    """The step of every cell, from its class."""
    names = cells(page).evaluate_all("all => all.map(each => each.className.split(' ').at(-1))")
    special = {"su": UNSCORED, "so": OUTSIDE}
    return [special[name] if name in special else int(name.removeprefix("s")) for name in names]


def colours(scale: Scale, name: str = "whole", grouping: str = "token") -> list[int]:
    """The colour of every cell, which is its group's."""
    shown = view(name)
    steps = scale.colours(shown.steps(grouping)[scale.name])
    if grouping == "token":
        return steps.tolist()  # type: ignore[no-any-return]
    sizes = np.diff(np.append(shown.groups(grouping), len(shown)))
    return np.repeat(steps, sizes).tolist()  # type: ignore[no-any-return]


def scale_named(name: str) -> Scale:
    return next(scale for scale in SCALES if scale.name == name)


# --- the text -------------------------------------------------------------------------------------------------------


def test_the_text_is_the_tokens_joined(shown: Page) -> None:
    for name in ("whole", "half", "longer", "other"):
        show(shown, name)
        expect(cells(shown)).to_have_count(len(view(name)))
        assert cells(shown).evaluate_all("all => all.map(each => each.textContent)") == texts(name)
        assert shown.locator(".text").evaluate("text => text.textContent") == "".join(texts(name))


def test_copied_text_has_no_marks(shown: Page) -> None:
    shown.get_by_text("Spaces").click()
    shown.locator(".text").evaluate("text => document.getSelection().selectAllChildren(text)")
    shown.keyboard.press("Control+c")
    assert shown.evaluate("navigator.clipboard.readText()") == "".join(texts())


def test_find_in_page_finds_text_outside_the_viewport(page: Page, serve_app: Serve) -> None:
    page.goto(serve_app("token_map_app", many=30_000))
    wait_for_app(page)
    expect(cells(page).first).to_be_visible()
    for _ in range(2):  # at once, and when everything is drawn
        # In one call, because drawing in between clears the selection.
        assert page.evaluate("window.find('Farewell') && document.getSelection().toString()") == "Farewell"
        expect(cells(page).last).to_have_text(" Farewell")
        page.evaluate("document.getSelection().removeAllRanges()")


def test_selecting_text_does_not_pin(still: Page) -> None:
    start, end = cell(still, " capital").bounding_box(), cell(still, "?").bounding_box()
    assert start is not None
    assert end is not None
    still.mouse.move(start["x"] + 3, start["y"] + 8)
    still.mouse.down()
    still.mouse.move(end["x"] + 3, end["y"] + 8)
    still.mouse.up()
    assert runs(still) == 1


def test_nothing_in_a_token_is_executed_or_becomes_an_element(shown: Page) -> None:
    for text in (" <script>window.pwned=1</script>", "<img src=x onerror=window.pwned=1>", "</i></div>"):
        assert text.strip() in tip(shown, cell(shown, text)).replace("·", " ")
        cell(shown, text).click()
    assert shown.evaluate("window.pwned") is None
    assert shown.locator(".candor").locator("script, img, style").count() == 0


def test_a_direction_override_stays_within_its_token(still: Page) -> None:
    letters = cell(still, "evil").evaluate(
        """node => [0, 3].map(letter => {
            const range = document.createRange();
            range.setStart(node.firstChild, letter);
            range.setEnd(node.firstChild, letter + 1);
            return range.getBoundingClientRect().x;
        })"""
    )
    override, after = cell(still, " \u202e").bounding_box(), cell(still, "\u200b").bounding_box()
    assert override is not None
    assert after is not None
    assert override["x"] < letters[0] < letters[1] < after["x"]
    assert "‹U+202E›" in tip(still, cell(still, " \u202e"))


def test_scripts_are_laid_out_in_reading_order(shown: Page) -> None:
    show(shown, "scripts")
    expect(cells(shown)).to_have_count(len(view("scripts")))
    boxes = cells(shown).evaluate_all(_BOXES)

    def box(text: str) -> tuple[float, float, float]:
        left, right, top = boxes[texts("scripts").index(text)]
        return left, right, top

    # Right to left in reading order, with a Latin word between its neighbours.
    assert box("שלום")[0] > box(" עולם")[1] - 1 > box(" abc")[1] - 1 > box(" טוב")[1] - 2
    assert box("سل")[0] >= box("ام")[1] - 1
    # Several tokens, one character.
    joined = ["👨\u200d👩\u200d👧", " 🇩🇪", " 👍🏽", "e\u0301"]
    assert [text for text in joined if text not in texts("scripts")] == []
    # Code keeps its indentation.
    assert box("z")[0] - box("        ")[0] == pytest.approx(2 * _width(boxes, "    "), abs=1)


_BOXES = "all => all.map(each => each.getBoundingClientRect()).map(({ left, right, top }) => [left, right, top])"


def _width(boxes: list[list[float]], text: str) -> float:
    left, right, _ = boxes[texts("scripts").index(text)]
    return right - left


def test_letters_join_across_tokens(shown: Page) -> None:
    """Two halves of an Arabic word are as wide as the word, because their letters keep their joined forms."""
    show(shown, "scripts")
    parts = [cell(shown, text, "scripts").bounding_box() for text in ("سل", "ام")]
    whole = shown.locator(".text").evaluate(
        """text => {
            const whole = text.appendChild(document.createElement("span"));
            whole.textContent = "سلام";
            const { width } = whole.getBoundingClientRect();
            whole.remove();
            return width;
        }"""
    )
    assert sum(part["width"] for part in parts if part) == pytest.approx(whole, abs=1)


def test_kinds_and_parts_are_marked(still: Page) -> None:
    assert still.locator(".text b").evaluate_all("all => all.map(each => each.dataset.label)") == [
        "prompt",
        "reasoning",
        "answer",
    ]
    first_answer = still.locator(".text b[data-label=answer] + i")
    expect(first_answer).to_have_text("The")
    expect(still.locator(".text .stop")).to_have_count(1)
    expect(still.locator(".text .x")).to_have_count(4)
    expect(still.locator(".text .r")).to_have_count(len(app.REASONING))


def test_the_prompt_collapses_to_one_line(shown: Page) -> None:
    boundary = view().boundary
    prompt, answer = cells(shown).nth(boundary - 1), cells(shown).nth(boundary)
    shown.get_by_label("Fold prompt").check()
    line = shown.locator(".fold")
    expect(line).to_contain_text("What is the capital of France?")
    expect(prompt).to_be_hidden()
    expect(answer).to_be_visible()
    shown.locator(".text").focus()
    shown.keyboard.press("Control+Home")  # the first token that can be seen
    expect(shown.locator("[data-at]")).to_have_text(answer.text_content() or "")
    for _ in range(len(view())):  # an unsure token in the prompt opens it
        shown.keyboard.press("N")
        if prompt.is_visible():
            break
    expect(prompt).to_be_visible()
    expect(shown.get_by_label("Fold prompt")).not_to_be_checked()
    shown.get_by_label("Fold prompt").check()
    line.click()
    expect(line).to_be_hidden()
    expect(prompt).to_be_visible()


def test_control_tokens_can_be_muted(shown: Page) -> None:
    control = cells(shown).nth(0)
    expect(control).to_have_class(re.compile(r"\bm\b"))
    surprising = cell(shown, " France")
    expect(surprising).not_to_have_class(re.compile(r"\bm\b"))
    before = surprising.evaluate("each => getComputedStyle(each).backgroundColor")
    shown.get_by_label("Mute template").check()
    assert surprising.evaluate("each => getComputedStyle(each).backgroundColor") == before
    expect(shown.locator(".candor[data-mute]")).to_be_visible()


def test_an_empty_completion_draws_nothing(shown: Page) -> None:
    show(shown, "nothing")
    expect(cells(shown)).to_have_count(0)
    expect(shown.locator(".candor")).to_be_hidden()
    show(shown, "whole")
    expect(cells(shown)).to_have_count(len(view()))


# --- colours --------------------------------------------------------------------------------------------------------


def test_cells_match_pythons_steps_in_every_metric_without_a_rerun(still: Page) -> None:
    for scale in SCALES:
        still.get_by_role("radio", name=scale.label).click()
        expect(still.locator(".explanation")).to_have_text(scale.explanation)
        assert steps_shown(still) == colours(scale), scale.name
        assert still.locator(".ramp i").all_inner_texts() == list(scale.legend())
    assert runs(still) == 1


def test_the_metric_is_kept_when_the_completion_changes(shown: Page) -> None:
    shown.get_by_role("radio", name="Entropy").click()
    show(shown, "other")
    expect(cells(shown)).to_have_count(len(view("other")))
    expect(shown.get_by_role("radio", name="Entropy")).to_be_checked()
    show(shown, "no alternatives")
    expect(shown.get_by_role("radio", name="Probability")).to_be_checked()
    show(shown, "other")
    expect(shown.get_by_role("radio", name="Entropy")).to_be_checked()
    assert steps_shown(shown) == colours(scale_named("entropy"), "other")


def test_an_unavailable_metric_says_why(shown: Page) -> None:
    show(shown, "no alternatives")
    for scale in SCALES:
        button = shown.get_by_role("radio", name=scale.label)
        available = view("no alternatives").available(scale)
        expect(button).to_have_attribute("aria-disabled", str(not available).lower())
        expect(button).to_have_attribute("title", "" if available else scale.reason)
        if not available:
            button.click(force=True)
            expect(button).not_to_be_checked()
            expect(shown.locator(".explanation")).to_contain_text(scale.reason)
    expect(shown.get_by_role("radio", name="Probability")).to_be_checked()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_step_is_legible_and_distinct(page: Page, serve_app: Serve, theme: str) -> None:
    page.goto(serve_app("token_map_app", embed="true", embed_options=f"{theme}_theme"))
    wait_for_app(page)
    expect(page.locator(".candor")).to_have_attribute("data-theme", theme)
    background = _luminance(page.locator("[data-testid=stApp]").evaluate(COLOURS)[1])
    tints = []
    for swatch in page.locator(".ramp i, .key > .su").all():
        ink, tint = (_luminance(colour, default=background) for colour in swatch.evaluate(COLOURS))
        assert _contrast(ink, tint) >= 4.5, swatch.inner_text()
        tints.append(tint)
    assert tints[0] == tints[-1] == background  # the most confident and the unscored step have no tint
    assert tints[:-1] == sorted(tints[:-1], reverse=theme == "light")
    assert min(_contrast(a, b) for a, b in pairwise(tints[:-1])) > 1.05
    for text in page.locator(".explanation, .hint, .metrics button, .text .x").all():
        ink, paper = (_luminance(colour, default=background) for colour in text.evaluate(COLOURS))
        assert _contrast(ink, paper) >= 4.5, text.inner_text()


COLOURS = """node => {
    const rgba = colour => {
        const context = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data];
    };
    const style = getComputedStyle(node);
    return [rgba(style.color), rgba(style.backgroundColor)];
}"""


def _luminance(rgba: list[int], default: float = 1.0) -> float:
    """Relative luminance as WCAG defines it; `default` for a transparent colour."""
    if rgba[3] == 0:
        return default
    parts = np.array(rgba[:3]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


# --- groups ---------------------------------------------------------------------------------------------------------


def group_by(page: Page, grouping: str) -> None:
    page.get_by_role("combobox", name="Group by").select_option(grouping)


def test_groups_match_pythons_steps_in_every_metric_without_a_rerun(still: Page) -> None:
    for grouping in ("word", "sentence", "line"):
        group_by(still, grouping)
        for scale in SCALES:
            still.get_by_role("radio", name=scale.label).click()
            assert steps_shown(still) == colours(scale, grouping=grouping), (grouping, scale.name)
        joined = cells(still).evaluate_all("all => all.map(each => each.classList.contains('j'))")
        first = {*view().groups(grouping).tolist(), view().boundary}
        assert joined == [each not in first for each in range(len(view()))], grouping
    assert runs(still) == 1


def test_the_tooltip_of_a_group_describes_its_tokens(still: Page) -> None:
    group_by(still, "line")
    words = tip(still, cell(still, " Paris"))
    assert words.startswith(
        "Line of 12 tokens · one word in ten, at least one, is no more confident than probability < 0.0001%"
    )
    assert "logprob −0.534" in words
    expect(still.locator(".text i[data-within]")).to_have_count(12)
    group_by(still, "word")
    assert "Word of 2 tokens · probability 1" in tip(still, cell(still, " cafe\u0301"))  # 0.5 × 0.28


def test_the_next_unsure_place_may_be_a_group(still: Page) -> None:
    group_by(still, "line")
    steps = scale_named("probability").colours(view().steps("line")["probability"])
    starts = view().groups("line")
    unsure = [int(start) for start, step in zip(starts, steps, strict=True) if 4 <= step <= 7]
    still.get_by_role("application").focus()
    still.keyboard.press("Control+Home")
    for expected in unsure[1:] if unsure[0] == 0 else unsure:
        still.keyboard.press("n")
        assert at(still) == expected


def ask(page: Page, pattern: str) -> None:
    group_by(page, "pattern")
    page.get_by_role("textbox", name="Regular expression").fill(pattern)
    page.keyboard.press("Enter")
    wait_for_app(page)


def test_a_pattern_colours_what_it_matches(shown: Page) -> None:
    ask(shown, r"[Cc]apital|\bFrance")
    expect(shown.locator(".answered")).to_have_text("5 matches")
    first, steps = view().matched(r"[Cc]apital|\bFrance")
    scale = scale_named("probability")
    sizes = np.diff(np.append(first, len(view())))
    assert steps_shown(shown) == np.repeat(scale.colours(steps["probability"]), sizes).tolist()
    assert OUTSIDE in steps_shown(shown)
    shown.get_by_role("radio", name="Surprisal").click()
    assert steps_shown(shown) == np.repeat(scale_named("surprisal").colours(steps["surprisal"]), sizes).tolist()
    show(shown, "other")
    expect(shown.locator(".answered")).to_have_text("2 matches")


def test_a_pattern_that_finds_nothing_says_so(shown: Page) -> None:
    ask(shown, "(")
    expect(shown.locator(".answered")).to_contain_text("Invalid regular expression: missing )")
    assert steps_shown(shown) == colours(scale_named("probability"))  # nothing is lost
    ask(shown, "^(?:a|aa)+$")
    expect(shown.locator(".answered")).to_contain_text("0 matches")
    assert set(steps_shown(shown)) == {OUTSIDE}


def test_python_rejects_invalid_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for = token_map_module.Asked
    for asked, expected in (
        ({"grouping": "word", "pattern": "a", "whole": 7}, asked_for("word", "a", 7)),
        ({"grouping": 3, "pattern": None, "whole": True}, asked_for()),
        ({"grouping": "word", "pattern": "a" * 2001, "whole": "7"}, asked_for("word")),
        ("word", asked_for()),
        (None, asked_for()),
    ):
        monkeypatch.setattr(token_map_module, "st", SimpleNamespace(session_state={"map": {"asked": asked}}))
        assert token_map_module.asked_for("map") == expected


def test_a_very_long_text_gets_its_colours_first(page: Page, serve_app: Serve) -> None:
    page.goto(serve_app("token_map_app", many=30_000))
    wait_for_app(page)
    expect(page.get_by_text(re.compile(r"runs: 2 "))).to_be_visible()  # the second brings the alternatives
    expect(cells(page)).to_have_count(len(TokenMapView(app.many(30_000))))
    words = tip(page, cells(page).nth(len(app.PROMPT) + 12))
    assert "all others" in words
    assert "entropy" in words
    group_by(page, "word")
    expect(page.get_by_text(re.compile(r"runs: 3 "))).to_be_visible()  # and the third the words
    expect(page.locator(".candor[data-grouped]")).to_be_visible()


def test_groups_of_a_long_text_are_computed_on_demand(page: Page, serve_app: Serve) -> None:
    page.goto(serve_app("token_map_app", many=6_000))
    wait_for_app(page)
    expect(page.get_by_text(re.compile(r"runs: 1 "))).to_be_visible()
    assert "all others" in tip(page, cells(page).nth(len(app.PROMPT) + 12))
    group_by(page, "sentence")
    expect(page.get_by_text(re.compile(r"runs: 2 "))).to_be_visible()
    expect(page.locator(".candor[data-grouped]")).to_be_visible()


# --- thresholds -----------------------------------------------------------------------------------------------------


def test_moved_thresholds_recolour_the_map_and_persist(shown: Page) -> None:
    scale = scale_named("probability")
    shown.get_by_role("button", name="Adjust").click()
    fields = shown.locator(".edges input")
    expect(fields).to_have_count(7)
    fields.nth(0).fill("97")
    fields.nth(0).press("Enter")
    fields.nth(6).fill("0,0011")  # rounded to the nearest grid value
    fields.nth(6).press("Enter")
    fields.nth(2).fill("80")  # limited by its neighbour
    fields.nth(2).press("Enter")
    fields.nth(3).fill("no number")
    fields.nth(3).press("Enter")
    edges = [*scale.edges]
    edges[0], edges[2], edges[6] = scale.words.index("97%"), edges[1], scale.words.index("1%")
    expect(shown.locator(".ramp i").first).to_have_text("≥ 97%")
    edges[6] = scale.words.index(f"{fields.nth(6).input_value()}%")
    assert scale.grid[edges[6]] < 0.15
    assert fields.nth(2).input_value() == "70"
    assert fields.nth(3).input_value() == "30"
    assert shown.locator(".ramp i").all_inner_texts() == [words or "–" for words in scale.legend(edges)]
    steps = view().steps("token")["probability"]
    assert steps_shown(shown) == scale.colours(steps, edges).tolist()
    assert runs(shown) == 1
    shown.reload()
    expect(cells(shown)).to_have_count(len(view()))
    assert steps_shown(shown) == scale.colours(steps, edges).tolist()
    shown.get_by_role("button", name="Adjust").click()
    shown.get_by_role("button", name="Usual thresholds").click()
    assert steps_shown(shown) == colours(scale)


def test_legends_of_moved_thresholds_match_pythons(shown: Page) -> None:
    for edges in ([0, 1, 2, 3, 4, 5, 6], [2, 2, 9, 9, 9, 20, 30], [7, 8, 12, 19, 20, 21, None]):
        moved = {scale.name: [len(scale.grid) - 1 if edge is None else edge for edge in edges] for scale in SCALES}
        store_thresholds(shown, json.dumps(moved))
        for scale in SCALES:
            shown.get_by_role("radio", name=scale.label).click()
            legend = [words or "–" for words in scale.legend(moved[scale.name])]
            assert shown.locator(".ramp i").all_inner_texts() == legend, scale.name
            steps = scale.colours(view().steps("token")[scale.name], moved[scale.name])
            assert steps_shown(shown) == steps.tolist(), scale.name


def test_without_storage_everything_else_works(shown: Page) -> None:
    """If a browser forbids storage, even accessing its name raises an error."""
    shown.evaluate(
        """() => {
            const get = () => { throw new DOMException("forbidden", "SecurityError"); };
            for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get });
        }"""
    )
    shown.get_by_role("radio", name="Surprisal").click()
    assert steps_shown(shown) == colours(scale_named("surprisal"))
    group_by(shown, "word")
    assert steps_shown(shown) == colours(scale_named("surprisal"), grouping="word")


def store_thresholds(page: Page, text: str) -> None:
    page.evaluate("text => localStorage.setItem('candor.thresholds', text)", text)


def test_invalid_thresholds_are_ignored(shown: Page) -> None:
    for edges in ([1, 2], [9, 8, 7, 6, 5, 4, 3], [0, 1, 2, 3, 4, 5, 9999], [0.5] * 7, "no", None):
        store_thresholds(shown, json.dumps({"probability": edges}))
        shown.get_by_role("radio", name="Surprisal").click()
        shown.get_by_role("radio", name="Probability").click()
        assert shown.locator(".ramp i").all_inner_texts() == list(SCALES[0].legend())
    store_thresholds(shown, "[")
    shown.reload()
    expect(cells(shown)).to_have_count(len(view()))


# --- the tooltip ----------------------------------------------------------------------------------------------------


def test_the_tooltip_of_a_likely_token(still: Page) -> None:
    words = tip(still, cell(still, " Paris"))
    low, high = (float(bound[cell_row(" Paris")]) for bound in entropy_bounds(view().tokens, 60_000))
    facts = f"logprob −0.534 · rank 1 · id {_id(' Paris')} entropy {formatting.bracket(low, high)}"
    first, _, rest = words.partition(facts)
    assert first.split() == ["·Paris", "58.6%"]
    assert rest.split() == [
        "·Paris", "58.6%", "·Lyon", "20.0%", "·called", "10.0%", "↵", "5.00%", "all", "others", "6.4%",
    ]  # fmt: skip
    expect(still.locator(".tip .chosen")).to_have_count(1)


def cell_row(text: str) -> int:
    """The first token of the cell with that text."""
    return view().tokens_of(place(text)).start


def _id(text: str) -> int:
    pieces = view().tokens.pieces
    return int(pieces.ids[pieces.texts.index(text)])


def test_every_number_in_a_tooltip_matches_pythons(still: Page) -> None:
    tokens = view().tokens
    low, high = entropy_bounds(tokens, 60_000)
    for number in range(len(view())):
        words = tip(still, cells(still).nth(number))
        for row in view().tokens_of(number):
            logprob = float(tokens.logprobs[row])
            if np.isnan(logprob):
                assert "not scored" in words
            elif np.isfinite(logprob):
                quantised = round(logprob, 3)
                assert formatting.percent(float(np.exp(quantised))) in words
                assert f"logprob {formatting.signed(quantised, 3)} · " in words
                assert f"entropy {formatting.bracket(round(float(low[row]), 3), round(float(high[row]), 3))}" in words
            if tokens.ranks[row] > 0:
                assert f"rank {formatting.rank(int(tokens.ranks[row]))}" in words


def test_a_token_outside_its_list_has_a_row_of_its_own(still: Page) -> None:
    words = tip(still, cell(still, " never"))
    assert "rank 310" in words
    assert words.endswith("·never 0.40% all others 14.6%")


def test_the_text_of_the_tooltip(still: Page) -> None:
    for text, said in (
        ("<|im_start|>", ["not scored: nothing precedes the first token"]),
        (" impossible", ["< 1e-28", "rank 50,001"]),
        (" words", ["0.00061%", "rank unknown"]),
        ("\t", ["→", "4.00%"]),
        ("😀", ["is made of 2 tokens", r"\xf0\x9f", "12.0%", "rank 4", r"\x98\x80", "40.0%", r"Instead of \xf0\x9f"]),
    ):
        words = tip(still, cell(still, text))
        assert [each for each in said if each not in words] == [], words


@pytest.mark.parametrize("width", [390, 1280])
def test_the_tooltip_stays_on_the_screen(still: Page, width: int) -> None:
    still.set_viewport_size({"width": width, "height": 700})
    for target in cells(still).all()[::6]:
        target.hover()
        expect(still.locator(".tip")).to_be_visible()
        box = still.locator(".tip").bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= width - box["width"]
        assert 0 <= box["y"] <= 700 - box["height"]


def test_the_tooltip_on_a_phone_leaves_the_touched_token_visible(browser: Browser, serve_app: Serve) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(serve_app("token_map_app"))
    wait_for_app(page)
    expect(cells(page)).to_have_count(len(view()))
    for text in (" capital", " Paris", " done"):
        cell(page, text).tap()
        expect(page.locator(".tip")).to_be_visible()
        page.wait_for_timeout(100)
        sheet, token = page.locator(".tip").bounding_box(), cell(page, text).bounding_box()
        assert sheet is not None
        assert token is not None
        assert sheet["width"] == 390
        assert sheet["y"] + sheet["height"] == pytest.approx(700)
        assert token["y"] + token["height"] <= sheet["y"], text
    cell(page, " done").tap()
    expect(page.locator(".tip")).to_be_hidden()
    expect(page.locator(".text i[data-pin]")).to_have_count(0)
    context.close()


# --- pinning --------------------------------------------------------------------------------------------------------


def test_a_click_pins_and_another_unpins(shown: Page) -> None:
    cell(shown, " Paris").click()
    expect_pinned(shown, place(" Paris"))
    cell(shown, " never").click()
    expect_pinned(shown, place(" never"))
    cell(shown, " never").click()
    expect_pinned(shown, None)


def test_escape_unpins(shown: Page) -> None:
    cell(shown, " Paris").click()
    expect_pinned(shown, place(" Paris"))
    shown.keyboard.press("Escape")
    expect_pinned(shown, None)


def test_a_pin_belongs_to_its_completion(shown: Page) -> None:
    cell(shown, "user").click()  # in the prompt, which the other completion has too
    expect_pinned(shown, 1)
    show(shown, "other")
    expect(cells(shown)).to_have_count(len(view("other")))
    expect_pinned(shown, None)
    show(shown, "nothing")
    expect_pinned(shown, None)
    show(shown, "whole")
    expect_pinned(shown, 1)


def test_a_pin_survives_growth(shown: Page) -> None:
    show(shown, "half")
    expect(cells(shown)).to_have_count(len(view("half")))
    cell(shown, " Paris", "half").click()
    expect_pinned(shown, place(" Paris"))
    show(shown, "longer")
    expect(cells(shown)).to_have_count(len(view("longer")))
    expect_pinned(shown, place(" Paris"))


def test_choices_are_restored_with_the_map(shown: Page) -> None:
    cell(shown, " Paris").click()
    expect_pinned(shown, place(" Paris"))
    shown.get_by_role("radio", name="Margin").click()
    show(shown, "no map")
    expect(cells(shown)).to_have_count(0)
    show(shown, "whole")
    expect_pinned(shown, place(" Paris"))
    expect(shown.get_by_role("radio", name="Margin")).to_be_checked()


def test_python_rejects_invalid_pins() -> None:
    tokens = len(view().tokens)
    good = {"cell": 31, "tokens": tokens, "fingerprint": fingerprint(view().completion, tokens)}
    assert pinned_cell(good, view()) == 31
    for bad in (
        None,
        31,
        [],
        {},
        good | {"cell": -1},
        good | {"cell": len(view())},
        good | {"cell": True},
        good | {"cell": "31"},
        good | {"tokens": tokens + 1},
        good | {"tokens": 10},
        good | {"tokens": -1},
        good | {"tokens": None},
        good | {"fingerprint": 0},
        good | {"fingerprint": None},
    ):
        assert pinned_cell(bad, view()) is None, bad


# --- growth ---------------------------------------------------------------------------------------------------------


def test_growth_keeps_drawn_cells(shown: Page) -> None:
    show(shown, "half")
    expect(cells(shown)).to_have_count(len(view("half")))
    shown.get_by_role("radio", name="Surprisal").click()
    cells(shown).evaluate_all("all => all.forEach((each, i) => each.mark = i)")
    show(shown, "longer")
    expect(cells(shown)).to_have_count(len(view("longer")))
    marks: list[Any] = cells(shown).evaluate_all("all => all.map(each => each.mark ?? null)")
    # The half character at the end, two cells of one token's bytes, became part of a new cell.
    stay = place("😀")
    assert marks[:stay] == list(range(stay))
    assert set(marks[stay:]) == {None}
    assert steps_shown(shown) == colours(scale_named("surprisal"), "longer")


def test_a_live_map_follows_the_end(shown: Page) -> None:
    shown.set_viewport_size({"width": 1280, "height": 500})
    show(shown, "half")
    shown.locator(".text").evaluate("text => text.scrollTop = text.scrollHeight")
    show(shown, "longer")
    expect(cells(shown)).to_have_count(len(view("longer")))
    left = "text => text.scrollHeight - text.clientHeight - text.scrollTop"
    assert shown.locator(".text").evaluate(left) < 2
    assert shown.locator(".text").evaluate("text => text.scrollTop") > 100


def test_scrolling_back_stops_following_the_end(shown: Page) -> None:
    shown.set_viewport_size({"width": 1280, "height": 400})
    show(shown, "half")
    shown.locator(".text").evaluate("text => text.scrollTop = 40")
    show(shown, "longer")
    expect(cells(shown)).to_have_count(len(view("longer")))
    assert shown.locator(".text").evaluate("text => text.scrollTop") == 40


# --- the keyboard ---------------------------------------------------------------------------------------------------


def at(page: Page) -> int:
    return int(page.locator(".text i[data-at]").evaluate("node => node.cell"))


def test_the_keyboard_reaches_everything(shown: Page) -> None:
    shown.get_by_role("button", name="Adjust").focus()
    shown.keyboard.press("Tab")  # the whole map is one stop
    expect(shown.get_by_role("application")).to_be_focused()
    assert at(shown) == 0
    for key, there in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0), ("End", 2)):
        shown.keyboard.press(key)
        assert at(shown) == there, key
    shown.keyboard.press("Control+End")
    assert at(shown) == len(view()) - 1
    shown.keyboard.press("Control+Home")
    shown.keyboard.press("ArrowDown")
    assert 3 <= at(shown) <= place("<|im_end|>") + 1
    shown.keyboard.press("ArrowUp")
    assert at(shown) <= 2
    shown.keyboard.press("Enter")
    expect_pinned(shown, at(shown))
    shown.keyboard.press("Escape")
    expect_pinned(shown, None)
    assert at(shown) <= 2


def test_n_moves_to_the_next_unsure_token(shown: Page) -> None:
    unsure = [cell for cell, step in enumerate(colours(scale_named("probability"))) if 4 <= step <= 7]
    written = sum(cell >= view().boundary for cell in unsure)
    expect(shown.locator(".seek")).to_contain_text(f"{written} unsure")
    shown.get_by_role("application").focus()
    shown.keyboard.press("Home")
    for expected in [*unsure, unsure[0]]:
        shown.keyboard.press("n")
        assert at(shown) == expected
    shown.keyboard.press("N")
    assert at(shown) == unsure[-1]
    expect(shown.locator(".status")).to_contain_text("unsure")


def test_the_current_token_is_announced(shown: Page) -> None:
    cell(shown, " is").click()
    for _ in range(place(" Paris") - at(shown)):
        shown.keyboard.press("ArrowRight")
    expect(shown.get_by_role("status").filter(has_text="Paris")).to_have_text("Paris, 58.6%, rank 1")
    expect(shown.locator(".tip")).to_contain_text("58.6%")


def test_metrics_can_be_chosen_with_the_keyboard(still: Page) -> None:
    still.get_by_role("radio", name="Probability").focus()
    still.keyboard.press("ArrowRight")
    expect(still.get_by_role("radio", name="Surprisal")).to_be_checked()
    expect(still.get_by_role("radio", name="Surprisal")).to_be_focused()


def test_outdated_data_does_not_remove_the_map(still: Page) -> None:
    frame = token_map_module.deflated_frame(view().packed(), {"key": "app", "beside": ""})
    left = still.evaluate(
        """async (frame) => {
            const url = performance.getEntriesByType("resource").map((each) => each.name)
                .find((name) => name.endsWith("/token_map.js"));
            const { default: draw } = await import(url);
            const host = document.body.appendChild(document.createElement("div"));
            const parentElement = host.attachShadow({ mode: "open" });
            const letGo = draw({ data: new Uint8Array(frame), parentElement, setStateValue() {} });
            while (!parentElement.querySelector(".text i")) await new Promise(requestAnimationFrame);
            const cell = parentElement.querySelector(".text i");
            letGo();
            const stayed = cell.isConnected;
            host.remove();
            letGo();
            return [stayed, parentElement.childElementCount];
        }""",
        list(frame),
    )
    assert left == [True, 0]


def test_maps_side_by_side_share_their_scroll_position_and_metric(page: Page, serve_app: Serve) -> None:
    page.goto(serve_app("token_map_app", beside=1))
    wait_for_app(page)
    left, right = page.locator(".candor").first, page.locator(".candor").last
    left.get_by_role("radio", name="Surprisal").click()
    expect(right.get_by_role("radio", name="Surprisal")).to_have_attribute("aria-checked", "true")
    left.get_by_label("Spaces").check()
    expect(right.get_by_label("Spaces")).to_be_checked()
    right.get_by_label("Group by").select_option("line")
    expect(left.get_by_label("Group by")).to_have_value("line")
    expect(left).to_have_attribute("data-grouped", "")

    # The answers begin at the top of both, though one prompt is more than twice as long as the other.
    top_of = "map.querySelector('{}').getBoundingClientRect().top"
    top = f"{top_of.format('[data-label=answer]')} - {top_of.format('.text')}"
    left.locator(".text").hover()
    page.mouse.wheel(0, left.evaluate(f"map => {top}"))
    for each in (left, right):
        page.wait_for_function(f"map => Math.abs({top}) < 40", arg=each.element_handle())
    right.locator(".text").hover()
    page.mouse.wheel(0, 100_000)
    rest = "text => text.scrollHeight - text.scrollTop - text.clientHeight < 2"
    page.wait_for_function(rest, arg=left.locator(".text").element_handle())

    # A pin belongs to one map only.
    right.locator(".text i").last.click()
    expect(page.get_by_text(re.compile(r"right pinned: \d+"))).to_be_visible()
    expect(page.get_by_text("left pinned: None")).to_be_visible()
