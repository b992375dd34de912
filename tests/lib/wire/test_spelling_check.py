"""Tokens compared with their text: lists that are empty, short or spelled differently; markers and reasoning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.models.tokenizer_files import load_tokenizer, tokenizer_from_uploads
from lib.scores.token_scores import summarise_answer
from lib.tokenizers.tokenizer import Tokenizer
from lib.tokenizers.vocabulary import byte_alphabet
from lib.wire.decode import decode
from lib.wire.decode_warnings import (
    GUARDED,
    LONGER,
    NO_LOGPROBS,
    NO_SCORES,
    NOT_SPELLED,
    UNSEPARATED_REASONING,
    WRONG_TOKENIZER,
)
from lib.wire.saved_responses import completions_of, read_saved
from tests.support.paths import CASES

TEXT, SPECIAL, STOP, REASONING = TokenKind.TEXT, TokenKind.SPECIAL, TokenKind.STOP, TokenKind.REASONING


def case(name: str, tokenizer: Tokenizer | None = None) -> Completion:
    (done,) = completions_of(read_saved((CASES / name).read_bytes()), tokenizer)
    return done


def read(response: dict[str, Any], tokenizer: Tokenizer | None = None) -> Completion:
    return decode(json.dumps(response).encode(), None, tokenizer)[0]


def shown(done: Completion, part: str = "generated") -> list[str]:
    tokens = getattr(done, part)
    return [done.pieces.text_of(ref) if ref >= 0 else "" for ref in tokens.refs.tolist()]


def completion(text: str, names: Sequence[str] | None, count: int | None = None, **more: Any) -> dict[str, Any]:
    """An OpenAICompletion; every token has logprob −0.5."""
    scores = None if names is None else [-0.5] * len(names)
    lists = None if names is None else [{name: -0.5} for name in names]
    logprobs = {"tokens": names, "token_logprobs": scores, "top_logprobs": lists}
    choice = {"text": text, "finish_reason": "stop", "logprobs": logprobs if names is not None else None}
    usage = {} if count is None else {"usage": {"prompt_tokens": 5, "completion_tokens": count}}
    return {"object": "text_completion", "choices": [choice | more], **usage}


def _bytes_of(part: list[int]) -> dict[str, Any]:
    return {"token": bytes(part).decode("utf-8", "replace"), "bytes": part}


def chat(text: str, names: Sequence[str | list[int]], count: int | None = None, **message: Any) -> dict[str, Any]:
    entries = []
    for name in names:
        own = {"token": name, "bytes": None} if isinstance(name, str) else _bytes_of(name)
        entries.append(own | {"logprob": -0.5, "top_logprobs": [own | {"logprob": -0.5}]})
    choice = {"message": {"content": text, **message}, "finish_reason": "stop", "logprobs": {"content": entries}}
    usage = {} if count is None else {"usage": {"prompt_tokens": 5, "completion_tokens": count}}
    return {"object": "chat.completion", "choices": [choice], **usage}


def test_the_chat_form_in_a_completion() -> None:
    done = case("04a-text-completion-with-chat-logprobs.json")
    assert shown(done) == [" blue"]
    assert done.generated.ids.tolist() == [6437]
    assert done.generated.logprobs.tolist() == pytest.approx([-0.7])
    assert done.generated.top_ids.tolist() == [[6437, 279]]


def test_the_completion_form_in_a_chat_and_a_bare_list() -> None:
    lists = completion("", ["It", " is"])["choices"][0]["logprobs"]
    response = {"choices": [{"message": {"content": "It is"}, "logprobs": lists, "finish_reason": "length"}]}
    assert shown(read(response)) == ["It", " is"]
    response = chat("It is", ["It", " is"])
    response["choices"][0]["logprobs"] = response["choices"][0]["logprobs"]["content"]
    assert shown(read(response)) == ["It", " is"]


@pytest.mark.parametrize(
    "response",
    [
        json.loads((CASES / "04e-completion-empty-lists.json").read_bytes()),
        chat("It is blue.", []),
        completion("It is blue.", []),
        completion("It is blue.", None),
        {"generation": "It is blue.", "stop_reason": "stop", "logprobs": []},
        {"choices": [{"text": "It is blue.", "logprobs": {}, "finish_reason": "stop"}]},
        {"choices": [{"text": "It is blue.", "logprobs": {"content": None}, "finish_reason": "stop"}]},
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_empty_logprobs_count_as_no_logprobs(response: dict[str, Any], known: bool, words: Tokenizer) -> None:
    done = read(response, words if known else None)
    assert shown(done) == ["It is blue."]
    assert np.isnan(done.generated.logprobs).all()
    assert done.warnings == (NO_LOGPROBS,)


def test_an_empty_answer_has_no_missing_tokens() -> None:
    assert read({"generation": "", "stop_reason": "stop", "logprobs": []}).warnings == ()


def test_only_some_of_the_tokens_are_listed() -> None:
    done = case("04c-chat-only-the-last-token.json")
    assert shown(done) == ["It is blue", "."]
    assert np.isnan(done.generated.logprobs[0])
    assert done.generated.logprobs[1] == pytest.approx(-0.1)
    assert "lists 1 of the answer's 4 tokens" in done.warnings[0]
    assert summarise_answer(done).mean_logprob == pytest.approx(-0.1)
    done = read(chat("It is blue.", ["It", " is", "."], 4))
    assert shown(done) == ["It", " is", " blue", "."]
    assert np.isnan(done.generated.logprobs).tolist() == [False, False, True, False]
    assert "lists 3 of the answer's 4 tokens" in done.warnings[0]


def test_a_gap_that_may_be_anywhere_is_not_guessed() -> None:
    done = read(chat("1. It. is.", ["."], 8))
    assert shown(done) == ["."]
    assert NOT_SPELLED in done.warnings
    # By the count no token is missing, so the difference isn't a gap.
    assert NOT_SPELLED in read(chat("It is blue.", ["."], 1)).warnings


def test_alternatives_without_the_tokens_themselves() -> None:
    response = completion("Hi", None)
    response["choices"][0]["logprobs"] = {"top_logprobs": [{"Hi": -0.3, "Ho": -1.5}, {"!": -0.1}]}
    done = read(response)
    assert np.isnan(done.generated.logprobs).all()
    first = [done.pieces.text_of(ref) for ref in done.generated.top_refs[0].tolist() if ref >= 0]
    assert first == ["Hi", "Ho"]
    assert any("not the answer's own tokens" in each for each in done.warnings)
    assert WRONG_TOKENIZER not in done.warnings


@pytest.mark.parametrize("known", [False, True])
def test_a_token_that_differs_from_the_text(known: bool, words: Tokenizer) -> None:
    """The response lists the most likely token instead of the sampled one."""
    done = case("05a-greedy-token-listed-instead-of-the-sampled.json", words if known else None)
    assert (done.text, shown(done)) == ("Hello!", ["Hi"])
    assert NOT_SPELLED in done.warnings
    assert WRONG_TOKENIZER not in done.warnings
    # The same token at every position.
    done = read(completion("It is blue.", ["It"] * 4), words if known else None)
    assert NOT_SPELLED in done.warnings
    assert WRONG_TOKENIZER not in done.warnings


@pytest.mark.parametrize("known", [False, True])
def test_parts_of_characters_without_text(known: bool, words: Tokenizer) -> None:
    done = case("05b-parts-of-a-character-as-empty-strings.json", words if known else None)
    data = b"".join(done.pieces.bytes_of(ref) for ref in done.generated.refs.tolist())
    assert data.decode() == done.text == "ございます！"
    assert len(done.generated) == 8
    assert done.pieces.bytes_of(int(done.generated.refs[2])) == b"\x81"
    assert "3 tokens without their text" in done.warnings[0]
    assert WRONG_TOKENIZER not in done.warnings
    if known:  # each byte is a token of the vocabulary
        assert done.generated.ids[1:4].tolist() == [words.ids_of_bytes[bytes([byte])][0] for byte in "ざ".encode()]


def test_a_character_with_the_token_that_completes_it(words: Tokenizer) -> None:
    """A token never gets the id of another token with the same text."""
    done = read(completion("a😀", ["a", "", "", "", "😀"]), words)
    assert done.warnings[-1:] != (WRONG_TOKENIZER,)
    assert done.generated.ids[1:].tolist() == [words.ids_of_bytes[bytes([byte])][0] for byte in "😀".encode()]
    # The vocabulary has é as one token, but here two tokens spelled it, and their ids are unknown.
    done = read(completion("é", ["", "é"]), words)
    assert done.generated.ids.tolist() == [-1, -1]
    assert shown(done) == ["", "é"]
    assert read(completion("é", ["é"]), words).generated.ids.tolist() == list(words.names["é"])


def test_bytes_written_as_escapes() -> None:
    done = read(completion("😀!", ["bytes:\\xf0\\x9f", "bytes:\\x98\\x80", "!"]))
    assert [done.pieces.bytes_of(ref) for ref in done.generated.refs.tolist()] == [b"\xf0\x9f", b"\x98\x80", b"!"]
    assert NOT_SPELLED not in done.warnings


def test_an_echo_that_begins_with_bos() -> None:
    done = case("05g-echo-with-bos.json")
    assert shown(done, "prompt") == ["<|begin_of_text|>", "The", " capital", " of", " France", " is"]
    assert done.prompt.kinds.tolist() == [SPECIAL, *[TEXT] * 5]
    assert (shown(done), done.text) == ([" Paris", "."], " Paris.")
    assert done.generated.kinds.tolist() == [TEXT, TEXT]
    assert done.generated.logprobs.tolist() == pytest.approx([-0.4, -0.9])


SPELLINGS = {
    "byte-level": lambda text: "".join(
        {byte: letter for letter, byte in byte_alphabet().items()}[byte] for byte in text.encode()
    ),
    "sentencepiece": lambda text: text.replace(" ", "▁"),
}


def test_the_spelling_of_the_vocabulary() -> None:
    done = case("13a-chat-token-in-byte-alphabet.json")
    assert shown(done) == ["是", " the"]
    assert NOT_SPELLED not in done.warnings


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(st.lists(st.text("aé是😀 .\u011e", min_size=1, max_size=4), min_size=1, max_size=6))
@settings(max_examples=60)
def test_any_text_in_the_spelling_of_its_vocabulary(spelling: str, parts: list[str]) -> None:
    text = "".join(parts)
    done = read(completion(text, [SPELLINGS[spelling](part) for part in parts]))
    assert b"".join(done.pieces.bytes_of(ref) for ref in done.generated.refs.tolist()) == text.encode()
    assert NOT_SPELLED not in done.warnings


def test_prompt_logprobs_in_the_spelling_of_the_vocabulary() -> None:
    prompt = [None, {"1": {"logprob": -0.1, "rank": 1, "decoded_token": "Ġthat"}}]
    prompt.append({"2": {"logprob": -0.2, "rank": 1, "decoded_token": "æĺ¯"}})
    done = read(completion(" a", [" a"], prompt_logprobs=prompt))
    assert shown(done, "prompt") == ["", " that", "是"]


@pytest.mark.parametrize("logprob", [-9999.0, -0.001])
def test_a_last_entry_without_text_is_the_stop_token(logprob: float) -> None:
    response = json.loads((CASES / "15a-trailing-empty-entry-minus-9999.json").read_bytes())
    response["choices"][0]["logprobs"]["content"][-1]["logprob"] = logprob
    done = read(response)
    assert shown(done) == ["{", "}", ""]
    assert done.generated.kinds.tolist() == [TEXT, TEXT, STOP]
    summary = summarise_answer(done)
    assert (summary.mean_logprob, summary.impossible) == (pytest.approx(-0.1), 0)
    known = not np.isnan(done.generated.logprobs[2])
    assert known == (logprob > -9999)  # which stands for "not known" here


@pytest.mark.parametrize("known", [False, True])
def test_a_guardrail_changed_the_text(known: bool, words: Tokenizer) -> None:
    done = case("29a-guardrail-masked.json", words if known else None)
    assert done.text.endswith("{CREDIT_DEBIT_CARD_NUMBER}.")
    assert shown(done)[-5:] == ["4111", "1111", "1111", "1111", "."]
    assert done.warnings[0] == GUARDED
    assert not {NOT_SPELLED, WRONG_TOKENIZER} & set(done.warnings)
    ids = words.encode("It is")
    blocked = {
        "generation": "Sorry, I can't answer that.",
        "stop_reason": "stop",
        "logprobs": [{str(number): -0.5} for number in ids],
        "amazon-bedrock-guardrailAction": "INTERVENED",
    }
    done = read(blocked, words if known else None)
    assert done.warnings[0] == GUARDED
    assert WRONG_TOKENIZER not in done.warnings
    assert done.generated.ids.tolist() == ids
    none = read(blocked | {"amazon-bedrock-guardrailAction": "NONE"}, words)
    assert WRONG_TOKENIZER in none.warnings


def test_reasoning_that_the_template_opened() -> None:
    done = case("11a-chat-lone-closing-think.json")
    kinds = dict(zip(shown(done), done.generated.kinds.tolist(), strict=True))
    assert (kinds["Okay"], kinds["</think>"], kinds["\n\n"]) == (REASONING, REASONING, TEXT)
    assert done.generated.kinds[-1] == TEXT
    assert summarise_answer(done).mean_logprob == pytest.approx(-0.01)


@pytest.mark.parametrize("pair", [("<think>", "</think>"), ("[THINK]", "[/THINK]")])
@pytest.mark.parametrize("opened", [True, False])
def test_reasoning_in_any_format(pair: tuple[str, str], opened: bool, words: Tokenizer) -> None:
    names = [*([pair[0]] if opened else []), "It", " is", pair[1], "\n", "4"]
    expected = [REASONING] * (len(names) - 2) + [TEXT, TEXT]
    text = "".join(names)
    assert read(completion(text, names)).generated.kinds.tolist() == expected
    assert read(chat(text, names)).generated.kinds.tolist() == expected
    # The service separates it.
    split = read(chat("\n4", names, reasoning_content="It is"))
    assert split.generated.kinds.tolist() == expected
    # With ids only, the tokenizer separates it; without a tokenizer, a warning says that nothing can.
    ids = words.encode(text)
    response = {"generation": text, "stop_reason": "length", "logprobs": [{str(number): -0.5} for number in ids]}
    done = read(response, words)
    kinds = done.generated.kinds.tolist()
    assert kinds == [REASONING] * (len(kinds) - 2) + [TEXT] * 2
    assert UNSEPARATED_REASONING in read(response).warnings


HARMONY = ["<|channel|>", "analysis", "<|message|>", "2", "+", "2", "<|end|>", "<|start|>", "assistant"]
HARMONY += ["<|channel|>", "final", "<|message|>", "4", "<|return|>"]
HARMONY_KINDS = [*[SPECIAL] * 3, *[REASONING] * 3, *[SPECIAL] * 6, TEXT, STOP]


def test_the_channels_of_gpt_oss() -> None:
    done = case("12a-harmony-text-without-markers.json")
    kinds = done.generated.kinds.tolist()
    answer = [name for name, kind in zip(shown(done), kinds, strict=True) if kind == TEXT]
    thought = [name for name, kind in zip(shown(done), kinds, strict=True) if kind == REASONING]
    assert (answer, "".join(thought), kinds[-1]) == (["4"], "2+2 = 4.", STOP)
    assert NOT_SPELLED not in done.warnings


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("text", ["".join(HARMONY[:-1]), "analysis2+2assistantfinal4"], ids=["markers", "no markers"])
def test_channels_with_and_without_markers_in_the_text(text: str, known: bool, words: Tokenizer) -> None:
    tokenizer = words if known else None
    assert read(completion(text, HARMONY), tokenizer).generated.kinds.tolist() == HARMONY_KINDS
    ids = [number for name in HARMONY for number in words.encode(name)]
    response = {"generation": text, "stop_reason": "stop", "logprobs": [{str(number): -0.5} for number in ids]}
    done = read(response, tokenizer)
    if known:
        kinds = done.generated.kinds.tolist()
        assert [kind for kind in kinds if kind in (TEXT, STOP)] == [TEXT, STOP]
        assert kinds.count(REASONING) == 3


def test_channels_that_the_service_separates() -> None:
    done = read(chat("4", HARMONY, reasoning_content="2+2"))
    assert done.generated.kinds.tolist() == HARMONY_KINDS


def test_an_added_token_whose_letters_the_decoder_reads_as_bytes(words: Tokenizer) -> None:
    (number,) = words.encode("đem")
    text = "It \x11em"
    ids = [*words.encode("It "), number]
    response = {"generation": text, "stop_reason": "length", "logprobs": [{str(each): -0.5} for each in ids]}
    done = read(response, words)
    assert done.generated.ids.tolist() == ids
    assert shown(done)[-1] == "đem"
    assert any("other characters" in each for each in done.warnings)
    assert WRONG_TOKENIZER not in done.warnings
    done = read(completion("\x11em", ["\x11em"]), words)
    assert done.generated.ids.tolist() == [number]


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    """A byte-level tokenizer of single bytes, a few words and the reasoning markers."""
    names = sorted(byte_alphabet(), key=byte_alphabet().__getitem__)
    merges = [("Ã", "©")]  # é
    vocabulary = {name: number for number, name in enumerate([*names, "Ã©"])}
    markers = ["<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>"]
    plain = ["<think>", "</think>", "[THINK]", "[/THINK]", "đem", "4111", "1111", "Hi"]
    added = [
        {"id": len(vocabulary) + place, "content": name, "special": place < len(markers)}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for place, name in enumerate([*markers, *plain])
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    spec = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": level,
        "decoder": level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [list(pair) for pair in merges]},
    }
    return tokenizer_from_uploads({"tokenizer.json": json.dumps(spec).encode()})


LETTERS = {TEXT: "t", SPECIAL: "s", STOP: "x", REASONING: "r", TokenKind.TOOL: "c"}


def kinds(response: dict[str, Any]) -> str:
    return "".join(LETTERS[TokenKind(kind)] for kind in read(response).generated.kinds.tolist())


def finished(response: dict[str, Any], reason: object) -> dict[str, Any]:
    response["choices"][0]["finish_reason"] = reason
    return response


CALL = {"tool_calls": [{"id": "1"}]}
MARK = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        # Agents: reasoning, text and tool calls, split in various ways.
        (chat("", ["hm", "</think>", "<tool_call>", "{}"], reasoning_content="hm", **CALL), "rrcc"),
        (chat("", ["<think>", "hm", "</think>", "{}"], reasoning_content="hm", **CALL), "rrrc"),
        (chat("Hi", ["hm", "</think>", "Hi", "{}"], reasoning_content="hm", **CALL), "rrtc"),
        (finished(chat("", ["<tool_call>", "{}"]), "tool_calls"), "cc"),
        (chat("", ["Two", " plus"], thinking="Two plus"), "rr"),
        (chat("", ["Two", " plus"], reasoning_details=[{"type": "reasoning.text", "text": "Two plus"}]), "rr"),
        (chat("4", ["Two", "4"], thinking_blocks=[{"type": "thinking", "thinking": "Two"}]), "rt"),
        (chat("4", ["hm", "4"], reasoning="hm"), "rt"),
        (chat("4", ["4"], reasoning="two plus two"), "t"),
        (chat("e", ["h", "</think>", "e", "<|end|>"], reasoning_content="h"), "rrtx"),
        (chat("yes", ["hm", "</think>", "yes", "\n\n", "yes"], reasoning_content="hm"), "rrtxx"),
        (chat("Yes 😀!", ["hm", "Yes", " ", MARK, MARK, "!"], reasoning_content="hm"), "rttttt"),
        # A role spelled out before the answer, and various endings.
        (chat("Hi", ["<|start_header_id|>", "assistant", "<|end_header_id|>", "\n\n", "Hi", "<|eot_id|>"]), "sssttx"),
        (chat("Hi", ["Hi", "\n", "\n"]), "txx"),
        (chat("Hi", ["Hi", "User", ":"]), "txx"),
        (finished(chat("Hi", ["Hi", "<|eot_id|>"]), "length"), "ts"),
        # Refusals.
        (chat("", ["I", " can't"], refusal="I can't"), "tt"),
    ],
)
def test_the_parts_of_an_answer(response: dict[str, Any], expected: str) -> None:
    assert kinds(response) == expected
    assert not {NOT_SPELLED, LONGER} & set(read(response).warnings)


@pytest.mark.parametrize(
    "response",
    [
        chat("It", ["It", " is", " really", " blue", "."]),
        finished(completion("It is", ["It", " is", " blue", " and"]), "MAX_TOKENS"),
        finished(chat("Hi", ["Hi", " you", " there"]), None),
        chat("", ["It", " is", " blue", "."]),
    ],
)
def test_a_text_that_ends_before_its_tokens(response: dict[str, Any]) -> None:
    assert set(kinds(response)) == {"t"}
    assert LONGER in read(response).warnings


def test_a_stop_string_from_the_request() -> None:
    response = chat("It is", ["It", " is", "\n", "Obs", "erv", "ation", ":"])
    request = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 9, "stop": ["\nObservation:"]}
    (done,) = completions_of(read_saved(json.dumps({"request": request, "response": response}).encode()), None)
    assert "".join(LETTERS[TokenKind(kind)] for kind in done.generated.kinds.tolist()) == "ttxxxxx"
    assert LONGER not in done.warnings
    request["stop"] = ["END"]
    (done,) = completions_of(read_saved(json.dumps({"request": request, "response": response}).encode()), None)
    assert LONGER in done.warnings


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Completely different 😀", ["Hi", MARK, "x", "y"]),
        ("é ok fine", [MARK, MARK, " no", " fine"]),
        ("Bonjour", [MARK, "Hi", " there"]),
        ("a long way off", ["a", MARK, " off"]),
    ],
)
def test_lost_parts_of_characters_do_not_hide_other_differences(text: str, names: list[str]) -> None:
    assert NOT_SPELLED in read(chat(text, names)).warnings


@pytest.mark.parametrize("text", ["Hi ", "Hi 😀", f"Hi 😀{MARK}", f"Hi 😀{MARK}{MARK}"])
def test_an_answer_cut_within_a_character(text: str) -> None:
    parts = [b"Hi", b" ", b"\xf0\x9f", b"\x98\x80", b"\xf0\x9f"]
    done = read(finished(chat(text, [list(part) for part in parts]), "length"))
    assert (done.generated.kinds == TEXT).all()
    assert NOT_SPELLED not in done.warnings or text == "Hi "


def test_logprobs_of_the_reasoning_and_of_a_refusal() -> None:
    response = chat("4", ["4"], reasoning_content="so")
    response["choices"][0]["logprobs"]["reasoning_content"] = [{"token": "so", "logprob": -0.3}]
    assert kinds(response) == "rt"
    response = chat("", [], refusal="No.")
    response["choices"][0]["logprobs"] = {"content": None, "refusal": [{"token": "No.", "logprob": -0.1}]}
    done = read(response)
    assert (done.text, shown(done)) == ("No.", ["No."])


def test_answers_of_vllm_without_a_server() -> None:
    entry = {"5": {"logprob": -0.1, "rank": 1, "decoded_token": " a"}}
    entry["6"] = {"logprob": -0.9, "rank": 2, "decoded_token": " b"}
    outputs = [
        {"index": place, "text": text, "token_ids": [5 + place], "logprobs": [entry], "finish_reason": "length"}
        for place, text in enumerate([" a", " b"])
    ]
    found = decode(json.dumps({"prompt": "Hi", "outputs": outputs}).encode())
    assert [(done.text, done.generated.ids.tolist()) for done in found] == [(" a", [5]), (" b", [6])]
    assert found[1].generated.logprobs.tolist() == pytest.approx([-0.9])


def _echo(prompt_tokens: int | None, prompt: str | None) -> Completion:
    response = completion("The capital is Paris", ["The", " capital", " is", " Paris"])
    response["choices"][0]["logprobs"]["token_logprobs"][0] = None
    if prompt_tokens is not None:
        response["usage"] = {"prompt_tokens": prompt_tokens, "completion_tokens": 2}
    saved = {"response": response} | ({} if prompt is None else {"request": {"prompt": prompt, "max_tokens": 2}})
    (done,) = completions_of(read_saved(json.dumps(saved).encode()), None)
    return done


@pytest.mark.parametrize(("prompt_tokens", "prompt"), [(2, None), (3, None), (3, "The capital"), (None, "The capital")])
def test_where_an_echoed_prompt_ends(prompt_tokens: int | None, prompt: str | None) -> None:
    """Some servers count BOS but don't list it."""
    done = _echo(prompt_tokens, prompt)
    assert (done.text, shown(done), shown(done, "prompt")) == (" is Paris", [" is", " Paris"], ["The", " capital"])
    assert NOT_SPELLED not in done.warnings


