"""Small files that would take much memory or time: each is refused, or read in time in proportion to its size."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from lib.core.completion import Completion, Timing
from lib.core.pieces import make_pieces
from lib.core.tokens import MOST_LISTED
from lib.display.token_map_view import TokenMapView
from lib.errors import BadFile, BadResponse, CandorError, ModelUnavailable
from lib.sandbox.sandbox import Sandbox
from lib.segmentation.groups import SENTENCE
from lib.segmentation.text_diff import Change, changes
from lib.store.archive_format import read_runs
from lib.store.search import folded
from lib.tokenizers.build import build
from lib.tokenizers.hugging_face import check_spec
from lib.tokenizers.tokenizer import Tokenizer
from lib.tokenizers.vocabulary import Vocabulary
from lib.wire.saved_responses import completions_of, read_saved
from lib.wire.text_match import broken_spans

_SECONDS = 6.0  # of processor time, as the machine may be busy


def _read(response: Any) -> list[Completion]:
    data = response if isinstance(response, bytes) else json.dumps(response).encode()
    began = time.process_time()
    try:
        return [done for saved in read_saved(data) for done in saved.completions(None)]
    finally:
        assert time.process_time() - began < _SECONDS


def _entries(count: int) -> dict[str, int]:
    return {str(number): -1 - number % 5 for number in range(count)}


def test_one_position_with_many_entries_is_refused() -> None:
    with pytest.raises(BadResponse, match="100,000 tokens at one position"):
        _read({"generation": "", "logprobs": [_entries(100_000), *[{"1": 0}] * 60_000]})


def test_a_position_that_is_not_decided_widens_the_others_a_little_only() -> None:
    (done,) = _read({"generation": "", "logprobs": [_entries(900), *[{"1": 0}] * 10_000]})
    assert done.generated.k == MOST_LISTED


def test_a_response_of_too_many_cells_is_refused() -> None:
    with pytest.raises(BadResponse, match="more positions and alternatives"):
        _read({"generation": "", "logprobs": [_entries(900), *[{"1": 0}] * 350_000]})


@pytest.mark.parametrize(
    "response",
    [
        b'{"choices": [{"message": {}, "logprobs": {"content": [' + b"{}," * 100_000 + b"{}]}}]}",
        b'{"generation": "", "logprobs": [' + b"{}," * 100_000 + b"{}]}",
        b'{"generation": "", "logprobs": [' + b'{"1": 0},' * 100_000 + b"{}]}",
        b'{"choices": [{"message": {"content": "x"}, "logprobs": {"content": ['
        + b'{"token": "", "logprob": -1, "bytes": [255]},' * 60_000 + b"{}]}}]}",
        b'{"choices": [{"message": {"content": "x"}, "logprobs": {"content": ['
        + b'{"token": "\\n", "logprob": -1},' * 60_000 + b"{}]}}]}",
    ],
)  # fmt: skip
def test_a_response_of_empty_tokens_is_read_in_time(response: bytes) -> None:
    (done,) = _read(response)
    assert len(done.generated) > 50_000


@pytest.mark.parametrize("count", [1_001, 1_000_000])
def test_a_response_of_many_answers_is_refused(count: int) -> None:
    with pytest.raises(BadResponse, match="answers; at most 1,000"):
        _read(b'{"choices": [' + b"{}," * (count - 1) + b"{}]}")


def test_broken_bytes_are_found_in_time_and_exactly() -> None:
    data = ("é".encode() + b"\xff" + "漢字😀".encode()[:-1]) * 40_000 + b"\xe6"
    began = time.process_time()
    found = list(broken_spans(data))
    assert time.process_time() - began < _SECONDS
    assert len(found) == data.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}")
    rest = bytearray(data)
    for start, end in found:
        rest[start:end] = b"?" * (end - start)
    bytes(rest).decode("utf-8")


def _column(values: Any) -> dict[str, Any]:
    return {
        "dtype": values.dtype.str[1:],
        "shape": list(values.shape),
        "base64": base64.b64encode(values.tobytes()).decode(),
    }


def _file(sizes: dict[str, tuple[int, int]]) -> bytes:
    """A file of one run. sizes: tokens and alternatives of prompt and answer."""
    columns = {
        "pieces.ids": np.array([1], "i4"),
        "pieces.lengths": np.array([1], "u4"),
        "pieces.data": np.frombuffer(b"a", "u1"),
        "pieces.special": np.zeros(1, "u1"),
    }
    for part, (n, k) in sizes.items():
        columns |= {
            f"{part}.refs": np.zeros(n, "u1"),
            f"{part}.logprobs": np.full(n, -1, "f4"),
            f"{part}.ranks": np.full(n, 1, "i4"),
            f"{part}.top_refs": np.zeros((n, k), "u1"),
            f"{part}.top_logprobs": np.full((n, k), -1, "f4"),
            f"{part}.kinds": np.zeros(n, "u1"),
        }
    meta = {"model": "m \ud800", "text": "\udfff", "stop_reason": "stop", "scale": "raw", "origin": "generated"}
    meta |= {"chosen_by": "", "overlap": 0, "vocabulary_size": None, "warnings": ["\ud800"], "provenance": []}
    meta |= {"request": None, "timing": asdict(Timing())}
    run = {
        "id": "abcdefgh12345678", "page": "explore", "model": "m", "source": "", "title": "t", "note": "", "tags": [],
        "parent": "", "details": {}, "state": "finished", "error": None, "version": "1", "seconds": 1.0,
        "created_microseconds": 1,
        "answers": [
            {"error": None, "completion": {"meta": meta, "columns": {at: _column(c) for at, c in columns.items()}}}
        ],
    }  # fmt: skip
    return json.dumps({"format": "candor-runs", "version": 1, "runs": [run]}).encode()


@pytest.mark.parametrize(
    "sizes",
    [
        {"prompt": (1, 50_000), "generated": (50_000, 0)},
        {"prompt": (1, MOST_LISTED), "generated": (330_000, 0)},
        {"prompt": (0, 2**40), "generated": (1, 0)},
    ],
)
def test_a_run_whose_lists_would_be_padded_far_is_refused(sizes: dict[str, tuple[int, int]]) -> None:
    data = _file({part: (n, k if n else 0) for part, (n, k) in sizes.items()})
    if sizes["prompt"][0] == 0:
        data = data.replace(b'"shape": [0, 0]', b'"shape": [0, 1099511627776]')
    with pytest.raises(BadFile, match="do not fit together"):
        list(read_runs(data))


def test_texts_of_a_run_that_nothing_can_show_are_replaced() -> None:
    ((_, (answer,)),) = read_runs(_file({"prompt": (3, 2), "generated": (3, 2)}))
    done = answer.completion
    assert done is not None
    assert (done.model, done.text, done.warnings) == ("m \ufffd", "\ufffd", ("\ufffd",))
    assert TokenMapView(done).packed()


def test_a_run_whose_tokens_spell_far_more_than_its_file_is_refused() -> None:
    document = json.loads(_file({"prompt": (0, 0), "generated": (20_000, 1)}))
    columns = document["runs"][0]["answers"][0]["completion"]["columns"]
    columns["pieces.data"] = _column(np.full(20_000, ord("a"), "u1"))
    columns["pieces.lengths"] = _column(np.array([20_000], "u4"))
    with pytest.raises(BadFile, match="do not fit together"):
        list(read_runs(json.dumps(document).encode()))


def _tokenizer(*pieces: bytes) -> Tokenizer:
    made = make_pieces([(number, blob, blob == b"<s>") for number, blob in enumerate(pieces)])
    return Tokenizer("made up", Vocabulary(made), lambda text: [0] * len(text))


def _read_with(tokenizer: Tokenizer, response: Any) -> tuple[Completion, ...]:
    began = time.process_time()
    try:
        return completions_of(read_saved(json.dumps(response).encode()), tokenizer)
    finally:
        assert time.process_time() - began < _SECONDS


def test_a_long_token_is_not_spelled_out_very_often() -> None:
    response = {"generation": "", "logprobs": [{"0": -1}] * 2_000}
    with pytest.raises(BadResponse, match="more positions"):
        _read_with(_tokenizer(b"x" * 1_000_000), response)


def test_very_many_ways_to_spell_a_text_are_given_up() -> None:
    response = {"generation": "a" * 4_000, "logprobs": [{"0": -1, "1": -1}] * 8_000}
    _read_with(_tokenizer(b"a", b"<s>"), response)


def test_very_many_ids_of_one_name_are_not_tried_one_by_one() -> None:
    tokenizer = _tokenizer(*(b"\xff\xfe" for _ in range(40_000)))
    entry = {"token": "\ufffd\ufffd", "logprob": -1}
    response = {"choices": [{"message": {"content": "\ufffd\ufffd"}, "logprobs": {"content": [entry] * 2_000}}]}
    _read_with(tokenizer, response)


def test_a_prompt_that_many_answers_share_is_read_once_and_bounded() -> None:
    with pytest.raises(BadResponse, match="more positions"):
        _read({"choices": [{"text": ""}] * 1_000, "prompt_logprobs": [{"1": 0}] * 50_000})
    calls: list[str] = []
    tokenizer = replace(_tokenizer(b"a"), encode=lambda text: calls.append(text) or [0] * len(text))  # type: ignore[func-returns-value]
    response = {"request": {"prompt": "a" * 100, "max_tokens": 1}, "response": {"choices": [{"text": ""}] * 200}}
    assert len(_read_with(tokenizer, response)) == 200
    assert len(calls) < 5


def test_answers_are_counted_over_all_lines() -> None:
    data = b"\n".join([b'{"choices": [' + b"{}," * 900 + b"{}]}"] * 20)
    with pytest.raises(BadResponse, match="more than 10,000 answers"):
        completions_of(read_saved(data), None)


@pytest.mark.parametrize("text", ["." * 80_000, "..)))" * 20_000, "!" * 80_000, "\n" * 80_000, ". " * 40_000])
def test_sentences_are_found_in_time(text: str) -> None:
    began = time.process_time()
    assert sum(1 for _ in SENTENCE.finditer(text)) >= 0
    assert time.process_time() - began < 2


def test_marks_without_end_are_folded_in_time() -> None:
    began = time.process_time()
    assert len(folded("a" + "\u0300\u0316" * 200_000)) > 100_000
    assert time.process_time() - began < 2
    assert folded("Cafe\u0301 ﬁ") == "café fi"


def test_texts_of_the_same_few_words_are_compared_in_time() -> None:
    began = time.process_time()
    found = changes("a b " * 50_000, "b a " * 50_000 + "c")
    assert time.process_time() - began < _SECONDS
    assert "".join(each.text for each in found if each.change is not Change.ADDED) == "a b " * 50_000


def test_long_texts_with_common_words_are_still_aligned() -> None:
    words = [f"word{number}" if number % 3 else "the" for number in range(12_000)]
    before = " ".join(words)
    after = " ".join([*words[:6_000], "new", *words[6_000:]])
    added = [each.text.strip() for each in changes(before, after) if each.change is Change.ADDED]
    assert added == ["new"]


WORDS = {"[UNK]": 0, "a": 1}


@pytest.mark.parametrize(
    "steps",
    [
        {"normalizer": {"type": "Replace", "pattern": {"String": "Q"}, "content": "a " * 100_000}},
        {"normalizer": {"type": "Prepend", "prepend": "a" * 1_000}},
        {"decoder": {"type": "Replace", "pattern": {"Regex": "^."}, "content": "x" * 5_000}},
        {
            "normalizer": {
                "type": "Sequence",
                "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"}] * 9,
            }
        },
        {
            "normalizer": {
                "type": "Precompiled",
                "precompiled_charsmap": base64.b64encode(b"\4\0\0\0tree" + b"x" * 99 + b"\0").decode(),
            }
        },
    ],
)
def test_a_tokenizer_that_makes_texts_far_longer_is_refused(steps: Any) -> None:
    spec = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"}}
    with pytest.raises(ModelUnavailable, match="with long text"):
        check_spec(spec | steps)


def test_tokenizers_as_they_are_make_texts_hardly_longer() -> None:
    spec = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"}}
    llama = [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
    check_spec(spec | {"normalizer": {"type": "Sequence", "normalizers": llama}})
    check_spec(spec | {"normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}})
    check_spec(spec | {"normalizer": None, "decoder": {"type": "ByteLevel"}})


def test_a_sentencepiece_model_that_makes_texts_far_longer_is_refused() -> None:
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    from tests.soak.foreign import _sentencepiece

    model = ModelProto.FromString(_sentencepiece())
    build({"tokenizer.model": model.SerializeToString()})
    charsmap = model.normalizer_spec.precompiled_charsmap
    model.normalizer_spec.precompiled_charsmap = charsmap[:-1] + b"x" * 1_000 + b"\0"
    with pytest.raises(ModelUnavailable, match="with long text"):
        build({"tokenizer.model": model.SerializeToString()})


def test_what_the_child_sends_back_is_bounded() -> None:
    source = {"source": "{{ '" + "\N{GRINNING FACE}" + "' * 45000000 }}", "names": {}}
    sandbox = Sandbox("template", source, what="The template", remedy="Use a raw prompt.")
    with pytest.raises(CandorError):
        sandbox.call("render", [{"role": "user", "content": "hi"}])
    sandbox.close()
    spec = {
        "version": "1.0",
        "added_tokens": [{"id": 2, "content": "x" * 70_000_000, "special": False}],
        "model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"},
    }
    sandbox = Sandbox(
        "tokenizer", {"files": {"tokenizer.json": json.dumps(spec).encode()}}, what="It", remedy="Give another."
    )
    with pytest.raises(ModelUnavailable):
        sandbox.open()
    sandbox.close()
