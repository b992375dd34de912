"""Imported models in Explore and Connection: boto3 in the app, servers on loopback instead of AWS."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from lib.engines.local.opening import open_local
from lib.serve.server import in_thread
from tests.e2e.conftest import Serve
from tests.lib.engines.bedrock.test_engine import ARN, FOX
from tests.lib.wire.test_saved_responses import LLAMA3
from tests.support import tiny
from tests.support.browser import PATIENCE, choose, wait_for_app, wait_for_map
from tests.support.loopback import Canned, bedrock
from tests.support.serve_clients import Recorded, Served, service_of, until

pytestmark = pytest.mark.browser
PROMPT = "The quick brown fox jumps"
NOWHERE = "http://127.0.0.1:1"
NOBODY = {
    "CANDOR_WARM_UP": "0",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret-example",
    "AWS_CONFIG_FILE": "/no/such/file",
    "AWS_SHARED_CREDENTIALS_FILE": "/no/such/file",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": NOWHERE,
}


@pytest.fixture
def canned() -> Iterator[tuple[Canned, str]]:
    answers = Canned(response=FOX["response"])
    with bedrock(answers) as url:
        yield answers, url


@pytest.fixture
def by_hand(page: Page, serve: Serve, canned: tuple[Canned, str]) -> Page:
    """A model entered by its ARN, because none are listed. It returns canned responses."""
    page.goto(serve("app.py", **NOBODY))
    choose(page, "Model", "Amazon Bedrock")
    page.get_by_text("Tokenizer, format, endpoint").click()
    field(page, "Endpoint", canned[1])
    field(page, "Model ARN", ARN)
    field(page, "Tokenizer: directory, file or hub id", str(LLAMA3))
    choose(page, "Format", "BedrockCompletion (early)")
    return page


def field(page: Page, name: str, value: str) -> None:
    page.get_by_role("textbox", name=name).fill(value)
    page.keyboard.press("Enter")
    wait_for_app(page)


def generate(page: Page, prompt: str = PROMPT) -> None:
    page.get_by_role("textbox", name="Prompt").fill(prompt)
    page.get_by_role("button", name="Generate").click()


def test_an_imported_model_answers(by_hand: Page, canned: tuple[Canned, str]) -> None:
    answers, _ = canned
    # This generation of models can stream prompt logprobs: the whole response as one chunk.
    answers.chunks = [FOX["response"]]
    generate(by_hand)
    expect(by_hand.get_by_test_id("stMetric").last).to_be_visible()
    wait_for_map(by_hand)
    assert (
        "".join(by_hand.locator(".text i").all_text_contents()[1:10]) == "The quick brown fox jumps over the lazy dog"
    )
    (sent,) = (body for body in answers.bodies if body)  # the free call that lists the formats has an empty body
    assert sent["prompt"] == PROMPT
    by_hand.get_by_text("Show this call").click()
    expect(by_hand.get_by_text(ARN).last).to_be_visible()
    assert "secret-example" not in by_hand.content()


def test_an_error_has_a_remedy_and_the_prompt_stays(by_hand: Page, canned: tuple[Canned, str]) -> None:
    canned[0].error = (403, "AccessDeniedException:http://internal.amazon.com/", "no")
    generate(by_hand)
    expect(by_hand.get_by_role("alert")).to_contain_text("may not stream from this model")
    expect(by_hand.get_by_test_id("stCode")).to_contain_text('"bedrock:InvokeModelWithResponseStream"')
    expect(by_hand.get_by_test_id("stCode")).to_contain_text(ARN)
    expect(by_hand.get_by_role("textbox", name="Prompt")).to_have_value(PROMPT)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Recorded, Path]]:
    """(a model of each generation, the requests they received, the directory of their tokenizer)."""
    directory = tiny.make_random(tmp_path_factory.mktemp("imported") / "tiny", "llama")
    tiny.make_tokenizer(chat=tiny.CHAT).save_pretrained(directory)
    engine = open_local(str(directory))
    object.__setattr__(engine.loaded, "eos_ids", frozenset())  # its answers always reach the token limit
    service = service_of(directory, engine)
    recorded = Recorded(service)
    with in_thread(recorded) as url, closing(Served(service, url)) as served:  # type: ignore[arg-type]
        yield served, recorded, directory
    engine.close()


@pytest.fixture
def served(local: tuple[Served, Recorded, Path]) -> Served:
    served, recorded, _ = local
    served.faults()
    recorded.bodies.clear()
    return served


@pytest.fixture
def listed_at(local: tuple[Served, Recorded, Path], serve: Serve) -> str:
    """The address of an app whose account lists the models of the local Bedrock."""
    url = local[0].url
    return serve("app.py", **NOBODY, AWS_ENDPOINT_URL_BEDROCK=url, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=url)


@pytest.fixture
def listed(page: Page, served: Served, listed_at: str, local: tuple[Served, Recorded, Path]) -> Page:
    """The newest of the account's models, picked from the list."""
    page.goto(listed_at)
    pick(page, local[2])
    return page