def test_an_echo_that_cannot_be_separated_has_a_warning() -> None:
    done = _echo(None, None)
    assert any("repeats its prompt" in each for each in done.warnings)


def test_ids_in_place_of_strings() -> None:
    done = read(completion("<think>a</think>b", [f"token_id:{number}" for number in range(4)]))
    assert done.generated.ids.tolist() == [0, 1, 2, 3]
    assert UNSEPARATED_REASONING in done.warnings
    done = read(completion("token_id:5 x", ["token_id:5", " x"]))  # a token of that name
    assert done.generated.ids.tolist() == [-1, -1]


@pytest.mark.parametrize("known", [False, True])
def test_fewer_logprobs_than_tokens_by_id(known: bool, words: Tokenizer) -> None:
    ids = words.encode("It is")
    response = {"generation": "It is", "stop_reason": "length", "generation_token_count": len(ids)}
    response["logprobs"] = [{str(number): -0.5} for number in ids[:2]]
    done = read(response, words if known else None)
    assert done.generated.ids[:2].tolist() == ids[:2]
    assert f"lists 2 of the answer's {len(ids)} tokens" in done.warnings[0]
    assert WRONG_TOKENIZER not in done.warnings
    if known:
        assert shown(done) == ["I", "t", " is"]


def test_a_complete_list_that_spells_only_the_beginning(words: Tokenizer) -> None:
    """By the count no token is missing, so the vocabulary must be another model's."""
    ids = words.encode("It")
    response = {"generation": "It is", "stop_reason": "length", "generation_token_count": len(ids)}
    done = read(response | {"logprobs": [{str(number): -0.5} for number in ids]}, words)
    assert WRONG_TOKENIZER in done.warnings
    assert NOT_SPELLED in read(completion("It is", ["It"], 1)).warnings


