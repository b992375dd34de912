from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.engines.base import Capabilities, Unsupported
from lib.engines.bedrock.capabilities import Abilities, abilities, by_hand, formats_in, in_sentence
from lib.wire.formats import Format

LISTED = "Invalid request body. Available for this model: {}"
ALL = frozenset({Format.CHAT, Format.BEDROCK, Format.OPENAI})


@pytest.mark.parametrize(
    ("names", "formats"),
    [
        ("ChatCompletionRequest, BedrockMetaCompletionRequest, CompletionRequest", ALL),
        ("ChatCompletionRequest, CompletionRequest", {Format.CHAT, Format.OPENAI}),
        ("BedrockCompletionRequest", {Format.BEDROCK}),
        ("ChatCompletionRequest", {Format.CHAT}),
        ("SomethingNewRequest", None),
    ],
)
def test_the_refusal_lists_the_formats(names: str, formats: set[Format] | None) -> None:
    assert formats_in(LISTED.format(names)) == formats
    assert formats_in('{"error":{"message":"' + LISTED.format(names) + '"}}') == formats


@given(st.text())
def test_any_other_message_lists_none(message: str) -> None:
    if "Available for this model" not in message:
        assert formats_in(message) is None


DAYS = {
    "nothing": datetime(2025, 7, 30, 23, tzinfo=UTC),
    "early": datetime(2025, 11, 10, 23, tzinfo=UTC),
    "recent": datetime(2025, 11, 11, tzinfo=UTC),
}


def test_capabilities_by_import_date() -> None:
    assert abilities(DAYS["nothing"], ALL).formats == frozenset()
    assert abilities(DAYS["early"], ALL).formats == {Format.EARLY}
    assert abilities(DAYS["recent"], None).formats == ALL
    assert "assumed" in abilities(DAYS["recent"], None).known_by
    assert "assumed" in abilities(None, None, asleep=True).known_by
    assert "cold" in abilities(None, None, asleep=True).known_by
    assert abilities(None, frozenset({Format.BEDROCK})).formats == {Format.BEDROCK}


@pytest.mark.parametrize(
    ("formats", "sentence"),
    [
        (ALL, "Prompt logprobs: yes · alternatives: up to 20 · streaming: answer only · reads: raw text and chat"),
        (
            {Format.EARLY},
            "Prompt logprobs: yes · alternatives: the most likely only · streaming: yes · reads: raw text",
        ),
        (
            {Format.BEDROCK},
            "Prompt logprobs: no · alternatives: the most likely only · streaming: yes · reads: raw text",
        ),
        ({Format.CHAT}, "Prompt logprobs: yes · alternatives: up to 20 · streaming: answer only · reads: chat"),
        ((), "No logprobs: it can answer, but not report how confident it was"),
    ],
)
def test_capabilities_as_a_sentence(formats: set[Format], sentence: str) -> None:
    assert in_sentence(Abilities(frozenset(formats), "")) == sentence


def test_chat_and_raw_text_have_their_own_limits() -> None:
    mixed = Abilities(frozenset({Format.BEDROCK, Format.CHAT}), "")
    raw, chat = mixed.reading(chat=False), mixed.reading(chat=True)
    assert isinstance(raw, Capabilities)
    assert isinstance(chat, Capabilities)
    assert (raw.prompt_scores, raw.max_k) == (False, 1)
    assert (chat.prompt_scores, chat.max_k) == (True, 20)
    for formats, chat_mode, why in (
        ({Format.OPENAI}, True, "chats"),
        ({Format.CHAT}, False, "chats only"),
        ((), True, "Import"),
    ):
        found = Abilities(frozenset(formats), "").reading(chat=chat_mode)
        assert isinstance(found, Unsupported)
        assert why in found.reason


@pytest.mark.parametrize("form", Format)
def test_a_format_set_by_the_user(form: Format) -> None:
    found = by_hand(form)
    assert found.format_for(chat=form is Format.CHAT) is form
    assert (found.format_for(chat=form is not Format.CHAT) is None) is (form is Format.EARLY)
