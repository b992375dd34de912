"""Small files that would take much memory or time: each is refused, or read in time in proportion to its size."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from lib.completion import Completion, Timing
from lib.errors import BadFile, BadReply, CandorError, ModelUnavailable
from lib.foreign.sandbox import Sandbox
from lib.store.files import read_runs
from lib.tokenizer_build import build, check_spec
from lib.tokens import MOST_LISTED
from lib.view import View
from lib.wire.kinds import _broken
from lib.wire.saved import read_saved

_SECONDS = 6.0


def _read(reply: Any) -> list[Completion]:
    data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    began = time.monotonic()
    try:
        return [done for saved in read_saved(data) for done in saved.completions(None)]
    finally:
        assert time.monotonic() - began < _SECONDS


def _entries(count: int) -> dict[str, int]:
    return {str(number): -1 - number % 5 for number in range(count)}


def test_one_position_with_many_entries_is_refused() -> None:
    with pytest.raises(BadReply, match="100,000 tokens at one position"):
        _read({"generation": "", "logprobs": [_entries(100_000), *[{"1": 0}] * 60_000]})


def test_a_position_that_is_not_decided_widens_the_others_a_little_only() -> None:
    (done,) = _read({"generation": "", "logprobs": [_entries(900), *[{"1": 0}] * 10_000]})
    assert done.generated.k == MOST_LISTED


def test_a_reply_of_too_many_cells_is_refused() -> None:
    with pytest.raises(BadReply, match="more positions and alternatives"):
        _read({"generation": "", "logprobs": [_entries(900), *[{"1": 0}] * 350_000]})


@pytest.mark.parametrize(
    "reply",
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
def test_a_reply_of_empty_tokens_is_read_in_time(reply: bytes) -> None:
    (done,) = _read(reply)
    assert len(done.generated) > 50_000


@pytest.mark.parametrize("count", [10_001, 1_000_000])
def test_a_reply_of_many_answers_is_refused(count: int) -> None:
    with pytest.raises(BadReply, match="answers; at most 10,000"):
        _read(b'{"choices": [' + b"{}," * (count - 1) + b"{}]}")


def test_broken_bytes_are_found_in_time_and_exactly() -> None:
    data = ("é".encode() + b"\xff" + "漢字😀".encode()[:-1]) * 40_000 + b"\xe6"
    began = time.monotonic()
    found = list(_broken(data))
    assert time.monotonic() - began < _SECONDS
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
    assert View(done).packed()


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
    with pytest.raises(ModelUnavailable, match="by long texts"):
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
    with pytest.raises(ModelUnavailable, match="by long texts"):
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
