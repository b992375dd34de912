"""Given texts scored by imported models, against the local Bedrock over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lib.core.request import Message, Request
from lib.engines.base import score_under
from lib.errors import InvalidRequest
from lib.wire.formats import Format
from tests.support.serve_clients import Served

TEXTS = ["well, this", "x", "<|user|> is a token"]
RAW = Request(prompt="abc, a prompt", k=3)
CHAT = Request(messages=(Message("system", "be brief"), Message("user", "abc")), k=3)


@pytest.mark.parametrize("request_", [RAW, CHAT], ids=["raw", "chat"])
def test_given_texts_score_as_the_model_itself_would(served: Served, tiny_engine: Any, request_: Request) -> None:
    """A chat goes out as its template has it, so that the model reads the very tokens that it reads in a chat."""
    for text, done in zip(TEXTS, served.engine(Format.OPENAI).score(request_, TEXTS), strict=True):
        (exact,) = tiny_engine.score(request_, [text])
        assert (done.text, done.origin, done.request) == (text, "scored", replace(request_, max_tokens=0))
        assert done.prompt.ids.tolist() == exact.prompt.ids.tolist()
        assert done.generated.ids.tolist() == exact.generated.ids.tolist()
        np.testing.assert_allclose(done.generated.logprobs, exact.generated.logprobs, atol=1e-4)
        np.testing.assert_allclose(done.prompt.logprobs, exact.prompt.logprobs, atol=1e-4)


def test_one_text_after_several_prompts(served: Served, tiny_engine: Any) -> None:
    requests = [CHAT, replace(CHAT, messages=CHAT.messages[1:]), RAW]
    found = score_under(served.engine(Format.OPENAI), requests, "well")
    for done, exact in zip(found, tiny_engine.score_under(requests, "well"), strict=True):
        np.testing.assert_allclose(done.generated.logprobs, exact.generated.logprobs, atol=1e-4)


def test_a_chat_needs_the_template_of_its_model(served: Served) -> None:
    engine = served.engine(Format.OPENAI, read_with=lambda _: None)
    with pytest.raises(InvalidRequest, match="needs the model's tokenizer"):
        engine.score(CHAT, TEXTS)


def test_a_format_without_prompt_scores(served: Served) -> None:
    engine = served.engine(Format.BEDROCK)
    assert not engine.abilities.scores_candidates
    with pytest.raises(InvalidRequest, match="logprobs for a raw prompt"):
        engine.score(RAW, TEXTS)
