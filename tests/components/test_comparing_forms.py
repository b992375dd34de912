"""The forms of Prompts, Models and Rank for models that can't do everything, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from components.shell.services import services
from lib.core.request import Mode
from lib.core.sources import EMBEDDED, TUNED
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock.capabilities import Abilities
from lib.errors import InvalidRequest
from lib.wire.formats import Format
from tests.support.app_pages import press

ALL = {Format.BEDROCK, Format.OPENAI, Format.CHAT}


@pytest.fixture
def can() -> Iterator[set[Format]]:
    """The formats of the one imported model, which a test may change; the session has three calls left."""
    formats = set(ALL)
    account = SimpleNamespace(
        peek_abilities=lambda _: Abilities(frozenset(formats), "told"), name_of=lambda arn: arn.rsplit("/", 1)[-1]
    )
    st.cache_resource.clear()
    services().account, services().ledger = account, Ledger(Caps(calls=3))  # type: ignore[assignment]
    yield formats
    st.cache_resource.clear()


def rank() -> None:
    import streamlit as st

    from components.rank.form import rank_form
    from lib.core.sources import BedrockModel

    st.session_state["asked"] = rank_form(
        None, BedrockModel("arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234")
    )


def prompts() -> None:
    import streamlit as st

    from components.prompts.form import compare_form
    from lib.core.sources import BedrockModel

    st.session_state["asked"] = compare_form(
        None, BedrockModel("arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234")
    )


def models() -> None:
    import streamlit as st

    from components.models.form import models_form
    from lib.core.sources import BedrockModel

    st.session_state["asked"] = models_form(
        None, BedrockModel("arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234")
    )


def captions(page: AppTest) -> str:
    return "\n".join(each.value for each in page.caption)


def test_rank_says_what_it_takes_and_that_the_cap_is_lower(can: set[Format]) -> None:
    page = press(AppTest.from_function(rank).run(), "A capital, sampled eight times")
    line = "10 calls · the session's cap allows 3 more: raise it in Connection"
    assert f"{line} · up to 96 new tokens · 2 texts to score" in captions(page)
    page.number_input(key="rank.samples").set_value(1).run()
    assert "3 calls · up to 12 new tokens" in captions(page)
    assert len(press(page, "Rank").session_state["asked"].calls()) == 2


@pytest.mark.parametrize("formats", [{Format.BEDROCK}, {Format.CHAT}])
def test_rank_samples_where_candidates_cannot_be_scored(can: set[Format], formats: set[Format]) -> None:
    can.intersection_update(formats)
    page = AppTest.from_function(rank).run()
    if Format.CHAT not in formats:
        page.session_state["rank.mode"] = Mode.RAW
    press(page, "A capital, sampled eight times")
    if Format.CHAT not in formats:
        page.segmented_control(key="rank.mode").set_value(Mode.RAW).run()
    assert "It can still rank its samples" in captions(page)
    assert "to score" not in captions(page)
    (asked,) = press(page, "Rank").session_state["asked"].calls()
    assert (asked.candidates, asked.request.n) == ((), 8)
    page.number_input(key="rank.samples").set_value(0).run()
    error = press(page, "Rank").session_state["asked"]
    assert isinstance(error, InvalidRequest)
    assert "can't score your candidates" in str(error)


def test_prompts_say_what_needs_prompt_logprobs(can: set[Format]) -> None:
    page = press(AppTest.from_function(prompts).run(), "A late laptop, in brief and in detail")
    assert "2 calls · up to 80 new tokens" in captions(page)
    assert "prompt logprobs" not in captions(page)
    can.intersection_update({Format.BEDROCK})
    page.segmented_control(key="prompts.mode").set_value(Mode.RAW).run()
    assert "doesn't return prompt logprobs" in captions(page)
    asked = press(page, "Compare").session_state["asked"].calls()
    assert [each.request.prompt_scores for each in asked] == [False, False]


def test_prompts_one_only_or_twice_the_same(can: set[Format]) -> None:
    page = AppTest.from_function(prompts).run()
    assert "no prompt" in str(press(page, "Compare").session_state["asked"])
    page.text_area(key="prompts.prompt.0").set_value("Say hi.").run()
    assert "only one prompt" in str(press(page, "Compare").session_state["asked"])
    page.text_area(key="prompts.prompt.1").set_value("Say hi.").run()
    assert "are the same" in str(press(page, "Compare").session_state["asked"])
    assert page.text_area(key="prompts.prompt.0").value == "Say hi."


def test_models_offer_the_base_against_its_tuned_sibling(can: set[Format]) -> None:
    page = press(AppTest.from_function(models).run(), "Base against tuned")
    assert [page.session_state[f"models.{slot}"] for slot in ("first", "second")] == [EMBEDDED, TUNED]
    assert any("Ardenworks" in each.value for each in page.markdown)
    assert not page.button(key="models.go").disabled
    asked = press(page, "Compare").session_state["asked"]
    assert [each.source for each in asked.plan.sides] == [EMBEDDED, TUNED]


def test_models_say_which_cannot_score_a_text(can: set[Format]) -> None:
    page = press(AppTest.from_function(models).run(), "Sayings and capitals")
    page.button(key="models.second.take").click().run()
    assert "1 call · 2 texts to score" in captions(page)
    for formats, why in (({Format.BEDROCK}, "return prompt logprobs"), (set(), "Import it")):
        can.intersection_update(formats)
        page.run()
        assert why in captions(page)
        assert page.button(key="models.go").disabled
