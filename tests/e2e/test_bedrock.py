"""Explore on an imported model: boto3 in the app, a server on loopback in Bedrock's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lib.engines import open_local
from lib.serve.server import in_thread
from tests.bedrock.loopback import Canned, bedrock
from tests.bedrock.test_engine import ARN, FOX
from tests.browser import choose, wait_for_app
from tests.e2e.conftest import Serve
from tests.local import tiny
from tests.serve.clients import service_of
from tests.wire.test_saved import LLAMA3

pytestmark = pytest.mark.browser


@pytest.fixture
def canned() -> Iterator[tuple[Canned, str]]:
    answers = Canned(reply=FOX["response"])
    with bedrock(answers) as url:
        yield answers, url


@pytest.fixture
def app(page: Page, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The app, with nobody's credentials."""
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
    return page


@pytest.fixture
def explore(app: Page, canned: tuple[Canned, str]) -> Page:
    imported(app, ARN, LLAMA3, canned[1])
    choose(app, "Format", "BedrockCompletion (early)")
    return app


def imported(page: Page, arn: str, tokenizer: Path, endpoint: str) -> None:
    """Choose an imported model at an address that speaks Bedrock's API."""
    choose(page, "Model", "Amazon Bedrock")
    field(page, "ARN of the imported model", arn)
    field(page, "Its tokenizer: directory, file or hub id", str(tokenizer))
    page.get_by_text("Region, profile, format").click()
    field(page, "Endpoint", endpoint)


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


def test_the_local_bedrock_answers(app: Page, tmp_path: Path) -> None:
    """From the page over boto3 to a model, and back."""
    directory = tiny.make_random(tmp_path / "tiny", "llama")
    engine = open_local(str(directory))
    service = service_of(directory, engine)
    with in_thread(service) as url:
        arn = next(model.arn for model in service.models if model.name == "current")
        imported(app, arn, directory, url)
        generate(app)
        # The page's first tokenizer of that kind: transformers has to be imported for it.
        expect(app.get_by_test_id("stMetric").last).to_be_visible(timeout=120_000)
        wait_for_app(app)
        assert "".join(app.locator(".text i").all_inner_texts()[:25]) == "The quick brown fox jumps"
        expect(app.get_by_role("alert")).to_have_count(0)
        app.locator(".text i").nth(1).click()
        expect(app.locator(".st-key-detail")).to_contain_text("prompt, token 2")
    engine.close()
