"""Bad requests get the service's own kind of error, whatever they are."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.models.local_tokenizer import LocalTokenizer
from tests.support.serve_clients import Served

CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
TEXT = {"prompt": "abc", "max_tokens": 2}
TINY = {"prompt": "abc", "max_gen_len": 2}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Available for this model: ChatCompletionRequest, BedrockMetaCompletionRequest, CompletionRequest"),
        ({"inputs": "abc"}, "Available for this model"),
        (b"{", "Malformed input request"),
        (b"", "Available for this model"),
        (b"[]", "expected type: JSONObject"),
        (b'"abc"', "expected type: JSONObject"),
        (b'{"prompt": NaN}', "Malformed input request"),
        (b"\xff\xfe", "Malformed input request"),
        (b"[" * 100_000, "Malformed input request"),
        ({"prompt": ""}, "non-empty"),
        ({"prompt": None}, "not a text"),
        ({"prompt": 5}, "not a text"),
        ({"prompt": "a\0b"}, "NUL"),
        ({**TEXT, "max_tokens": 0}, "max_tokens must be at least 1"),
        ({**TEXT, "max_tokens": 2.5}, "whole number"),
        ({**TEXT, "max_tokens": 10**30}, "max_tokens is out of range"),
        ({**TEXT, "max_tokens": 5000}, "'max_tokens' or 'max_completion_tokens' is too large: 5000"),
        ({**TINY, "max_gen_len": -1}, "max_gen_len must be at least 1"),
        ({**TEXT, "temperature": -0.1}, "temperature"),
        ({**TEXT, "temperature": "hot"}, "temperature"),
        ({**TEXT, "top_p": 0}, "top_p"),
        ({**TEXT, "logprobs": -1}, "`logprobs` must be a positive value."),
        ({**TEXT, "logprobs": 1.5}, "valid integer"),
        ({**TEXT, "logprobs": "5"}, "valid integer"),
        ({**TEXT, "logprobs": 10**30}, "max allowed: 20"),
        ({**TEXT, "prompt_logprobs": -2}, "`prompt_logprobs` must be a positive value or -1."),
        ({**TEXT, "prompt_logprobs": -1}, "Requested prompt logprobs of 264, which is greater than max allowed: 20"),
        ({**CHAT, "top_logprobs": 2}, "when using `top_logprobs`, `logprobs` must be set to true."),
        ({**CHAT, "logprobs": 2}, "valid boolean"),
        ({**CHAT, "messages": []}, "turns"),
        ({**CHAT, "messages": "hi"}, "turns"),
        ({**CHAT, "messages": [{"role": "user", "content": ""}]}, "non-empty"),
        ({**CHAT, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not a multimodal model"),
        ({**TEXT, "n": 0}, "n is 0"),
        ({**TEXT, "n": 10**6}, "n is 1,000,000"),
        ({**TEXT, "seed": -1}, "seed"),
        ({**TINY, "return_logprobs": "yes"}, "valid boolean"),
        ({**TEXT, "response_format": {"type": "json_object"}}, "response_format is not supported"),
        ({**CHAT, "tools": [{}]}, "tools are not supported"),
        ({"prompt": "x" * 3000}, "maximum context length is 2048 tokens. However, your request has 3000 input tokens"),
        ({"prompt": "x" * 2048}, "maximum context length is 2048"),
    ],
)
def test_what_it_says(served: Served, body: Any, message: str) -> None:
    with pytest.raises(ClientError) as raised:
        served.invoke(body)
    error = raised.value.response
    assert error["Error"]["Code"] == "ValidationException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert message in error["Error"]["Message"]


def test_prompt_scores_cannot_be_streamed_in_openais_formats(served: Served) -> None:
    for body in (TEXT, CHAT):
        with pytest.raises(ClientError, match="are not available when `stream=True`"):
            served.chunks({**body, "prompt_logprobs": 1})
    assert served.chunks({**TEXT, "prompt_logprobs": 0})


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("arn:aws:bedrock:us-east-1:123456789012:imported-model/aaaaaaaaaaaa", "ResourceNotFoundException"),
        ("arn:aws:bedrock:us-west-2:123456789012:imported-model/aaaaaaaaaaaa", "ResourceNotFoundException"),
        ("current", "ValidationException"),
        ("meta.llama3-8b-instruct-v1:0", "ValidationException"),
        ("../../etc/passwd", "ValidationException"),
    ],
)
def test_other_models(served: Served, arn: str, code: str) -> None:
    with pytest.raises(ClientError) as raised:
        served.runtime.invoke_model(modelId=arn, body=json.dumps(TEXT))
    assert raised.value.response["Error"]["Code"] == code


def test_a_model_without_a_chat_template(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    local = next(iter(served.service.engines.values()))
    plain = replace(local.loaded.tokenizer.built, template=None)
    monkeypatch.setitem(vars(local.loaded), "tokenizer", LocalTokenizer(plain))
    with pytest.raises(ClientError) as raised:
        served.invoke(CHAT)
    message = raised.value.response["Error"]["Message"]
    assert "`prompt` must be provided" in message
    assert message.endswith("Available for this model: BedrockMetaCompletionRequest, CompletionRequest")


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(
    ["prompt", "messages", "max_tokens", "max_gen_len", "max_completion_tokens", "temperature", "top_p", "stop", "n",
     "seed", "logprobs", "top_logprobs", "prompt_logprobs", "return_logprobs", "echo", "stream_options", "stream"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(_NAMES, _VALUES, max_size=5),
    base=st.sampled_from([{}, TEXT, CHAT, TINY]),
    name=st.sampled_from(["legacy", "early", "current"]),
    streamed=st.booleans(),
)
def test_anything_is_answered_or_refused(
    served: Served, caplog: pytest.LogCaptureFixture, body: Any, base: Any, name: str, streamed: bool
) -> None:
    call = served.chunks if streamed else served.invoke
    limited = {**base, **body}
    for length in ("max_tokens", "max_gen_len", "max_completion_tokens"):
        if isinstance(limited.get(length), int) and limited[length] > 4:
            limited[length] = 4
    if "messages" in limited and not any(limited.get(each) for each in ("max_tokens", "max_completion_tokens")):
        limited["max_tokens"] = 2  # else it goes on to the end of the context
    if isinstance(limited.get("n"), int) and limited["n"] > 3:
        limited["n"] = 3
    limited.setdefault("max_gen_len", 2)
    try:
        assert call(limited, name)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ValidationException"  # noqa: PT017
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
