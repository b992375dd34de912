"""The law of the wire: encoding and decoding a completion preserves exactly what the format can carry."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.core.completion import Completion
from lib.core.stream import fold
from lib.core.tokens import NO_TOKENS
from lib.tokenizers.tokenizer import Tokenizer
from lib.wire.decode import decode
from lib.wire.encode import ChunkWriter, encode, without_nulls
from lib.wire.formats import Format, asked_top
from lib.wire.stream_decoder import StreamReader
from tests.support.project import project
from tests.support.wire_strategies import completions, differences, tokenizer

FORMATS = list(Format)


def reader_of(done: Completion) -> Tokenizer:
    """The tokenizer that made the completion."""
    assert done.request is not None
    readings = {reader: reader.readings(done.request) for reader in map(tokenizer, (True, False))}
    return next(reader for reader, found in readings.items() if done.prompt.ids.tolist() in found)


def is_lossy(done: Completion) -> bool:
    """Whether a string in it has lost its bytes."""
    return "\N{REPLACEMENT CHARACTER}" in "".join(done.pieces.texts)


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
@settings(max_examples=60)
def test_decode_encode_is_project(form: Format, data: st.DataObject) -> None:
    done = data.draw(completions(form))
    request, reader = done.request, reader_of(done)
    trimmed = data.draw(st.booleans())
    encoded = encode(done, form, prompt_logprobs=request.prompt_scores)
    response = json.dumps(without_nulls(encoded) if trimmed else encoded).encode()
    (back,) = decode(response, request, reader)
    assert differences(back, project(done, form, request, reader)) == {}


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
@settings(max_examples=40)
def test_project_is_idempotent(form: Format, data: st.DataObject) -> None:
    done = data.draw(completions(form))
    once = project(done, form, done.request, reader_of(done))
    # If several tokens share a string, a chat's list loses information each time it is encoded.
    if form is Format.CHAT and is_lossy(once):
        return
    assert differences(project(once, form, done.request, reader_of(done)), once) == {}


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
@settings(max_examples=40)
def test_a_stream_folds_to_the_whole_response(form: Format, data: st.DataObject) -> None:
    """A streamed response, cut into chunks anywhere and with its text delayed, equals the whole response."""
    done = data.draw(completions(form))
    assert done.request is not None
    scored = form is Format.EARLY  # OpenAI's formats can't stream prompt logprobs
    request, reader = replace(done.request, prompt_scores=scored and done.request.prompt_scores), reader_of(done)
    writer = ChunkWriter(done, form, top=asked_top(form, request.k))
    chunks = list(writer.opening())
    tokens = np.sort(data.draw(st.lists(st.integers(0, len(done.generated)), max_size=4)))
    places = sorted(data.draw(st.lists(st.integers(0, len(done.text)), min_size=len(tokens), max_size=len(tokens))))
    edges = [0, *tokens.tolist(), len(done.generated)]
    cuts = [0, *places, len(done.text)]
    for number, ((first, last), (start, end)) in enumerate(zip(pairwise(edges), pairwise(cuts), strict=True)):
        final = done.stop_reason if number + 2 == len(edges) else None
        chunks.append(writer.chunk(done.generated[first:last], done.text[start:end], final))
    stream = StreamReader(request, reader)
    deltas = [delta for chunk in chunks for delta in stream.feed(json.dumps(chunk).encode())]
    (back,) = fold([*deltas, *stream.close()])
    expected = project(done, form, request, reader)
    # A stream gives the number of prompt tokens only at its end; until then, it isn't known whether there is a BOS.
    if not scored or not request.prompt_scores:
        back, expected = (replace(each, prompt=NO_TOKENS, chosen_by="") for each in (back, expected))
    # Recovering lost bytes from the text depends on how much of the text has arrived.
    if len(done.generated) and not is_lossy(expected):
        assert differences(back, expected) == {}
    else:
        assert (back.text, back.stop_reason) == (expected.text, expected.stop_reason)
