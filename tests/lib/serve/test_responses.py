"""Responses over HTTP say what the engine says, in every format, whole and streamed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.stream import fold
from lib.core.tokens import NO_TOKENS
from lib.engines.local.engine import LocalEngine
from lib.models.tokenizer_files import from_built
from lib.serve.mutations import truncate_top
from lib.wire.formats import Format, asked_top, carried_k
from tests.support.project import project
from tests.support.serve_clients import FORMATS, Served, bodies, model_of

PROMPT = "The quick brown fox"


def request_for(form: Format, **changes: object) -> Request:
    chat = form is Format.CHAT
    turns = (Message("user", PROMPT),)
    made = Request(prompt=None if chat else PROMPT, messages=turns if chat else (), max_tokens=12, k=3)
    return replace(made, **changes)  # type: ignore[arg-type]


def own(engine: LocalEngine, request: Request, form: Format) -> Completion:
    """The engine's own answer to what the format asks for, as far as the format can carry it."""
    asked = replace(
        request, k=max(asked_top(form, request.k), 1), prompt_scores=request.prompt_scores and form.scores_prompts
    )
    (done,) = engine.complete(asked)
    done = replace(done, prompt=truncate_top(done.prompt, carried_k(form, request.k)))
    return project(done, form, request, from_built(engine.loaded.tokenizer.built, "tiny"))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("k", [0, 1, 3, 19])
def test_scores_are_the_engines_own(served: Served, tiny_engine: LocalEngine, form: Format, k: int) -> None:
    request = request_for(form, k=k)
    expected = own(tiny_engine, request, form)
    (back,) = served.engine(form).complete(request)
    assert back.prompt == expected.prompt
    assert back.generated == expected.generated
    assert (back.text, back.stop_reason) == (expected.text, expected.stop_reason)


@pytest.mark.parametrize("form", FORMATS)
def test_streams_say_the_same(served: Served, tiny_engine: LocalEngine, form: Format) -> None:
    request = request_for(form, prompt_scores=form is Format.EARLY)
    expected = own(tiny_engine, request, form)
    (back,) = fold(served.engine(form).stream(request))
    alone, wanted = (replace(each, prompt=NO_TOKENS).generated for each in (back, expected))
    assert alone == wanted
    assert (back.text, back.stop_reason) == (expected.text, expected.stop_reason)
    if form is Format.EARLY:
        assert back.prompt == expected.prompt


@pytest.mark.parametrize("name", ["legacy", "early", "current"])
def test_what_a_generation_returns(served: Served, name: str) -> None:
    response = served.invoke({"prompt": "abc", "max_gen_len": 4, "temperature": 0, "return_logprobs": True}, name)
    assert response["prompt_token_count"] == 3
    assert response["generation_token_count"] == 4
    assert response["stop_reason"] == "length"
    assert ("logprobs" in response, "prompt_logprobs" in response) == (name != "legacy", name == "early")
    if name == "early":
        assert response["prompt_logprobs"][0] is None
        assert [len(entry) for entry in response["prompt_logprobs"][1:]] == [2, 2]
        assert next(iter(response["prompt_logprobs"][1])) == str(ord("b"))
    if name != "legacy":
        assert [len(entry) for entry in response["logprobs"]] == [1] * 4
    plain = served.invoke({"prompt": "abc", "max_gen_len": 4}, name)
    assert plain.get("logprobs") is None
    assert "prompt_logprobs" not in plain


def test_bodies_select_formats(served: Served) -> None:
    assert "generation" in served.invoke({"prompt": "abc"})
    assert served.invoke({"prompt": "abc", "max_tokens": 2})["object"] == "text_completion"
    turns = [{"role": "user", "content": [{"type": "text", "text": "abc"}]}]
    chat = served.invoke({"messages": turns, "max_tokens": 2, "temperature": 0})
    assert chat["object"] == "chat.completion"
    assert chat["usage"]["completion_tokens"] == 2
    assert chat["choices"][0]["logprobs"] is None
    assert chat["model"].startswith("123456789012-")
    # Models from before know one format, and leave alone what they do not know.
    early = served.invoke(
        {"prompt": "abc", "max_tokens": 2, "max_gen_len": 3, "logprobs": 2, "temperature": 0}, "early"
    )
    assert early["generation_token_count"] == 3