def test_a_request_for_no_tokens_leaves_the_answer_unchanged() -> None:
    request = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 0, "logprobs": True}
    saved = {"request": request, "response": chat("It is", ["It", " is"])}
    (done,) = completions_of(read_saved(json.dumps(saved).encode()), None)
    assert (done.text, shown(done)) == ("It is", ["It", " is"])


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [
        (
            {"content": [{"token": "Hi", "prob": 0.5, "top_probs": []}, {"token": " yo", "prob": 0.25}]},
            [-0.693, -1.386],
        ),
        ({"token_logprobs": [-1, -2], "text_offset": [0, 2]}, [-1, -2]),
        ({"tokens": ["Hi", " yo"], "token_logprobs": [-1, -2], "token_ids": [7, 8]}, [-1, -2]),
        (
            {"content": [{"token": "Hi", "logprob": -1, "top_logprobs": {"Hi": -1}}, {"token": " yo", "logprob": -2}]},
            [-1, -2],
        ),
        (
            {"tokens": ["Hi", " yo"], "token_logprobs": [-1, -2], "top_logprobs": [{"a": {"logprob": -3}}, None]},
            [-1, -2],
        ),
    ],
)
def test_other_spellings_of_logprobs(logprobs: dict[str, Any], expected: list[float]) -> None:
    for response in (completion("Hi yo", None), chat("Hi yo", [])):
        response["choices"][0]["logprobs"] = logprobs
        done = read(finished(response, {"type": "length", "matched": 2}) | {"usage": []})
        assert shown(done) == ["Hi", " yo"]
        assert done.stop_reason == "length"
        assert done.generated.logprobs.tolist() == pytest.approx(expected, abs=1e-3)


