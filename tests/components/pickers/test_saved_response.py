"""A large response, pasted: it leaves the field, which the browser would send with every run."""

from __future__ import annotations

import json

import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from components.pickers import saved_response
from lib.access.visitor import Visitor

ANSWER = {"generation": " yes", "logprobs": [{"1": -0.5}], "stop_reason": "stop"}
LARGE = json.dumps({**ANSWER, "padding": "é" * saved_response.LARGE_TEXT}, ensure_ascii=False)


def page() -> None:
    from components.pickers.saved_response import saved_form
    from lib.access.policy import Policy

    asked = saved_form(Policy(open=True))
    if asked is not None:
        import streamlit as st

        st.session_state["asked"] = asked.data


@pytest.fixture
def form() -> AppTest:
    app = AppTest.from_function(page, default_timeout=30)
    app.run()
    return app


def paste(form: AppTest, text: str) -> None:
    form.text_area(key="saved.text").set_value(text).run()


def asked(form: AppTest) -> bytes:
    form.button(key="saved.open").click().run()
    data: bytes = form.session_state["asked"]
    return data


def shown(form: AppTest) -> list[str]:
    return [each.value for each in form.markdown]


def test_a_large_text_is_set_aside_and_opened(form: AppTest) -> None:
    paste(form, LARGE)
    assert form.text_area(key="saved.text").value == ""
    assert shown(form) == [":material/content_paste: Pasted text, 2.0 MB"]
    assert asked(form) == LARGE.encode()
    assert asked(form) == LARGE.encode()


def test_a_text_pasted_after_it_takes_its_place(form: AppTest) -> None:
    paste(form, LARGE)
    paste(form, json.dumps(ANSWER))
    assert shown(form) == []
    assert asked(form) == json.dumps(ANSWER).encode()


def test_a_large_text_can_be_removed(form: AppTest) -> None:
    paste(form, LARGE)
    form.button(key="saved.remove").click().run()
    assert shown(form) == []
    assert asked(form) == b""


def test_a_visitor_is_told_of_a_text_that_is_too_large(form: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.access.visitor.MOST_UPLOADED", 1)
    monkeypatch.setattr(saved_response, "visitor", lambda: Visitor("somebody", alone=False))
    paste(form, LARGE)
    assert form.text_area(key="saved.text").value == ""
    assert "is 1 MB per upload" in form.error[0].value
    assert shown(form) == []
    paste(form, json.dumps(ANSWER))
    assert not form.error


def test_what_a_field_takes_fits_into_a_message() -> None:
    assert st.get_option("server.maxWidgetStateSize") * 1_000_000 > 3 * saved_response.MAX_PASTED
    assert st.get_option("server.maxWidgetStateSize") < config.get_option("server.maxMessageSize")
