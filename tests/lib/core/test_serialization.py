"""Completions as bytes: identical after a round trip, and damaged bytes only raise BadFile."""

from __future__ import annotations

import json
import struct
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.core.columnar import pack, unpack
from lib.core.completion import Completion
from lib.core.pieces import make_pieces
from lib.core.request import Request
from lib.core.serialization import pack_completion, request_as_json, request_of, unpack_completion
from lib.core.tokens import NO_TOKENS, TokenKind, Tokens, make_tokens
from lib.errors import BadFile
from tests.support.columnar import read_by_spec
from tests.support.strategies import INF, NAN, completion_of, completions, requests, table_of, tokens_on

SAMPLE = completion_of(
    tokens_on(table_of("The", " fox", "<s>", special=[2]), [0, 1, 2], logprobs=[NAN, -1.25, -INF], ranks=[-1, 2, 9]),
    tokens_on(
        make_pieces([(0, b"The", False), (7, b"\xff", False)]),
        [1, 0],
        logprobs=[-0.5, -0.0],
        top_refs=[[1, -1], [0, 1]],
        top_logprobs=[[-0.5, NAN], [-0.0, -7]],
    ),
    text="\ufffdThe",
    stop_reason="stop",
    vocabulary_size=300,
    warnings=("w",),
    provenance=(("torch", "2.0"),),
)
PACKED = pack_completion(SAMPLE)


@given(completions())
@example(completion_of(NO_TOKENS, NO_TOKENS))
def test_unpacking_gives_an_identical_completion(done: Completion) -> None:
    assert unpack_completion(pack_completion(done)).identical(done)


@given(requests())
def test_requests_of_earlier_versions_are_read(request: Request) -> None:
    values = request_as_json(replace(request, scores_from=0, prefix_ids=()))
    assert "scores_from" not in values
    del values["begun"]
    assert request_of(values) == replace(request, scores_from=0, prefix_ids=())


@given(completions())
def test_equal_completions_pack_to_equal_bytes(done: Completion) -> None:
    assert pack_completion(unpack_completion(pack_completion(done))) == pack_completion(done)


@pytest.mark.parametrize("rows", [254, 255, 256, 65_534, 65_535, 65_536, 70_000])
def test_tables_of_every_width_survive(rows: int) -> None:
    pieces = make_pieces([(row, row.to_bytes(3, "big"), False) for row in range(rows)])
    done = completion_of(tokens_on(pieces, [-1, *range(rows)]), NO_TOKENS)
    again = unpack_completion(pack_completion(done))
    assert again.identical(done)
    assert again.prompt.refs.tolist() == [-1, *range(rows)]


def test_a_completion_can_be_read_by_spec() -> None:
    header, columns = read_by_spec(PACKED)
    assert header["kind"] == "completion"
    assert header["meta"]["text"] == "\ufffdThe"
    assert header["meta"]["request"]["prompt"] == "x"
    data, lengths = bytes(columns["pieces.data"]), columns["pieces.lengths"]
    pieces = [data[sum(lengths[:row]) : sum(lengths[: row + 1])] for row in range(len(lengths))]
    assert [pieces[ref] for ref in columns["prompt.refs"]] == [b"The", b" fox", b"<s>"]
    assert [columns["pieces.ids"][ref] for ref in columns["prompt.refs"]] == [0, 1, 2]
    assert [columns["pieces.special"][ref] for ref in columns["prompt.refs"]] == [0, 0, 1]
    shown = [pieces[ref] if ref < 255 else None for ref in columns["generated.top_refs"]]
    assert shown == [b"\xff", None, b"The", b"\xff"]
    assert columns["prompt.logprobs"][1:] == (-1.25, -INF)
    assert columns["prompt.ranks"] == (-1, 2, 9)


def test_another_kind_is_refused() -> None:
    with pytest.raises(BadFile, match="holds a view, not a completion"):
        unpack_completion(pack("view", {}, {}))


def test_a_newer_version_is_refused_by_number() -> None:
    with pytest.raises(BadFile, match="format version 2; this Candor reads up to 1") as caught:
        unpack_completion(PACKED[:6] + b"\x02" + PACKED[7:])
    assert caught.value.remedy == "Update Candor."


@pytest.mark.parametrize("blob", [b"", b"CANDOR", b"{}", b"PK\x03\x04" + bytes(100), b"CANDOR\x01\x00\x00\x00\x00\x00"])
def test_other_files_are_refused(blob: bytes) -> None:
    with pytest.raises(BadFile):
        unpack_completion(blob)


def test_every_truncation_is_refused() -> None:
    # The last column is padded to a multiple of 8; without that padding nothing is missing.
    _, columns = read_by_spec(PACKED)
    padding = -len(columns["generated.kinds"]) % 8
    for length in range(len(PACKED) - padding):
        with pytest.raises(BadFile):
            unpack_completion(PACKED[:length])
    assert unpack_completion(PACKED[: len(PACKED) - padding]).identical(SAMPLE)


def readable_or_refused(blob: bytes) -> None:
    """A damaged file must raise BadFile or give a completion that works everywhere."""
    try:
        done = unpack_completion(blob)
    except BadFile:
        return
    assert unpack_completion(pack_completion(done)).identical(done)
    for name in ("model", "text", "scale", "origin", "chosen_by"):
        assert isinstance(getattr(done, name), str)
    for tokens in (done.prompt, done.generated):
        assert isinstance(tokens, Tokens)
        assert all(TokenKind(kind) for kind in tokens.kinds if kind)


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_never_cause_another_error(changes: list[tuple[int, int]]) -> None:
    blob = bytearray(PACKED)
    for place, value in changes:
        blob[place] = value
    readable_or_refused(bytes(blob))


