"""Explore on an imported model: boto3 in the app, a server on loopback in Bedrock's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.bedrock.loopback import Canned, bedrock
from tests.bedrock.test_engine import ARN, FOX
from tests.browser import choose, wait_for_app
from tests.e2e.conftest import Serve
from tests.wire.test_saved import LLAMA3

pytestmark = pytest.mark.browser


@pytest.fixture
def canned() -> Iterator[tuple[Canned, str]]:
    answers = Canned(reply=FOX["response"])
    with bedrock(answers) as url:
        yield answers, url


@pytest.fixture
def explore(page: Page, serve: Serve, canned: tuple[Canned, str], tmp_path_factory: pytest.TempPathFactory) -> Page:
    nothing = str(tmp_path_factory.getbasetemp() / "no-such-file")
    page.goto(
        serve(
            "app.py",
            CANDOR_WARM_UP="0",
            AWS_ACCESS_KEY_ID="AKIAEXAMPLE",
            AWS_SECRET_ACCESS_KEY="secret-example",
            AWS_CONFIG_FILE=nothing,
            AWS_SHARED_CREDENTIALS_FILE=nothing,
        )
    )
    choose(page, "Model", "Amazon Bedrock")
    field(page, "ARN of the imported model", ARN)
    field(page, "Its tokenizer: directory, file or hub id", str(LLAMA3))
    page.get_by_text("Region, profile, format").click()
    field(page, "Endpoint", canned[1])
    choose(page, "Format", "BedrockCompletion (early)")
    return page


def field(page: Page, name: str, value: str) -> None:
    page.get_by_role("textbox", name=name).fill(value)
    page.keyboard.press("Enter")
    wait_for_app(page)


def generate(page: Page) -> None:
    page.get_by_role("textbox", name="Prompt").fill("The quick brown fox jumps")
    page.get_by_role("button", name="Generate").click()


def test_an_imported_model_answers(explore: Page, canned: tuple[Canned, str]) -> None:
    answers, _ = canned
    # Models of this generation can stream with prompt scores: the whole reply as one chunk.
    answers.chunks = [FOX["response"]]
    generate(explore)
    expect(explore.get_by_test_id("stMetric").last).to_be_visible()
    wait_for_app(explore)
    assert "".join(explore.locator(".text i").all_inner_texts()[1:10]) == "The quick brown fox jumps over the lazy dog"
    assert len(answers.bodies) == 1
    assert answers.bodies[0]["prompt"] == "The quick brown fox jumps"
    explore.get_by_text("Show this call").click()
    expect(explore.get_by_text(ARN).last).to_be_visible()
    assert "secret-example" not in explore.content()


def test_an_error_says_what_to_do_and_keeps_the_prompt(explore: Page, canned: tuple[Canned, str]) -> None:
    canned[0].error = (403, "AccessDeniedException:http://internal.amazon.com/", "no")
    generate(explore)
    expect(explore.get_by_role("alert")).to_contain_text("bedrock:InvokeModel")
    expect(explore.get_by_role("textbox", name="Prompt")).to_have_value("The quick brown fox jumps")
