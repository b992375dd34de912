"""Completions as compressed bytes."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings

from lib.core.completion import Completion
from lib.errors import BadFile
from lib.store.compression import compress_completion, decompress_completion
from tests.benchmarks.completions import long_completion
from tests.support.strategies import completions


@settings(max_examples=60, deadline=None)
@given(done=completions())
def test_a_completion_survives(done: Completion) -> None:
    assert decompress_completion(compress_completion(done)).identical(done)


@pytest.mark.parametrize(
    "data", [b"", b"x", zlib.compress(b"not a completion"), compress_completion(long_completion(9))[:-5]]
)
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadFile):
        decompress_completion(data)


@pytest.mark.parametrize(
    "header", [b'{"kind":"compact completion"}', b'{"kind":"compact completion","meta":{},"columns":[]}']
)
def test_damaged_bytes_of_version_0_1_are_refused(header: bytes) -> None:
    data = b"CANDOR\x01\x00" + len(header).to_bytes(4, "little") + header
    with pytest.raises(BadFile):
        decompress_completion(zlib.compress(data))
