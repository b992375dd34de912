"""Every switch, under each of its settings."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from lib.core.request import Request
from lib.core.stream import fold
from lib.errors import InvalidRequest
from lib.serve.behaviours import QUESTIONS, Behaviours, read_behaviours
from lib.wire.formats import Format
from tests.support.serve_clients import Served, bodies

METRICS = "amazon-bedrock-invocationMetrics"


def refusal(served: Served, body: object, name: str = "current") -> str:
    """The message of the ValidationException that a body meets."""
    with pytest.raises(ClientError) as raised:
        served.invoke(body, name)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    return str(raised.value.response["Error"]["Message"])


def test_settings_are_checked() -> None:
    assert read_behaviours(["echo=passed"])["echo"] == "passed"
    assert Behaviours().all() == {name: question.settings[0] for name, question in QUESTIONS.items()}
    for wrong in (["echo"], ["echo=maybe"], ["ehco=passed"]):
        with pytest.raises(InvalidRequest):
            read_behaviours(wrong)


def test_two_lengths(served: Served) -> None:
    body = {"prompt": "abc", "max_tokens": 2, "max_gen_len": 3, "temperature": 0}
    assert "choices" in served.invoke(body)
    served.switches(both_lengths="bedrock")
    assert served.invoke(body)["generation_token_count"] == 3
    served.switches(both_lengths="reject")
    assert "max_gen_len" in refusal(served, body)


def test_two_inputs(served: Served) -> None:
    body = {"prompt": "abc", "messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
    assert served.invoke(body)["object"] == "chat.completion"
    served.switches(both_inputs="completion")
    assert served.invoke(body)["object"] == "text_completion"
    served.switches(both_inputs="reject")
    assert "Only one" in refusal(served, body)


def test_logprobs_of_a_model_without_any(served: Served) -> None:
    served.switches(legacy_logprobs="rejected")
    assert "return_logprobs" in refusal(served, bodies(Format.BEDROCK), "legacy")
    assert "generation" in served.invoke({"prompt": "abc", "max_gen_len": 2}, "legacy")


def test_unknown_fields_of_early_models(served: Served) -> None:
    served.switches(early_fields="rejected")
    assert "min_p" in refusal(served, {"prompt": "abc", "min_p": 0.1}, "early")


def test_the_most_alternatives(served: Served) -> None:
    assert "max allowed: 20" in refusal(served, {**bodies(Format.OPENAI), "logprobs": 21})
    served.switches(max_logprobs="5")
    assert "Requested sample logprobs of 6, which is greater than max allowed: 5" in refusal(
        served, {**bodies(Format.OPENAI), "logprobs": 6}
    )
    assert "Requested prompt logprobs of 6" in refusal(served, {**bodies(Format.CHAT), "prompt_logprobs": 6})


def test_prompt_logprobs_of_zero(served: Served) -> None:
    body = {**bodies(Format.OPENAI), "prompt_logprobs": 0}
    assert served.invoke(body)["choices"][0]["prompt_logprobs"] is None
    served.switches(prompt_logprobs_0="scores")
    scored = served.invoke(body)["choices"][0]["prompt_logprobs"]
    assert [entry and list(entry) for entry in scored] == [None, ["98"], ["99"]]


def test_echo(served: Served) -> None:
    body = {**bodies(Format.OPENAI, streamed=True), "echo": True}
    assert not served.invoke(body)["choices"][0]["text"].startswith("abc")
    served.switches(echo="passed")
    (choice,) = served.invoke(body)["choices"]
    assert choice["text"].startswith("abc")
    assert choice["logprobs"]["tokens"][:3] == ["a", "b", "c"]
    assert choice["logprobs"]["token_logprobs"][0] is None
    assert choice["logprobs"]["top_logprobs"][0] is None
    assert choice["logprobs"]["token_logprobs"][1] < 0
    (only,) = served.invoke({**body, "max_tokens": 0})["choices"]
    assert only["text"] == "abc"
    assert len(only["logprobs"]["tokens"]) == 3


def test_prompts_of_token_ids(served: Served) -> None:
    body = {**bodies(Format.OPENAI), "prompt": [97, 98, 99]}
    assert "String" in refusal(served, body)
    served.switches(token_prompts="read")
    assert served.invoke(body)["choices"][0]["text"] == served.invoke(bodies(Format.OPENAI))["choices"][0]["text"]
    for wrong in ([], [97, "b"], [97, 10**9], [97, -1], [True], [255]):
        assert refusal(served, {**body, "prompt": wrong})


def test_ids_beside_the_text(served: Served) -> None:
    body = {**bodies(Format.OPENAI), "return_token_ids": True}
    assert served.invoke(body)["choices"][0]["token_ids"] is None
    served.switches(token_ids="passed")
    (choice,) = served.invoke(body)["choices"]
    assert choice["prompt_token_ids"] == [97, 98, 99]
    assert len(choice["token_ids"]) == 6


def test_ids_in_place_of_strings(served: Served) -> None:
    body = {**bodies(Format.CHAT), "return_tokens_as_token_ids": True}
    served.switches(tokens_as_ids="passed")
    content = served.invoke(body)["choices"][0]["logprobs"]["content"]
    assert all(entry["token"].startswith("token_id:") for entry in content)
    assert any("token_id:" in json.dumps(chunk) for chunk in served.chunks({**body, "prompt_logprobs": None}))
    (done,) = served.engine(Format.OPENAI).complete(Request(prompt="abc", max_tokens=3))
    assert len(done.generated) == 3


def test_how_errors_are_wrapped(served: Served) -> None:
    served.switches(error_texts="as-json")
    wrapped = json.loads(refusal(served, {**bodies(Format.OPENAI), "logprobs": 21}))
    assert wrapped["error"]["code"] == 400
    assert "max allowed: 20" in wrapped["error"]["message"]


def test_prompt_logprobs_of_the_newer_bedrock_completion(served: Served) -> None:
    assert "prompt_logprobs" not in served.invoke(bodies(Format.BEDROCK))
    served.switches(bedrock_prompt_logprobs="null")
    assert served.invoke(bodies(Format.BEDROCK))["prompt_logprobs"] is None


def test_a_second_entry(served: Served) -> None:
    body = {**bodies(Format.BEDROCK), "max_gen_len": 60, "temperature": 1.0, "seed": 1}
    served.switches(second_entry="with-most-likely")
    for entries in (
        served.invoke(body)["logprobs"],
        [entry for chunk in served.chunks(body) for entry in chunk["logprobs"]],
    ):
        assert {len(entry) for entry in entries} == {1, 2}
        pairs = [list(entry.values()) for entry in entries if len(entry) == 2]
        assert all(own < best for own, best in pairs)


@pytest.mark.parametrize("form", [Format.EARLY, Format.BEDROCK])
def test_where_logprobs_are_in_a_stream(served: Served, form: Format) -> None:
    request = Request(prompt="abc", max_tokens=6, k=1)
    (expected,) = fold(served.engine(form).stream(request))
    served.switches(stream_logprobs="the-last-chunk", stream_prompt_logprobs="the-last-chunk")
    name = "early" if form is Format.EARLY else "current"
    *others, last = served.chunks(bodies(form, streamed=True), name)
    assert not any(chunk["logprobs"] for chunk in others)
    assert len(last["logprobs"]) == 6
    assert ("prompt_logprobs" in last) == (form is Format.EARLY)
    (done,) = fold(served.engine(form).stream(request))
    assert done.generated == expected.generated
    assert done.text == expected.text
    assert any("prompt logprobs" in warning for warning in done.warnings) == (form is Format.EARLY)


@pytest.mark.parametrize("setting", ["last-chunk", "own-chunk", "absent"])
def test_metrics_in_openai_streams(served: Served, setting: str) -> None:
    served.switches(metrics=setting)
    chunks = served.chunks(bodies(Format.OPENAI, streamed=True))
    having = [METRICS in chunk for chunk in chunks]
    assert sum(having) == (setting != "absent")
    assert having[-1] == (setting != "absent")
    assert ("choices" in chunks[-1]) == (setting != "own-chunk")
    request = Request(prompt="abc", max_tokens=6, k=2, prompt_scores=False)
    (done,) = fold(served.engine(Format.OPENAI).stream(request))
    assert done.stop_reason == "length"


def test_a_done_marker(served: Served) -> None:
    served.switches(done_marker="present")
    with served.stream(bodies(Format.OPENAI, streamed=True)) as events:
        assert [event["chunk"]["bytes"] for event in events][-1] == b"[DONE]"
    request = Request(prompt="abc", max_tokens=6, k=2, prompt_scores=False)
    (done,) = fold(served.engine(Format.OPENAI).stream(request))
    assert done.stop_reason == "length"


def test_a_seed(served: Served) -> None:
    body = {**bodies(Format.BEDROCK), "seed": 1}
    assert served.invoke(body)["logprobs"]
    served.switches(seed="go-missing")
    assert served.invoke(body)["logprobs"] is None
    assert served.invoke({**bodies(Format.OPENAI), "seed": 1})["choices"][0]["logprobs"] is None


def test_counting_headers(served: Served) -> None:
    def headers() -> dict[str, str]:
        answer = served.runtime.invoke_model(modelId=served.arn(), body=json.dumps(bodies(Format.BEDROCK)))
        answer["body"].read()
        return dict(answer["ResponseMetadata"]["HTTPHeaders"])

    assert "x-amzn-bedrock-output-token-count" not in headers()
    served.switches(count_headers="present")
    assert headers()["x-amzn-bedrock-output-token-count"] == "6"
    assert headers()["x-amzn-bedrock-input-token-count"] == "3"


def test_probing_a_cold_model(served: Served) -> None:
    served.faults({"kind": "cold-start", "seconds": 1000})
    with pytest.raises(ClientError, match="ModelNotReady"):
        served.invoke({})
    served.switches(cold_probe="formats")
    assert "Available for this model:" in refusal(served, {})
    with pytest.raises(ClientError, match="ModelNotReady"):
        served.invoke({"prompt": "abc"})