def test_numbers_are_taken_as_the_model_server_takes_them(served: Served) -> None:
    loose = {
        "prompt": "abc",
        "max_tokens": 2.0,
        "temperature": 0,
        "logprobs": True,
        "response_format": {"type": "text"},
    }
    assert len(served.invoke(loose)["choices"][0]["logprobs"]["tokens"]) == 2
    chat = {"messages": [{"role": "user", "content": "abc"}], "max_tokens": True, "logprobs": 1, "temperature": 0}
    assert len(served.invoke(chat)["choices"][0]["logprobs"]["content"]) == 1
    assert served.invoke({"prompt": "abc", "return_logprobs": 0, "max_gen_len": 2})["logprobs"] is None


def test_how_many_alternatives_come(served: Served) -> None:
    response = served.invoke({**bodies(Format.OPENAI), "logprobs": 4, "prompt_logprobs": 1})
    (choice,) = response["choices"]
    listed = [len(entry) for entry in choice["logprobs"]["top_logprobs"]]
    assert max(listed) in (4, 5)  # strings that look alike share a key, so there may be fewer
    assert all(1 <= len(entry) <= 2 for entry in choice["prompt_logprobs"][1:])
    for top in (0, 1, 3):
        chat = served.invoke({**bodies(Format.CHAT), "top_logprobs": top})
        assert {len(each["top_logprobs"]) for each in chat["choices"][0]["logprobs"]["content"]} == {top}
    assert chat["prompt_logprobs"][0] is None


def test_samples_come_as_choices(served: Served) -> None:
    body = {"prompt": "abc", "max_tokens": 5, "temperature": 1.0, "n": 3, "seed": 7, "logprobs": 1}
    response = served.invoke(body)
    assert [choice["index"] for choice in response["choices"]] == [0, 1, 2]
    assert response["usage"]["completion_tokens"] == sum(
        len(each["logprobs"]["tokens"]) for each in response["choices"]
    )
    assert [each["logprobs"] for each in served.invoke(body)["choices"]] == [e["logprobs"] for e in response["choices"]]
    found = {chunk["choices"][0]["index"] for chunk in served.chunks(body)}
    assert found == {0, 1, 2}


@pytest.mark.parametrize("form", FORMATS)
def test_a_stream_ends_with_its_reason_and_metrics(served: Served, form: Format) -> None:
    chunks = served.chunks(bodies(form, streamed=True), model_of(form))
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["outputTokenCount"] == 6
    assert 0 <= metrics["firstByteLatency"] <= metrics["invocationLatency"]
    assert not any("amazon-bedrock-invocationMetrics" in chunk for chunk in chunks[:-1])
    if form.is_bedrock:
        assert chunks[-1]["stop_reason"] == "length"
        counts = [chunk["generation_token_count"] for chunk in chunks]
        assert counts == sorted(counts)
        assert counts[-1] == 6
        assert [chunk["prompt_token_count"] for chunk in chunks] == [3] + [None] * (len(chunks) - 1)
    else:
        reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
        assert reasons == [None] * (len(chunks) - 1) + ["length"]
        assert len({chunk["id"] for chunk in chunks}) == 1


def test_usage_comes_last_when_asked_for(served: Served) -> None:
    options = {"stream_options": {"include_usage": True}}
    *_, last = served.chunks({**bodies(Format.CHAT, streamed=True), **options})
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 6


def test_a_chat_may_go_on_to_the_end_of_the_context(served: Served, tiny_engine: LocalEngine) -> None:
    response = served.invoke({"messages": [{"role": "user", "content": "x" * 2000}], "temperature": 0})
    assert response["usage"]["total_tokens"] == tiny_engine.loaded.context
    assert response["choices"][0]["finish_reason"] == "length"


def test_a_stop_string_ends_the_text_but_its_token_is_listed(served: Served) -> None:
    free = served.invoke({"prompt": "abc", "max_gen_len": 40, "temperature": 0, "return_logprobs": True})
    letter = next(each for each in free["generation"][3:] if each.isascii() and each.isprintable())
    body = {"prompt": "abc", "max_gen_len": 40, "temperature": 0, "return_logprobs": True, "stop": [letter]}
    response = served.invoke(body)
    assert response["stop_reason"] == "stop"
    assert response["generation"] == free["generation"].split(letter)[0]
    assert len(response["logprobs"]) == response["generation_token_count"]
    assert list(response["logprobs"][-1]) == [str(ord(letter))]


def test_values_are_float32_printed_in_full(served: Served, tiny_engine: LocalEngine) -> None:
    response = served.invoke({"prompt": PROMPT, "max_gen_len": 5, "temperature": 0, "return_logprobs": True}, "early")
    (done,) = tiny_engine.complete(Request(prompt=PROMPT, max_tokens=5, k=1))
    sent = [next(iter(entry.values())) for entry in response["logprobs"]]
    assert sent == [float(value) for value in done.generated.logprobs]
    assert np.array(sent, np.float32).tolist() == sent