def pick(page: Page, tokenizer: Path) -> None:
    choose(page, "Model", "Amazon Bedrock")
    expect(page.get_by_role("combobox", name="Imported model")).to_have_value(re.compile(r"current · llama"))
    page.get_by_text("Tokenizer, format, endpoint").click()
    field(page, "Tokenizer: directory, file or hub id", str(tokenizer))
    # The first such tokenizer takes a while, because transformers must be imported.
    expect(page.get_by_text("streaming: answer only")).to_be_visible(timeout=4 * PATIENCE * 1000)


def parameter(page: Page, name: str, value: str) -> None:
    page.get_by_role("button", name="Parameters").click()
    page.get_by_role("spinbutton", name=name).fill(value)
    page.keyboard.press("Enter")
    wait_for_app(page)
    page.keyboard.press("Escape")
    wait_for_app(page)


def alert(page: Page) -> Locator:
    return page.get_by_test_id("stMain").get_by_role("alert").first


def answered(page: Page) -> None:
    expect(page.get_by_test_id("stMetric").last).to_be_visible(timeout=4 * PATIENCE * 1000)
    wait_for_map(page)


def test_the_list_shows_what_each_model_can_return(listed: Page) -> None:
    sidebar = listed.get_by_test_id("stSidebar")
    expect(sidebar).to_contain_text("Prompt logprobs: yes · alternatives: up to 20 · streaming: answer only")
    choose(listed, "Imported model", "early · llama · 2025-09-01")
    expect(sidebar).to_contain_text("alternatives: the most likely only · streaming: yes · reads: raw text")
    listed.get_by_role("radio", name="Chat").click()
    expect(listed.get_by_text("This model doesn't take chats")).to_be_visible()
    expect(listed.get_by_role("button", name="Generate")).to_be_disabled()
    listed.get_by_role("radio", name="Raw").click()
    choose(listed, "Imported model", "legacy · llama · 2025-07-01")
    expect(sidebar).to_contain_text("No logprobs")
    expect(listed.get_by_text("imported before 2025-07-31, and such models return no logprobs")).to_be_visible()
    expect(listed.get_by_role("button", name="Generate")).to_be_disabled()


def test_prompt_logprobs_or_streaming(listed: Page, served: Served) -> None:
    expect(listed.get_by_text("Bedrock returns prompt logprobs only with a complete answer")).to_be_visible()
    generate(listed)
    answered(listed)
    assert "".join(listed.locator(".text i").all_text_contents()[: len(PROMPT)]) == PROMPT
    expect(listed.get_by_test_id("stMain").get_by_role("alert")).to_have_count(0)
    listed.locator(".text i").nth(1).click()
    expect(listed.locator(".st-key-detail")).to_contain_text("prompt, token 2")

    served.faults({"kind": "latency", "between": 0.15})
    listed.get_by_role("radio", name="Streaming").click()
    generate(listed)
    stop = listed.get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    expect(listed.locator(".text [data-label=answer]")).to_be_visible()
    expect(stop).to_be_visible()  # it is still being generated
    stop.click()
    expect(listed.get_by_text("You stopped it. The partial answer is kept.")).to_be_visible()
    expect(listed.locator(".text i").nth(len(PROMPT))).to_be_visible()
    assert listed.locator(".text i").count() < len(PROMPT) + 40


def test_a_truncated_answer_has_a_warning(listed: Page, served: Served) -> None:
    served.faults({"kind": "cut", "after": 5, "operation": "stream"})
    listed.get_by_role("radio", name="Streaming").click()
    generate(listed)
    answered(listed)
    expect(listed.get_by_text("The connection dropped; the answer is incomplete.")).to_be_visible()
    expect(listed.locator(".text i").nth(len(PROMPT))).to_be_visible()


def test_a_failed_stream_keeps_its_partial_answer(listed: Page, served: Served) -> None:
    served.faults({"kind": "stream-error", "code": "ModelStreamErrorException", "after": 5})
    listed.get_by_role("radio", name="Streaming").click()
    generate(listed)
    expect(alert(listed)).to_contain_text("failed while it was answering")
    answered(listed)
    expect(listed.locator(".text i").nth(len(PROMPT))).to_be_visible()
    expect(listed.get_by_role("textbox", name="Prompt")).to_have_value(PROMPT)


def test_waiting_for_a_cold_model_can_be_stopped(listed: Page, served: Served) -> None:
    served.faults({"kind": "cold-start", "seconds": 600})
    generate(listed)
    expect(listed.get_by_text("The model is cold and is being loaded")).to_be_visible()
    expect(listed.get_by_text(re.compile(r"· [2-9] s"))).to_be_visible()
    listed.get_by_role("button", name="Stop").click()
    expect(listed.get_by_text("Stopped before the first token.")).to_be_visible()
    expect(listed.get_by_role("textbox", name="Prompt")).to_have_value(PROMPT)


