"""The edges of the formats: envelopes, nulls, echoes, tools, reasoning, p = 0, lists that hide tokens."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.tokens import TokenKind
from lib.wire.decode import decode
from tests.support.wire_strategies import tokenizer


def read(response: dict[str, Any], request: Request | None = None, known: bool = True) -> Completion:
    return decode(json.dumps(response).encode(), request, tokenizer() if known else None)[0]


def chat(names: list[str], content: str | None, **message: Any) -> dict[str, Any]:
    listed = [{"token": name, "logprob": -0.5, "bytes": None, "top_logprobs": []} for name in names]
    choice = {"message": {"content": content, **message}, "logprobs": {"content": listed}, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice]}


@pytest.mark.parametrize(
    "response",
    [
        {"generation": "in the"},
        {"choices": [{"text": "in the"}]},
        {"choices": [{"message": {"content": "in the"}}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": "in the"}]}}]},
        {"outputs": [{"text": "in the", "stop_reason": "stop"}]},
    ],
)
def test_every_envelope(response: dict[str, Any]) -> None:
    assert read(response).text == "in the"


def test_minus_9999_is_p_zero_and_is_excluded_from_means() -> None:
    from lib.scores.token_scores import summarise_answer

    ids = tokenizer().encode("in the")
    logprobs = [{str(ids[0]): -0.5}, *({str(number): -9999.0} for number in ids[1:])]
    done = read({"generation": "in the", "stop_reason": "length", "logprobs": logprobs})
    assert done.generated.logprobs.tolist() == [-0.5, *[-np.inf] * (len(ids) - 1)]
    found = summarise_answer(done)
    assert (found.mean_logprob, found.impossible) == (-0.5, len(ids) - 1)


def test_rounding_above_zero_is_zero() -> None:
    done = read({"generation": "x", "stop_reason": "length", "logprobs": [{"120": 1e-6}]})
    assert done.generated.logprobs.tolist() == [0.0]


def test_a_stop_token_beyond_the_text() -> None:
    done = read({"generation": "x", "stop_reason": "stop", "logprobs": [{"120": -0.5}, {"256": -0.6}]})
    assert done.generated.kinds.tolist() == [TokenKind.TEXT, TokenKind.STOP]


def test_reasoning_within_the_text() -> None:
    ids = tokenizer().encode("<think>x</think>in")
    response = {"generation": "<think>x</think>in", "stop_reason": "length", "logprobs": [{str(i): -0.5} for i in ids]}
    assert read(response).generated.kinds.tolist() == [TokenKind.REASONING] * 3 + [TokenKind.TEXT]


def test_reasoning_that_the_service_separates() -> None:
    done = read(chat(["<think>", "x", "</think>", "in", "</s>"], "in", reasoning_content="x"))
    assert done.generated.kinds.tolist() == [TokenKind.REASONING] * 3 + [TokenKind.TEXT, TokenKind.STOP]
    assert done.text == "in"
    assert not done.warnings[1:]


def test_tool_calls() -> None:
    done = read(chat(["{", "x", "}"], None, tool_calls=[{"function": {"name": "x"}}]))
    assert done.generated.kinds.tolist() == [TokenKind.TOOL] * 3


def test_echo_puts_the_prompt_first() -> None:
    listed = [None, {"x": -2.0, "y": -1.0}, {"in": -0.5}]
    logprobs = {"tokens": ["x", "x", "in"], "token_logprobs": [None, -2.0, -0.5], "top_logprobs": listed}
    response = {
        "choices": [{"text": "xxin", "logprobs": logprobs, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1},
    }
    done = read(response, Request(prompt="xx", k=2))
    assert done.text == "in"
    assert len(done.prompt) == 2
    assert np.isnan(done.prompt.logprobs[0])
    assert done.prompt.logprobs[1] == -2.0
    assert done.generated.logprobs.tolist() == [-0.5]


def test_token_ids_in_place_of_strings() -> None:
    logprobs = {"tokens": ["token_id:120"], "token_logprobs": [-0.5], "top_logprobs": [{"token_id:120": -0.5}]}
    done = read({"choices": [{"text": "x", "logprobs": logprobs, "finish_reason": "length"}]})
    assert done.generated.ids.tolist() == [120]


def test_a_string_that_hides_another_token() -> None:
    """Two ids with the same string share a key, and the value under the key isn't the chosen token's."""
    logprobs = {"tokens": ["\ufffd"], "token_logprobs": [-0.1], "top_logprobs": [{"\ufffd": -3.0, "x": -4.0}]}
    done = read({"choices": [{"text": "\ufffd", "logprobs": logprobs, "finish_reason": "length"}]}, Request("p", k=3))
    assert done.generated.logprobs.tolist() == pytest.approx([-0.1])
    assert done.generated.ranks.tolist() == [-1]


def test_parts_of_characters_are_identified_by_the_text() -> None:
    ids = tokenizer().encode("é")
    assert len(ids) == 2
    done = read(chat(["\ufffd", "\ufffd", "x", "</s>"], "éx"))
    assert done.generated.ids.tolist() == [*ids, 120, 256]


def test_several_answers() -> None:
    choices = [{"index": i, "text": text, "finish_reason": "length"} for i, text in enumerate(("a", "b"))]
    found = decode(json.dumps({"choices": choices}).encode())
    assert [done.text for done in found] == ["a", "b"]


def test_a_wrong_token_count_has_a_warning() -> None:
    response = {"generation": "x", "stop_reason": "length", "prompt_token_count": 99, "logprobs": [{"120": -0.5}]}
    done = read(response, Request(prompt="in"))
    assert any("counts 99 tokens" in warning for warning in done.warnings)


def test_a_prompt_scored_alone_has_no_answer() -> None:
    response = {"generation": "x", "stop_reason": "length", "logprobs": [{"120": -0.5}]}
    done = read(response, Request(prompt="in", max_tokens=0))
    assert (len(done.generated), done.text) == (0, "")


def test_the_templated_prompt_is_decoded_as_the_model_read_it() -> None:
    request = Request(messages=(Message("user", "x"),), k=2)
    ids = tokenizer().readings(request)[0]
    rows: list[Any] = [None, *({str(number): {"logprob": -1.0, "rank": 1}} for number in ids[1:])]
    response = chat(["x"], "x") | {"prompt_logprobs": rows, "usage": {"prompt_tokens": len(ids)}}
    done = read(response, request)
    assert done.prompt.ids.tolist() == ids
    assert done.prompt.kinds[0] == TokenKind.SPECIAL


def test_reasoning_that_the_tokens_do_not_spell_has_a_warning() -> None:
    from lib.wire.decode_warnings import NOT_SPELLED

    done = read(chat(["<think>", "x", "</think>", "in", "</s>"], "in", reasoning_content="something else"))
    assert NOT_SPELLED in done.warnings