def test_tokens_without_logprobs_have_a_warning() -> None:
    response = completion("Hi yo", None)
    response["choices"][0]["logprobs"] = {"tokens": ["Hi", " yo"]}
    assert NO_SCORES in read(response).warnings


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


WAYS: dict[str, Any] = {
    "bytes": list,
    "strings": lambda part: part.decode("utf-8", "replace"),
    "bytes of U+FFFD": lambda part: list(part.decode("utf-8", "replace").encode()),
}


@pytest.mark.parametrize("way", WAYS)
@given(text=st.text("aé 是😀\n", min_size=1, max_size=12), places=st.lists(st.integers(0, 60), max_size=20))
@settings(max_examples=150)
def test_a_text_cut_anywhere_is_spelled(way: str, text: str, places: list[int]) -> None:
    """Even within characters, in each of the ways that servers send parts of characters."""
    response = chat(text, [WAYS[way](part) for part in _cut(text.encode(), places)])
    done = read(response)
    assert not {NOT_SPELLED, LONGER} & set(done.warnings)
    assert (done.generated.kinds == TEXT).all()


@given(
    st.text("ab <>/thinké😀\ufffd|", max_size=12),
    st.lists(st.one_of(st.text("ab <é😀\ufffd", max_size=4), st.lists(st.integers(0, 255), max_size=4)), max_size=8),
    st.sampled_from(["", "a", "b a"]),
    st.booleans(),
    st.sampled_from(["stop", "length", None]),
)
@settings(max_examples=300)
def test_any_tokens_and_any_text(
    text: str, names: list[str | list[int]], reasoning: str, tools: bool, reason: str | None
) -> None:
    more = {"reasoning_content": reasoning} | (CALL if tools else {})
    done = read(finished(chat(text, names, **more), reason))
    assert done.text == text
    # Without a warning, the tokens that count as the answer spell its text.
    if not done.warnings and not tools and not reasoning:
        counted = b"".join(
            done.pieces.bytes_of(ref)
            for ref, kind in zip(done.generated.refs.tolist(), done.generated.kinds.tolist(), strict=True)
            if kind == TEXT and ref >= 0
        ).decode("utf-8", "replace")
        assert len(counted.strip()) >= len(text.strip()) // 4