@settings(max_examples=200)
@given(st.integers(0, len(PACKED)), st.integers(0, len(PACKED)), st.binary(max_size=5))
def test_bytes_lost_or_put_in_never_cause_another_error(start: int, end: int, put: bytes) -> None:
    readable_or_refused(PACKED[: min(start, end)] + put + PACKED[max(start, end) :])


def with_header(change: Any, packed: bytes = PACKED) -> bytes:
    (length,) = struct.unpack_from("<I", packed, 8)
    header = json.loads(packed[12 : 12 + length])
    change(header)
    raw = json.dumps(header).encode()
    return packed[:8] + struct.pack("<I", len(raw)) + raw + packed[12 + length :]


def paths_of(value: Any, path: tuple = ()) -> list[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, each in items for deeper in paths_of(each, (*path, key)))]


HEADER = json.loads(PACKED[12 : 12 + struct.unpack_from("<I", PACKED, 8)[0]])
PATHS = [path for path in paths_of(HEADER) if path]
NUMBERS = [-1, 0, 1, 2**31, 2**63, 10**30, 1.5, 1e300]
JUNK = st.one_of(
    st.sampled_from([None, True, *NUMBERS, "", "u1", "f8", "\ud800", "\0", [], {}, [[]], [[1, 2]]]),
    st.integers(-(2**70), 2**70),
    st.text(max_size=3),
)


@settings(max_examples=600)
@given(st.sampled_from(PATHS), JUNK)
def test_a_header_that_lies_never_causes_another_error(path: tuple, junk: Any) -> None:
    def lie(header: Any) -> None:
        for key in path[:-1]:
            header = header[key]
        header[path[-1]] = junk

    readable_or_refused(with_header(lie))


@pytest.mark.parametrize("place", range(len(HEADER["columns"])), ids=lambda place: HEADER["columns"][place][0])
def test_a_column_of_another_type_is_refused(place: int) -> None:
    def lie(header: Any) -> None:
        column = header["columns"][place]
        column[1], column[2] = ("i4", column[2]) if column[1] in ("f4", "u4") else ("f4", [column[4] // 4])
        column[4] -= column[4] % 4

    with pytest.raises(BadFile):
        unpack_completion(with_header(lie))


def test_a_header_that_ends_early_in_its_nesting_is_refused() -> None:
    raw = b"[" * 200_000
    with pytest.raises(BadFile):
        unpack(PACKED[:8] + struct.pack("<I", len(raw)) + raw, "completion")


@pytest.mark.parametrize(
    "shape", [[2**40], [0, 2**31], [2**31, 0], [0, 2**62], [0, 10**30], [2**32, 2**32], [-1, -2], [1.0], [True]]
)
@pytest.mark.parametrize("name", ["generated.top_refs", "generated.top_logprobs", "prompt.refs", "pieces.data"])
def test_no_memory_is_taken_for_what_a_header_claims(name: str, shape: list) -> None:
    def lie(header: Any) -> None:
        for column in header["columns"]:
            if column[0] == name:
                column[2] = shape

    blob = with_header(lie)
    tracemalloc.start()
    try:
        with pytest.raises(BadFile):
            unpack_completion(blob)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_lists_without_tokens_cannot_claim_to_be_long() -> None:
    # Putting prompt and answer together pads all lists to the longest; an answer of no tokens costs no bytes to claim.
    done = replace(SAMPLE, generated=tokens_on(table_of("a"), [0], top_refs=[[0]], top_logprobs=[[-1]])[:0])

    def lie(header: Any) -> None:
        for column in header["columns"]:
            if column[0].startswith("generated.top"):
                column[2] = [0, 100_000_000]

    with pytest.raises(BadFile):
        unpack_completion(with_header(lie, pack_completion(done)))


def test_a_long_completion_is_a_matter_of_megabytes() -> None:
    n, k, vocabulary = 100_000, 20, 49_152
    random = np.random.default_rng(1)
    pieces = make_pieces([(row, b"piece", False) for row in range(vocabulary)])
    tokens = Tokens(
        random.integers(0, vocabulary, n),
        random.normal(-9, 1, n),
        random.integers(1, vocabulary, n),
        random.integers(0, vocabulary, (n, k)),
        random.normal(-9, 1, (n, k)),
        np.zeros(n),
        pieces,
    )
    done = completion_of(NO_TOKENS, tokens)
    packed = pack_completion(done)
    assert unpack_completion(packed).identical(done)
    # Per alternative 2 bytes of ref and 4 of logprob; per token the same, 4 of rank and 1 of kind.
    assert (len(packed) - vocabulary * 14) / n < k * 6 + 11 + 1


@pytest.mark.parametrize("answers", [(600, 600), (2000, 200), (1, 3000)])
def test_long_answers_with_many_different_tokens_come_back(answers: tuple[int, int]) -> None:
    """Their bounds are those of the text, not of all pieces times all positions."""
    pieces = make_pieces([(number, b"%05d" % number, False) for number in range(10_000)])
    parts = [
        make_tokens(
            pieces,
            np.arange(count, dtype=np.int32),
            top_refs=np.resize(np.arange(10_000, dtype=np.int32), (count, 20)),
            top_logprobs=np.full((count, 20), -1, np.float32),
        )
        for count in answers
    ]
    done = Completion(None, "m", *parts, text="x")
    assert unpack_completion(pack_completion(done)) == done