def test_connection_warms_a_model_and_enforces_the_cap(listed: Page, served: Served) -> None:
    listed.get_by_role("link", name="Connection").click()
    main = listed.get_by_test_id("stMain")
    expect(main).to_contain_text("the model itself lists these formats")
    expect(main).to_contain_text("About $0.29 per copy for each five-minute window")
    calls = main.get_by_test_id("stMetric").first
    before = int(calls.get_by_test_id("stMetricValue").inner_text().split()[0])
    main.get_by_role("button", name="Warm up now").click()
    expect(main.get_by_text(re.compile("Warm. The model answered after"))).to_be_visible()
    expect(calls).to_contain_text(f"{before + 1} of 1,000")
    main.get_by_text("Permissions Candor needs").click()
    expect(main.get_by_test_id("stCode")).to_contain_text("bedrock:ListImportedModels")
    main.get_by_text("Caps and price").click()
    main.get_by_role("spinbutton", name="Cap on calls").fill(str(before + 1))
    main.get_by_role("button", name="Save").click()
    expect(calls).to_contain_text(f"{before + 1} of {before + 1}")
    listed.get_by_role("link", name="Explore").click()
    generate(listed)
    expect(alert(listed)).to_contain_text(f"reached its cap of {before + 1} calls")
    listed.get_by_role("link", name="Connection").click()
    main.get_by_text("Caps and price").click()
    main.get_by_role("spinbutton", name="Cap on calls").fill("1000")
    main.get_by_role("button", name="Save").click()
    expect(calls).to_contain_text("of 1,000")


def test_one_prompt_fails_and_the_other_gets_an_answer(listed: Page, served: Served) -> None:
    served.faults({"kind": "error", "code": "AccessDeniedException", "times": 1})
    listed.get_by_role("link", name="Prompts").click()
    listed.get_by_role("radio", name="Raw").click()
    for number, prompt in enumerate((PROMPT, "A slow red hen"), start=1):
        listed.get_by_role("textbox", name=f"Prompt {number}").fill(prompt)
        listed.keyboard.press("Tab")
        wait_for_app(listed)
    expect(listed.get_by_text("2 calls · up to 80 new tokens")).to_be_visible()
    listed.get_by_role("button", name="Compare").click()
    wait_for_map(listed)
    expect(alert(listed)).to_contain_text("may not")
    expect(listed.get_by_text("This prompt has no answer.")).to_have_count(1)
    expect(listed.locator(".candor")).to_have_count(1)
    # The prompt has scores too, because the answer wasn't streamed.
    expect(listed.locator(".text i:not(.su)").first).to_be_attached()
    expect(listed.get_by_role("textbox", name="Prompt 1")).to_have_value(PROMPT)
    listed.get_by_role("button", name="Analyze").click()
    expect(listed.locator(".differences").first).to_be_visible()
    expect(listed.get_by_text("What helped is saved to history.")).to_be_visible()


def test_a_chat_is_ranked_with_typed_candidates(listed: Page, served: Served) -> None:
    listed.get_by_role("link", name="Rank").click()
    listed.get_by_role("button", name="A capital, sampled eight times").click()
    expect(listed.get_by_text("10 calls · up to 96 new tokens · 2 texts to score")).to_be_visible()
    listed.get_by_role("button", name="Rank", exact=True).click()
    wait_for_map(listed)
    expect(listed.get_by_text("Saved to history.")).to_be_visible()
    expect(listed.get_by_text("failed:")).to_have_count(0)
    expect(listed.locator(".text [data-label=answer]")).to_be_visible()


@pytest.mark.soak  # tests/lib/jobs/test_batch.py does the same without a browser, with twelve seeds
def test_fifty_calls_survive_reloads_closed_tabs_and_stop(
    listed: Page, served: Served, local: tuple[Served, Recorded, Path], browser: Browser
) -> None:
    """Whatever happens to the page, no result is lost and no call is repeated."""
    _, recorded, _ = local
    served.faults({"kind": "latency", "seconds": 0.7})
    dice, page = random.Random(2), listed  # a seed that once found a repeated call
    parameter(page, "Samples", "50")
    recorded.bodies.clear()
    generate(page)
    here = 0
    for _ in range(40):
        page.wait_for_timeout(dice.random() * 900)
        what = dice.choice(["reload", "close", "stop"])
        stop = page.get_by_role("button", name="Stop")
        if what == "reload":
            page.reload()
        elif what == "close":
            address, context = page.url, page.context
            page.close()
            page = context.new_page()
            page.goto(address)
        elif stop.is_visible():
            stop.click()
        page.get_by_text(re.compile(r"\d+ of 50 answers done")).first.wait_for()
        count = _here(page)
        assert count >= here
        here = count
        rest = page.get_by_role("button", name="Retry the")
        if rest.is_visible():
            assert "failed" not in page.get_by_text(re.compile(r"of 50 answers done")).first.inner_text()
            rest.click()
        if here == 50:
            break
    assert until(lambda: _here(page) == 50, 60)
    assert len([body for body in recorded.bodies if body]) == 50
    page.get_by_role("combobox", name="Show answer").click()
    expect(page.get_by_role("option").first).to_be_visible()


def _here(page: Page) -> int:
    found = re.match(r"(\d+) of 50", page.get_by_text(re.compile(r"\d+ of 50 answers done")).first.inner_text())
    assert found is not None
    return int(found[1])
