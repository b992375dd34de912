"""botocore reads the frames, however they are cut into pieces."""

from __future__ import annotations

import base64
import json

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from lib.serve.event_stream import chunk_frame, exception_frame
from lib.serve.service_errors import IN_STREAM, refusal_for


@given(st.lists(st.binary(max_size=300), max_size=5), st.lists(st.integers(1, 60), min_size=1, max_size=9))
def test_chunks_come_out_whole(chunks: list[bytes], sizes: list[int]) -> None:
    data, found, buffer = b"".join(map(chunk_frame, chunks)), [], EventStreamBuffer()
    place = turn = 0
    while place < len(data):
        step = sizes[turn % len(sizes)]
        buffer.add_data(data[place : place + step])
        place, turn = place + step, turn + 1
        found += list(buffer)
    assert [base64.b64decode(json.loads(event.payload)["bytes"]) for event in found] == chunks
    assert all(event.headers[":event-type"] == "chunk" for event in found)


@given(st.sampled_from(IN_STREAM), st.text(max_size=80))
def test_exceptions_carry_their_type_and_message(code: str, message: str) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(exception_frame(refusal_for(code, message)))
    (event,) = buffer
    answer = event.to_response_dict()
    assert answer["status_code"] == 400  # botocore's own sign for an error within a stream
    assert answer["headers"][":exception-type"] == code[0].lower() + code[1:]
    assert json.loads(answer["body"])["message"] == (message or refusal_for(code).message)
