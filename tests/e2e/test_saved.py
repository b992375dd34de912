"""A saved response, opened by someone without a model or an account."""

from __future__ import annotations

import json
from pathlib import Path

import llama_models.llama3
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Serve
from tests.support.browser import choose, upload, wait_for_app, wait_for_map
from tests.support.event_stream import chunk_event, frame
from tests.support.paths import FOX

pytestmark = pytest.mark.browser

CASES = FOX.with_name("cases")
LLAMA3 = Path(llama_models.llama3.__file__).parent / "tokenizer.model"


@pytest.fixture
def saved(page: Page, serve: Serve) -> Page:
    page.goto(serve("app.py", CANDOR_WARM_UP="0"))
    page.get_by_text("Saved response", exact=True).click()
    expect(page.get_by_test_id("stBaseButton-primary").filter(has_text="Open")).to_be_visible()
    wait_for_app(page)
    return page


def opened(page: Page) -> None:
    page.get_by_test_id("stBaseButton-primary").filter(has_text="Open").click()
    expect(page.get_by_test_id("stMetric").last).to_be_visible()
    wait_for_map(page)


def test_the_published_response_with_an_uploaded_tokenizer(saved: Page) -> None:
    upload(saved, saved.locator("input[type=file]").first, FOX)
    choose(saved, "Tokenizer", "Upload its files")
    saved.get_by_test_id("stBaseButton-primary").filter(has_text="Open").click()
    expect(saved.get_by_role("alert")).to_contain_text("No tokenizer file")
    upload(saved, saved.locator("input[type=file]").last, LLAMA3)
    opened(saved)
    cells = saved.locator(".text i")
    texts = cells.all_text_contents()
    assert "".join(texts[1:6]) == "The quick brown fox jumps"
    assert "".join(texts[6:10]) == " over the lazy dog"
    cells.nth(2).click()
    expect(saved.locator(".st-key-detail")).to_contain_text("rank unknown · id 4062 · prompt, token 3")
    expect(saved.get_by_role("alert")).to_have_count(0)
    saved.get_by_text("Show this call").click()
    expect(saved.get_by_text("aws bedrock-runtime invoke-model")).to_be_visible()


def test_pasted_without_a_tokenizer_it_shows_ids(saved: Page) -> None:
    response = json.loads(FOX.read_text())["response"]
    saved.get_by_role("textbox", name="Response").fill(json.dumps(response))
    opened(saved)
    assert saved.locator(".text i").all_text_contents()[-5:-1] == ["⟨927⟩", "⟨279⟩", "⟨16053⟩", "⟨5679⟩"]


def test_keys_sorted_by_a_relay(saved: Page) -> None:
    response = json.loads(FOX.read_text())["response"]
    saved.get_by_role("textbox", name="Response").fill(json.dumps(response, sort_keys=True))
    opened(saved)
    expect(saved.get_by_role("alert")).to_contain_text("At 3 positions of the prompt")
    unknown = saved.locator(".text i").nth(1)
    expect(unknown).to_have_text("⟨?⟩")
    unknown.click()
    expect(saved.locator(".st-key-detail")).to_contain_text("⟨14924⟩")


def test_files_without_a_response(saved: Page) -> None:
    field = saved.get_by_role("textbox", name="Response")
    for text, cause in (
        ("", "There is nothing in it"),
        ("no json", "not JSON"),
        ("[1]", "a list"),
        ("{}", "not a Custom Model Import response"),
    ):
        field.fill(text)
        saved.get_by_test_id("stBaseButton-primary").filter(has_text="Open").click()
        expect(saved.get_by_role("alert")).to_contain_text(cause)
        expect(field).to_have_value(text)


def test_a_text_that_the_tokens_do_not_spell_is_shown_below_the_map(saved: Page) -> None:
    case = CASES / "05a-greedy-token-listed-instead-of-the-sampled.json"
    saved.get_by_role("textbox", name="Response").fill(case.read_text())
    opened(saved)
    expect(saved.get_by_role("alert").first).to_contain_text("don't spell its text")
    expect(saved.locator(".text i").first).to_have_text("Hi")
    expect(saved.get_by_test_id("stCode").first).to_have_text("Hello!")


def test_a_stream_as_the_service_sent_it(saved: Page, tmp_path: Path) -> None:
    stream = tmp_path / "stream.bin"
    chunks = (CASES / "19a-bedrock-chunks.jsonl").read_bytes().splitlines()
    stream.write_bytes(b"".join(frame(chunk_event(each)) for each in chunks))
    upload(saved, saved.locator("input[type=file]").first, stream)
    opened(saved)
    expect(saved.locator(".text i")).to_have_count(4)
    expect(saved.get_by_role("alert")).to_have_count(0)


def test_many_responses_in_one_file(saved: Page) -> None:
    lines = [{"generation": f" number {i}", "stop_reason": "stop", "logprobs": [{"1": -0.5}]} for i in range(3)]
    saved.get_by_role("textbox", name="Response").fill("\n".join(map(json.dumps, lines)))
    opened(saved)
    expect(saved.get_by_text("Show answer (3 in the file)")).to_be_visible()


def test_a_large_pasted_response_is_removed_from_its_field(saved: Page) -> None:
    response = {"generation": " the" * 6_000, "logprobs": [{"279": -0.5}] * 6_000, "stop_reason": "length"}
    field = saved.get_by_role("textbox", name="Response")
    # Large by its spaces, as very many tokens take long to draw.
    field.fill(json.dumps(response, separators=("," + " " * 160, ": ")))
    field.press("Control+Enter")
    expect(saved.get_by_text("Pasted text, 1.1 MB")).to_be_visible()
    expect(field).to_have_value("")
    saved.get_by_test_id("stBaseButton-primary").filter(has_text="Open").click()
    expect(saved.locator(".text i").first).to_have_text("⟨279⟩")
    saved.get_by_role("button", name="Remove", exact=True).click()
    expect(saved.get_by_text("Pasted text")).to_have_count(0)
