"""The Explore page without a browser: what it says when, through Streamlit's own test runner."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from components.shell import access
from components.shell.services import services
from lib.access.policy import Policy
from lib.access.visitor import ALONE
from lib.core.completion import Completion, StopReason
from lib.core.pieces import make_pieces
from lib.core.request import Mode, Request
from lib.core.sources import EMBEDDED, Source
from lib.core.tokens import make_tokens
from lib.engines.base import Engine
from lib.errors import ModelUnavailable
from lib.jobs.engine_pool import Engines
from tests.support.paths import ROOT
from tests.support.scripted_engine import ScriptedEngine

APP = str(ROOT / "components" / "main.py")


def two_tokens(request: Request) -> Completion:
    """The same answer to every request."""
    pieces = make_pieces([(1, b"Hi", False), (2, b" there", False), (3, b" you", False)])
    half = np.log(np.float32(0.5))
    answer = make_tokens(
        pieces,
        np.array([1], np.int32),
        logprobs=np.array([half]),
        ranks=np.array([1], np.int32),
        top_refs=np.array([[1, 2]], np.int32),
        top_logprobs=np.array([[half, np.log(np.float32(0.25))]]),
    )
    prompt = make_tokens(pieces, np.array([0], np.int32))
    return Completion(request, "canned", prompt, answer, " there", StopReason.STOP, vocabulary_size=3)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEngine]:
    monkeypatch.setenv("CANDOR_WARM_UP", "0")
    st.cache_resource.clear()
    canned = ScriptedEngine(two_tokens)
    services().engines = Engines(lambda source: canned if source == EMBEDDED else _refuse(source))
    monkeypatch.setattr(access, "policy_for", lambda *_, **__: Policy(True))
    yield canned
    st.cache_resource.clear()


def _refuse(source: Source) -> Engine:
    raise ModelUnavailable(f"No {source.name}.", "Choose another.")


def opened() -> AppTest:
    page = AppTest.from_file(APP, default_timeout=20).run()
    assert not page.exception
    return page


def press_generate(page: AppTest) -> AppTest:
    """Press it, and run again once the job is over, as the page does by itself in a browser."""
    button = next(each for each in page.button if each.label == "Generate")
    button.click().run()
    known = "explore.job" in page.session_state
    job = services().jobs.find(page.session_state["explore.job"], ALONE) if known else None
    if job is not None:
        assert job.wait(10)
        page.run()
    assert not page.exception
    return page


def test_the_first_sight_teaches(engine: ScriptedEngine) -> None:
    page = opened()
    assert page.title[0].value == "How sure was the model of every token?"
    assert any("appear here" in caption.value for caption in page.caption)
    assert engine.requests == []


def test_an_example_fills_the_prompt_and_its_mode(engine: ScriptedEngine) -> None:
    page = opened()
    next(each for each in page.button if each.label == "A question").click().run()
    assert page.text_area(key="explore.prompt").value == "Why is the sky blue? Answer in one sentence."
    assert page.session_state["explore.mode"] == Mode.CHAT


def test_an_answer_is_asked_for_once(engine: ScriptedEngine) -> None:
    page = opened()
    page.text_area(key="explore.prompt").set_value("Hi")
    press_generate(page)
    assert len(page.get("bidi_component")) == 1
    assert [metric.value for metric in page.metric] == ["−0.693 nats", "2.00", "–"]
    assert any("n = 1 answer token, 0 prompt tokens." in caption.value for caption in page.caption)
    page.run()
    page.run()
    assert len(engine.requests) == 1
    assert engine.requests[0] == Request(prompt="Hi", max_tokens=40, k=10)


def test_the_parameters_reach_the_engine(engine: ScriptedEngine) -> None:
    page = opened()
    page.text_area(key="explore.prompt").set_value("Hi")
    page.number_input(key="explore.max_tokens").set_value(7)
    page.number_input(key="explore.k").set_value(3)
    page.slider(key="explore.temperature").set_value(0.8)
    page.slider(key="explore.top_p").set_value(0.9)
    page.text_area(key="explore.stop").set_value("END\n\\n\\n")
    page.number_input(key="explore.seed").set_value(5)
    press_generate(page)
    assert engine.requests == [
        Request(prompt="Hi", max_tokens=7, k=3, temperature=0.8, top_p=0.9, stop=("END", "\n\n"), seed=5)
    ]


@pytest.mark.parametrize("mode", list(Mode))
def test_an_empty_prompt_says_so(engine: ScriptedEngine, mode: Mode) -> None:
    page = opened()
    page.session_state["explore.mode"] = mode
    page.run()
    press_generate(page)
    assert "The prompt is empty" in page.error[0].value
    assert engine.requests == []


def test_an_error_keeps_the_prompt_and_the_app(engine: ScriptedEngine) -> None:
    page = opened()
    page.selectbox(key="model.choice").set_value("Another model").run()
    page.text_input(key="model.source").set_value("some/where").run()
    page.text_area(key="explore.prompt").set_value("Keep me")
    press_generate(page)
    assert "Choose another" in page.error[0].value
    assert page.text_area(key="explore.prompt").value == "Keep me"


def test_on_a_server_only_listed_models_are_offered(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "policy_for", lambda *_, **__: Policy(False, ("team/model",)))
    page = opened()
    shipped = ["SmolLM2-135M-Instruct", "Ardenworks-tuned SmolLM2-135M"]
    assert page.selectbox(key="model.choice").options == [*shipped, "team/model", "Amazon Bedrock"]
    page.selectbox(key="model.choice").set_value(shipped[1]).run()
    assert any("fine-tuned on an invented catalogue" in each.value for each in page.caption)
    page.text_area(key="explore.prompt").set_value("Hi")
    press_generate(page)
    assert "No ardenworks" in page.error[0].value  # the policy lets it through to the engine


def test_a_path_smuggled_into_the_session_is_refused_on_a_server(engine: ScriptedEngine) -> None:
    page = opened()
    page.selectbox(key="model.choice").set_value("Another model").run()
    page.text_input(key="model.source").set_value("/etc").run()
    page.text_area(key="explore.prompt").set_value("Hi")
    services().policy = lambda: Policy(False)
    press_generate(page)
    assert "only runs models that its operator allows" in page.error[0].value.replace("\\", "")