TEXTS = [
    "Paris is the capital.",
    "def f(x):\n    return {'a': x[0]}\n",
    "你好，世界！😀 ok",
    "1. one\n\n2. two",
    " leading",
]
TEXTS += ["Ünïcödé ﬁ “quoted”", "trailing \n", "e", "👨‍👩‍👧 yes", "السلام عليكم", "a </b> b", f"lost {MARK}!"]
PARTS: dict[str, Any] = {
    "real bytes": lambda blob: {"token": blob.decode("utf-8", "replace"), "bytes": list(blob)},
    "bytes of strings": lambda blob: _bytes_of(list(blob.decode("utf-8", "replace").encode())),
    "strings": lambda blob: {"token": blob.decode("utf-8", "replace"), "bytes": None},
}


@cache
def _embedded() -> Tokenizer:
    return load_tokenizer("embedded")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_ordinary_responses_have_no_warnings(data: st.DataObject) -> None:
    """In every format, with and without a tokenizer, the kinds are right, and each id is right or unknown."""
    tokenizer = _embedded()
    pieces = tokenizer.vocabulary.pieces
    answer = "".join(data.draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=2)))
    thought = data.draw(st.sampled_from(["", "Okay, 2+2.", "Hmm 😀 so", "第一步"]))
    split = bool(thought) and data.draw(st.booleans())
    before = f"<think>\n{thought}\n</think>\n\n" if thought else ""
    ids = tokenizer.encode(before + answer)
    reason = data.draw(st.sampled_from(["stop", "length"]))
    ends = reason == "stop" and data.draw(st.booleans())
    ids += [2] if ends else []  # <|im_end|>
    form = "chat" if split else data.draw(st.sampled_from(["chat", "completion", "bedrock"]))
    text = answer if split else before + answer
    blobs = [pieces.bytes_of(number) for number in ids]
    if form == "bedrock":
        rows = [{str(number): -0.5} for number in ids]
        response = {"generation": text, "stop_reason": reason, "logprobs": rows, "generation_token_count": len(ids)}
    elif form == "completion":
        response = finished(completion(text, [blob.decode("utf-8", "replace") for blob in blobs], len(ids)), reason)
    else:
        spelled = PARTS[data.draw(st.sampled_from(sorted(PARTS)))]
        entries = [spelled(blob) | {"logprob": -0.5} for blob in blobs]
        response = finished(chat(text, [], len(ids), **({"reasoning_content": thought} if split else {})), reason)
        response["choices"][0]["logprobs"] = {"content": entries}
    known = form == "bedrock" or data.draw(st.booleans())
    done = read(response, tokenizer if known else None)
    assert [each for each in done.warnings if "alternatives requested" not in each] == []
    own = done.generated.ids.tolist()
    assert all(number in (-1, right) for number, right in zip(own, ids, strict=True))
    kinds = done.generated.kinds.tolist()
    counted = b"".join(blob for blob, kind in zip(blobs, kinds, strict=True) if kind == TEXT)
    assert counted.decode("utf-8", "replace").strip() == answer.strip()
    assert (kinds[-1] == STOP) == ends


def test_chunks_of_a_stream_in_any_order_and_with_an_empty_end() -> None:
    chunks = [
        {"generation": "a", "prompt_token_count": 3, "generation_token_count": 1, "logprobs": [{"1": -0.5}]},
        {"generation": "b", "generation_token_count": 2, "logprobs": [{"2": -0.5}]},
        {"generation": "", "generation_token_count": 2, "stop_reason": "stop"},
    ]
    (done,) = completions_of(read_saved("\n".join(map(json.dumps, chunks)).encode()), None)
    assert (done.text, done.stop_reason, done.generated.ids.tolist()) == ("ab", "stop", [1, 2])
    parts = [{"id": "", "object": "text_completion", "choices": [{"index": 0, "text": text}]} for text in "ab"]
    (done,) = completions_of(read_saved("\n".join(map(json.dumps, parts)).encode()), None)
    assert done.text == "ab"
    choices = [{"index": number, "delta": {"content": str(number)}, "finish_reason": "stop"} for number in (1, 0)]
    many = [{"id": "x", "object": "chat.completion.chunk", "choices": [each]} for each in choices]
    found = completions_of(read_saved("\n".join(map(json.dumps, many)).encode()), None)
    assert [done.text for done in found] == ["0", "1"]
