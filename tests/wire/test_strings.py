"""Tokens held against their text: lists that are empty, short or spelled another way; markers and reasoning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.completion import Completion
from lib.scores import summarise_answer
from lib.tokenizer import Tokenizer
from lib.tokenizer_files import tokenizer_from_uploads
from lib.tokens import Kind
from lib.vocabulary import byte_alphabet
from lib.wire import decode as decoding
from lib.wire.decode import GUARDED, NO_LOGPROBS, NOT_SPELLED, WRONG_TOKENIZER, decode
from lib.wire.saved import completions_of, read_saved

CASES = Path(__file__).parent.parent / "data" / "cases"
TEXT, SPECIAL, STOP, REASONING = Kind.TEXT, Kind.SPECIAL, Kind.STOP, Kind.REASONING


def case(name: str, tokenizer: Tokenizer | None = None) -> Completion:
    (done,) = completions_of(read_saved((CASES / name).read_bytes()), tokenizer)
    return done


def read(reply: dict[str, Any], tokenizer: Tokenizer | None = None) -> Completion:
    return decode(json.dumps(reply).encode(), None, tokenizer)[0]


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


def chat(text: str, names: Sequence[str | list[int]], count: int | None = None, **message: Any) -> dict[str, Any]:
    entries = []
    for name in names:
        own = {"token": name, "bytes": None} if isinstance(name, str) else {"token": "?", "bytes": name}
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
    reply = {"choices": [{"message": {"content": "It is"}, "logprobs": lists, "finish_reason": "length"}]}
    assert shown(read(reply)) == ["It", " is"]
    reply = chat("It is", ["It", " is"])
    reply["choices"][0]["logprobs"] = reply["choices"][0]["logprobs"]["content"]
    assert shown(read(reply)) == ["It", " is"]


@pytest.mark.parametrize(
    "reply",
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
def test_empty_logprobs_are_none(reply: dict[str, Any], known: bool, words: Tokenizer) -> None:
    done = read(reply, words if known else None)
    assert shown(done) == ["It is blue."]
    assert np.isnan(done.generated.logprobs).all()
    assert done.warnings == (NO_LOGPROBS,)


def test_an_empty_answer_lacks_nothing() -> None:
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
    # As many tokens as are listed: then it is not a gap that tells them apart.
    assert NOT_SPELLED in read(chat("It is blue.", ["."], 1)).warnings


def test_alternatives_without_the_tokens_themselves() -> None:
    reply = completion("Hi", None)
    reply["choices"][0]["logprobs"] = {"top_logprobs": [{"Hi": -0.3, "Ho": -1.5}, {"!": -0.1}]}
    done = read(reply)
    assert np.isnan(done.generated.logprobs).all()
    first = [done.pieces.text_of(ref) for ref in done.generated.top_refs[0].tolist() if ref >= 0]
    assert first == ["Hi", "Ho"]
    assert any("not the answer's own tokens" in each for each in done.warnings)
    assert WRONG_TOKENIZER not in done.warnings


@pytest.mark.parametrize("known", [False, True])
def test_another_token_than_the_text(known: bool, words: Tokenizer) -> None:
    """The likeliest token is listed where another one was sampled."""
    done = case("05a-greedy-token-listed-instead-of-the-sampled.json", words if known else None)
    assert (done.text, shown(done)) == ("Hello!", ["Hi"])
    assert NOT_SPELLED in done.warnings
    assert WRONG_TOKENIZER not in done.warnings
    # One token repeated for every place.
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
    """No token takes the id of another one of the same text."""
    done = read(completion("a😀", ["a", "", "", "", "😀"]), words)
    assert done.warnings[-1:] != (WRONG_TOKENIZER,)
    assert done.generated.ids[1:].tolist() == [words.ids_of_bytes[bytes([byte])][0] for byte in "😀".encode()]
    # é is a token of its own here; that two tokens spelled it is known, and not which.
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
    reply = json.loads((CASES / "15a-trailing-empty-entry-minus-9999.json").read_bytes())
    reply["choices"][0]["logprobs"]["content"][-1]["logprob"] = logprob
    done = read(reply)
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
    # The service splits it off.
    split = read(chat("\n4", names, reasoning_content="It is"))
    assert split.generated.kinds.tolist() == expected
    # By ids, with the tokenizer; without it the page says that they cannot be told apart.
    ids = words.encode(text)
    reply = {"generation": text, "stop_reason": "length", "logprobs": [{str(number): -0.5} for number in ids]}
    done = read(reply, words)
    kinds = done.generated.kinds.tolist()
    assert kinds == [REASONING] * (len(kinds) - 2) + [TEXT] * 2
    assert decoding._UNTOLD in read(reply).warnings


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
    reply = {"generation": text, "stop_reason": "stop", "logprobs": [{str(number): -0.5} for number in ids]}
    done = read(reply, tokenizer)
    if known:
        kinds = done.generated.kinds.tolist()
        assert [kind for kind in kinds if kind in (TEXT, STOP)] == [TEXT, STOP]
        assert kinds.count(REASONING) == 3


def test_channels_that_the_service_splits() -> None:
    done = read(chat("4", HARMONY, reasoning_content="2+2"))
    assert done.generated.kinds.tolist() == HARMONY_KINDS


def test_an_added_token_whose_letters_the_decoder_takes_for_bytes(words: Tokenizer) -> None:
    (number,) = words.encode("đem")
    text = "It \x11em"
    ids = [*words.encode("It "), number]
    reply = {"generation": text, "stop_reason": "length", "logprobs": [{str(each): -0.5} for each in ids]}
    done = read(reply, words)
    assert done.generated.ids.tolist() == ids
    assert shown(done)[-1] == "đem"
    assert any("other letters" in each for each in done.warnings)
    assert WRONG_TOKENIZER not in done.warnings
    done = read(completion("\x11em", ["\x11em"]), words)
    assert done.generated.ids.tolist() == [number]


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    """A byte-level tokenizer of single bytes, a few words and the markers of reasoning."""
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
