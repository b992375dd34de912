"""Responses as people save them: log and batch records, SDK output, streams, encodings; all open to the same."""

from __future__ import annotations

import base64
import codecs
import contextlib
import gzip
import json
import pickle
import pprint
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.core.completion import Completion
from lib.errors import BadResponse
from lib.wire.encode import ChunkWriter, encode
from lib.wire.envelopes import contents
from lib.wire.formats import Format
from lib.wire.saved_responses import completions_of, read_saved
from lib.wire.scan import values
from lib.wire.stream_decoder import CUT_OFF
from tests.support.event_stream import chunk_event, frame
from tests.support.paths import CASES
from tests.support.wire_strategies import completions, differences

RESPONSE = {
    "generation": " over the lazy dog",
    "prompt_token_count": 6,
    "generation_token_count": 4,
    "stop_reason": "length",
    "logprobs": [{"927": -0.0409}, {"279": -0.0729}, {"16053": -0.0201}, {"5679": -0.0377}],
}
REQUEST = {"prompt": "The quick brown fox jumps", "max_gen_len": 8, "temperature": 0.5, "return_logprobs": True}
CHUNKS = (CASES / "19a-bedrock-chunks.jsonl").read_bytes().splitlines()
CHAT_CHUNKS = [
    line.removeprefix(b"data: ")
    for line in (CASES / "19c-chat-chunks.sse.txt").read_bytes().splitlines()
    if line.startswith(b"data: {")
]


def opened(data: bytes | str) -> list[Completion]:
    return list(completions_of(read_saved(data.encode() if isinstance(data, str) else data), None))


def is_the_fox(done: Completion) -> bool:
    return (
        done.text == " over the lazy dog"
        and done.stop_reason == "length"
        and done.generated.ids.tolist() == [927, 279, 16053, 5679]
        and np.allclose(done.generated.logprobs, [-0.0409, -0.0729, -0.0201, -0.0377])
    )


def is_blue(done: Completion) -> bool:
    tokens = [done.pieces.text_of(int(ref)) for ref in done.generated.refs]
    return done.text == "It is blue." and tokens == ["It", " is", " blue", "."]


@pytest.mark.parametrize(
    "name",
    [
        "02a-invocation-log.json",
        "19a-bedrock-chunks.jsonl",
        "20a-utf16le-with-bom.json",
        "20d-aws-cli-stdout.txt",
        "20e-python-repr.txt",
    ],
)
def test_a_response_saved_in_different_ways(name: str) -> None:
    (done,) = opened((CASES / name).read_bytes())
    assert is_the_fox(done)
    assert done.warnings == ()


def _log(output: object, *, request: bool = True) -> dict[str, Any]:
    body = json.loads((CASES / "02a-invocation-log.json").read_bytes())
    if not request:
        del body["input"]["inputBodyJson"]
    body["output"]["outputBodyJson"] = output
    return dict(body)


# Every way of saving the chunks of a stream.
STREAMS: dict[str, Callable[[list[bytes]], bytes]] = {
    "one per line": b"\n".join,
    "one per line, Windows": b"\r\n".join,
    "an array": lambda chunks: b"[" + b",\n".join(chunks) + b"]",
    "one after another": lambda chunks: b"".join(json.dumps(json.loads(each), indent=1).encode() for each in chunks),
    "server-sent events": lambda chunks: b"".join(b"data: " + each + b"\n\n" for each in chunks) + b"data: [DONE]\n\n",
    "events with names": lambda chunks: b"".join(b"event: chunk\r\ndata:" + each + b"\r\n\r\n" for each in chunks),
    "events without blank lines": lambda chunks: b"".join(b"data: " + each + b"\n" for each in chunks),
    "base64": lambda chunks: b"\n".join(
        json.dumps({"chunk": {"bytes": base64.b64encode(each).decode()}}).encode() for each in chunks
    ),
    "base64 in an array": lambda chunks: json.dumps(
        [{"chunk": {"bytes": base64.b64encode(each).decode()}} for each in chunks]
    ).encode(),
    "what Python prints": lambda chunks: "\n".join(str({"chunk": {"bytes": each}}) for each in chunks).encode(),
    "a printed list": lambda chunks: str([json.loads(each) for each in chunks]).encode(),
    "an event stream": lambda chunks: b"".join(frame(chunk_event(each)) for each in chunks),
    "frames as text": lambda chunks: b"\x00garbage".join(
        frame(chunk_event(each)).decode("latin-1").encode() for each in [*chunks]
    ),
    "a log, each with its time": lambda chunks: b"".join(
        b"2026-01-01T00:00:00Z INFO " + each + b"\n" for each in chunks
    ),
    "indented events": lambda chunks: b"".join(b"    data: " + each + b"\n\n" for each in chunks),
    "events in a log": lambda chunks: b"\n".join(b"INFO data: " + each for each in chunks),
    "events of many lines": lambda chunks: b"".join(
        b"".join(b"data: " + line + b"\n" for line in _spaced(json.loads(each)).encode().splitlines()) + b"\n"
        for each in chunks
    ),
    "printed lines of bytes": lambda chunks: b"\n\n".join(repr(b"data: " + each).encode() for each in chunks),
    "printed lines of text": lambda chunks: "\n".join(repr(each.decode()) for each in chunks).encode(),
    "a list of strings": lambda chunks: json.dumps([f"data: {each.decode()}" for each in chunks]).encode(),
    "strings, one per line": lambda chunks: "\n".join(json.dumps(each.decode()) for each in chunks).encode(),
    "byte objects of Node": lambda chunks: "\n".join(
        json.dumps({"chunk": {"bytes": {str(place): value for place, value in enumerate(each)}}}) for each in chunks
    ).encode(),
    "buffers of Node": lambda chunks: json.dumps(
        [{"chunk": {"bytes": {"type": "Buffer", "data": list(each)}}} for each in chunks]
    ).encode(),
    "base64 with parts of events": lambda chunks: "\n".join(
        json.dumps({"PayloadPart": {"Bytes": base64.b64encode(b"data: " + each + b"\n\n").decode()}}) for each in chunks
    ).encode(),
    "events as the body of a record": lambda chunks: json.dumps(
        {"request": REQUEST, "body": b"".join(b"data: " + each + b"\n\n" for each in chunks).decode()}
    ).encode(),
    "a log record": lambda chunks: json.dumps(_log([json.loads(each) for each in chunks])).encode(),
    "a response with its request": lambda chunks: json.dumps(
        {"request": REQUEST, "response": [json.loads(each) for each in chunks]}
    ).encode(),
}


@pytest.mark.parametrize("how", STREAMS)
def test_a_saved_stream_is_one_answer(how: str) -> None:
    (done,) = opened(STREAMS[how](CHUNKS))
    assert is_the_fox(done)
    assert CUT_OFF not in done.warnings
    (done,) = opened(STREAMS[how](CHAT_CHUNKS))
    assert is_blue(done)
    assert CUT_OFF not in done.warnings


@pytest.mark.parametrize("how", STREAMS)
@pytest.mark.parametrize("chunks", [CHUNKS, CHAT_CHUNKS], ids=["bedrock", "chat"])
def test_a_truncated_stream_has_a_warning(how: str, chunks: list[bytes]) -> None:
    (done,) = opened(STREAMS[how](chunks[:3]))
    assert CUT_OFF in done.warnings
    assert " over the lazy".startswith(done.text) or "It is".startswith(done.text)


def test_several_streams_in_one_file() -> None:
    both = b"\n".join([*CHUNKS, *CHUNKS, *CHAT_CHUNKS])
    first, second, third = opened(both)
    assert is_the_fox(first)
    assert is_the_fox(second)
    assert is_blue(third)
    two = b"\n".join([*CHAT_CHUNKS, *(each.replace(b"chatcmpl-1", b"chatcmpl-2") for each in CHAT_CHUNKS)])
    assert all(map(is_blue, opened(two)))
    assert len(opened(two)) == 2


def test_responses_on_separate_lines_stay_separate() -> None:
    line = json.dumps(RESPONSE)
    assert len(opened(f"{line}\n{line}")) == 2
    text = json.loads((CASES / "05a-greedy-token-listed-instead-of-the-sampled.json").read_bytes())
    assert len(opened(f"{json.dumps(text)}\n{json.dumps(text)}")) == 2
    unfinished = '{"generation": "a"}\n{"generation": "b"}'
    assert [done.text for done in opened(unfinished)] == ["a", "b"]


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_answers_of_a_stream_may_be_interleaved(data: st.DataObject) -> None:
    chunks = []
    for number in range(3):
        own = []
        for line in CHAT_CHUNKS:
            chunk = json.loads(line)
            for choice in chunk["choices"]:
                choice["index"] = number
            own.append(json.dumps(chunk).encode())
        chunks.append(own)
    places = data.draw(st.permutations([number for number in range(3) for _ in CHAT_CHUNKS]))
    found = opened(b"\n".join(chunks[number].pop(0) for number in places))
    assert len(found) == 3
    assert all(map(is_blue, found))


FORMATS = list(Format)


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_envelope_opens_to_the_same_completion(form: Format, data: st.DataObject) -> None:
    """A response in any envelope opens to the same completion as the bare response."""
    done = data.draw(completions(form))
    response = encode(done, form, prompt_logprobs=done.request is not None and done.request.prompt_scores)
    text = json.dumps(response)
    (bare,) = opened(text)
    envelope = data.draw(st.sampled_from(sorted(ENVELOPES)))
    (back,) = opened(ENVELOPES[envelope](response))
    back = Completion(**{**_fields(back), "request": bare.request, "model": bare.model})
    assert differences(back, bare) == {}, envelope
    assert back.warnings == bare.warnings


def _fields(done: Completion) -> dict[str, Any]:
    return {name: getattr(done, name) for name in Completion.__dataclass_fields__}


def _spaced(response: object) -> str:
    return json.dumps(response, indent=2, ensure_ascii=False)


ENVELOPES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "spaced": lambda response: _spaced(response).encode("utf-8", "surrogatepass"),
    "UTF-8 with a mark": lambda response: codecs.BOM_UTF8 + json.dumps(response).encode(),
    **{
        name: lambda response, name=name: json.dumps(response).encode(name)  # type: ignore[misc]
        for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le")
    },
    "gzip": lambda response: gzip.compress(json.dumps(response).encode()),
    "a string": lambda response: json.dumps(json.dumps(response)).encode(),
    "what Python prints": lambda response: repr(response).encode("utf-8", "backslashreplace"),
    "printed bytes": lambda response: repr(json.dumps(response).encode()).encode(),
    "boto3 with its body": lambda response: json.dumps(
        {"ResponseMetadata": {"HTTPStatusCode": 200}, "contentType": "application/json", "body": json.dumps(response)}
    ).encode(),
    "the AWS CLI": lambda response: json.dumps(response).encode() + b'{\n    "contentType": "application/json"\n}\n',
    "a code fence": lambda response: b"```json\n" + _spaced(response).encode("utf-8", "replace") + b"\n```",
    "HTTP": lambda response: (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(response).encode()
    ),
    "a line of a log": lambda response: b"INFO response: " + json.dumps(response).encode(),
    "an array of one": lambda response: json.dumps([response]).encode(),
    "a log record": lambda response: json.dumps(_log(response, request=False)).encode(),
    "a log record as text": lambda response: json.dumps(_log(json.dumps(response), request=False)).encode(),
    "CloudWatch": lambda response: json.dumps(
        {
            "events": [{"timestamp": 1, "message": json.dumps(_log(response, request=False)), "eventId": "1"}],
            "searchedLogStreams": [],
        }
    ).encode(),
    "CloudWatch Insights": lambda response: json.dumps(
        {"@timestamp": "1", "@message": json.dumps(_log(response, request=False))}
    ).encode(),
    "a batch record": lambda response: json.dumps({"recordId": "1", "modelOutput": response}).encode(),
    "response": lambda response: json.dumps({"response": response}).encode(),
    "HTTP with a header of JSON": lambda response: (
        b'HTTP/2 200\r\nnel: {"success_fraction":0}\r\n\r\n' + json.dumps(response).encode()
    ),
    "what curl says": lambda response: (
        b"< HTTP/1.1 200 OK\n{ [300 bytes data]\n" + json.dumps(response).encode() + b"\n* Connection left intact\n200"
    ),
    "a fence within text": lambda response: (
        b"Here it is:\n```json\n" + json.dumps(response).encode() + b"\n```\nand so on"
    ),
    "after an error": lambda response: (
        b"An error occurred (ThrottlingException) when calling it\nretrying\n" + json.dumps(response).encode()
    ),
    "after a line like an event": lambda response: b"x\ndata: see below\n" + json.dumps(response).encode(),
    "a table of tabs": lambda response: (
        b"EVENTS\t1\t1\t" + json.dumps(_log(response, request=False)).encode() + b"\tstream\n"
    ),
    "CSV": lambda response: (
        b'@timestamp,@message\r\nx,"' + json.dumps(_log(response, request=False)).replace('"', '""').encode() + b'"\r\n'
    ),
    "rows of Insights": lambda response: json.dumps(
        {
            "results": [
                [
                    {"field": "@timestamp", "value": "2026-01-01"},
                    {"field": "@message", "value": json.dumps(_log(response, request=False))},
                    {"field": "@ptr", "value": "x"},
                ]
            ],
            "status": "Complete",
        }
    ).encode(),
    "a subscription": lambda response: json.dumps(
        {
            "messageType": "DATA_MESSAGE",
            "logEvents": [{"id": "1", "message": json.dumps(_log(response, request=False))}],
        }
    ).encode(),
    "a subscription, packed": lambda response: json.dumps(
        {"awslogs": {"data": base64.b64encode(gzip.compress(ENVELOPES["a subscription"](response))).decode()}}
    ).encode(),
    "escaped, in a field of a log": lambda response: (
        b"level=info body=" + json.dumps(json.dumps(response)).encode() + b" n=1"
    ),
    "escaped, without its quotes": lambda response: json.dumps(json.dumps(response)).encode()[1:-1],
    "printed bytes in a log": lambda response: b"INFO body=" + repr(json.dumps(response).encode()).encode(),
    "printed text in a log": lambda response: b"INFO body=" + repr(json.dumps(response)).encode(),
    "pprint": lambda response: (
        b">>> pprint(response)\n" + pprint.pformat(response, sort_dicts=False).encode("utf-8", "backslashreplace")
    ),
    "no-break spaces": lambda response: (
        _spaced(response).replace("\n  ", "\n\N{NO-BREAK SPACE} ").encode("utf-8", "surrogatepass")
    ),
    "a file of two members": lambda response: gzip.compress(b" ") + gzip.compress(json.dumps(response).encode()),
    "a batch record of OpenAI": lambda response: json.dumps(
        {"id": "1", "custom_id": "1", "response": {"status_code": 200, "body": response}, "error": None}
    ).encode(),
    "a buffer": lambda response: json.dumps(
        {"body": {"type": "Buffer", "data": list(json.dumps(response).encode())}}
    ).encode(),
    "a byte object": lambda response: json.dumps(
        {str(place): value for place, value in enumerate(json.dumps(response).encode())}
    ).encode(),
    "a list of bytes": lambda response: json.dumps(list(json.dumps(response).encode())).encode(),
    "Lambda": lambda response: json.dumps(
        {"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(json.dumps(response).encode()).decode()}
    ).encode(),
    "a client's text": lambda response: json.dumps({"status": 200, "text": json.dumps(response)}).encode(),
    "outputs": lambda response: json.dumps({"inputs": {"messages": []}, "outputs": response}).encode(),
    "results": lambda response: json.dumps({"results": [response]}).encode(),
    "a record with much else": lambda response: json.dumps(
        {"embedding": [0.1], "message": {"role": "user", "content": "a"}, "error": None, "response": response}
    ).encode(),
    "a trace": lambda response: json.dumps({"observations": [{"name": "x", "output": response}]}).encode(),
    "a recording of HTTP": lambda response: json.dumps(
        {"log": {"entries": [{"response": {"status": 200, "content": {"text": json.dumps(response)}}}]}}
    ).encode(),
    "one server-sent event": lambda response: b"data: " + json.dumps(response).encode() + b"\n\ndata: [DONE]\n\n",
}


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_stream_opens_to_the_same_completion(form: Format, data: st.DataObject) -> None:
    """A stream, cut into chunks anywhere and saved in any way, opens to the same answer as the whole response."""
    done = data.draw(completions(form).filter(lambda each: len(each.generated) > 0))
    writer = ChunkWriter(done, form, top=1)
    chunks = [*writer.opening()]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(done.generated)), max_size=3)) | {len(done.generated)})
    place = 0
    for cut in cuts:
        last = cut == len(done.generated)
        text = done.text if last else ""
        chunks.append(writer.chunk(done.generated[place:cut], text, done.stop_reason if last else None))
        place = cut
    bodies = [json.dumps(chunk).encode() for chunk in chunks]
    how = data.draw(st.sampled_from(sorted(STREAMS)))
    found = opened(STREAMS[how](bodies))
    assert len(found) == 1, how
    assert (found[0].text, found[0].stop_reason) == (done.text, done.stop_reason)
    assert len(found[0].generated) == len(done.generated)
    scores = np.where(np.isneginf(done.generated.logprobs), np.nan, done.generated.logprobs)
    own = np.where(np.isneginf(found[0].generated.logprobs), np.nan, found[0].generated.logprobs)
    known = ~np.isnan(own)
    assert np.allclose(own[known], scores[known])


def test_log_records_keep_their_request_and_model() -> None:
    (saved,) = read_saved((CASES / "02a-invocation-log.json").read_bytes())
    assert saved.request is not None
    assert saved.request.prompt == "The quick brown fox jumps"
    assert saved.request.max_tokens == 8
    assert saved.model == "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123def456"
    line = json.dumps(json.loads((CASES / "02a-invocation-log.json").read_bytes()))
    assert [each.place for each in read_saved(f"{line}\n{line}".encode())] == ["Line 1", "Line 2"]
    (saved,) = read_saved(json.dumps(_log(RESPONSE, request=False)).encode())
    assert saved.request is None
    assert saved.warnings == ()


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("02c-invocation-log-s3-body.json", "in S3 at s3://example-logs/AWSLogs/123456789012/"),
        ("03a-converse-reply.json", "Converse, which returns no logprobs"),
        ("03c-batch-error-record.jsonl", "max_gen_len is out of range"),
    ],
)
def test_a_file_without_a_response_gets_a_specific_error(name: str, cause: str) -> None:
    with pytest.raises(BadResponse, match=cause) as raised:
        opened((CASES / name).read_bytes())
    assert raised.value.remedy


CONVERSE = json.loads((CASES / "03a-converse-reply.json").read_bytes())


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        (_log(CONVERSE), "Converse"),
        (_log([{"messageStart": {"role": "assistant"}}, {"contentBlockDelta": {"delta": {"text": "a"}}}]), "Converse"),
        (_log([]), "list of chunks is empty"),
        ({"recordId": "1", "modelInput": {}, "error": {"errorCode": 400, "errorMessage": "too long"}}, "too long"),
        ({"recordId": "1", "modelInput": {}, "modelOutput": None, "error": {"errorCode": 424}}, "424"),
        ({"Error": {"Code": "ThrottlingException", "Message": "slow down"}, "ResponseMetadata": {}}, "slow down"),
        ({"error": "no such model"}, "no such model"),
        ({"error": {"message": "bad", "type": "invalid_request_error"}}, "bad"),
        ({"schemaType": "ModelInvocationLog", "input": {}, "errorCode": "AccessDeniedException"}, "AccessDenied"),
        (
            {"type": "message", "role": "assistant", "content": [], "usage": {}, "id": "x", "stop_reason": "end_turn"},
            "Anthropic",
        ),
        ({"model": "m", "created_at": "t", "response": "hi", "done": True}, "Ollama"),
        ({"generated_text": "x", "details": {}}, "Text Generation Inference"),
        ({"content": "x", "completion_probabilities": []}, "llama.cpp"),
        ({"results": [], "inputTextTokenCount": 4}, "Titan"),
    ],
)
def test_other_apis_and_errors_are_recognized(document: dict[str, Any], cause: str) -> None:
    for data in (json.dumps(document), repr(document), f"\ufeff{json.dumps(document, indent=2)}"):
        with pytest.raises(BadResponse, match=cause) as raised:
            opened(data)
        assert raised.value.remedy


def test_printed_errors_are_recognized() -> None:
    printed = "An error occurred (ValidationException) when calling the InvokeModel operation: max_gen_len is wrong"
    with pytest.raises(BadResponse, match=r"ValidationException.*max_gen_len is wrong"):
        opened(printed)
    with pytest.raises(BadResponse, match="body was not read"):
        opened("{'ResponseMetadata': {}, 'body': <botocore.response.StreamingBody object at 0x7f>}")


def test_a_stream_that_ends_in_an_error_keeps_its_partial_answer() -> None:
    frames = [frame(chunk_event(each)) for each in CHUNKS[:2]]
    frames.append(frame(b'{"message": "Too many tokens"}', "throttlingException", "exception"))
    (done,) = opened(b"".join(frames))
    assert done.text == " over the"
    assert any("Too many tokens" in each for each in done.warnings)


def test_records_without_a_response_are_skipped_with_a_warning() -> None:
    failed = json.loads((CASES / "03c-batch-error-record.jsonl").read_bytes())
    lines = [{"recordId": "1", "modelInput": REQUEST, "modelOutput": RESPONSE}, failed, {"modelOutput": RESPONSE}]
    found = opened("\n".join(map(json.dumps, lines)))
    assert all(map(is_the_fox, found))
    assert len(found) == 2
    assert "One record of the file holds no response." in found[0].warnings[0]
    assert "Line 2" in found[0].warnings[0]
    assert "max_gen_len is out of range" in found[0].warnings[0]
    assert found[1].warnings == ()
    with pytest.raises(BadResponse, match=r"Line 1.*max_gen_len"):
        opened("\n".join(map(json.dumps, [failed, failed])))


def test_the_responses_api() -> None:
    (done,) = opened((CASES / "03b-responses-api-reply.json").read_bytes())
    assert (done.text, done.stop_reason, done.model) == ("Hi there", "stop", "m")
    assert [done.pieces.text_of(int(ref)) for ref in done.generated.refs] == ["Hi", " there"]
    assert done.generated.logprobs.tolist() == pytest.approx([-0.2, -0.9])
    whole = json.loads((CASES / "03b-responses-api-reply.json").read_bytes())
    events = [
        {"type": "response.created", "response": {"id": "resp_1", "object": "response", "output": []}},
        {"type": "response.output_text.delta", "delta": "Hi", "logprobs": []},
        {"type": "response.completed", "response": whole},
    ]
    stream = "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events)
    (streamed,) = opened(stream)
    assert differences(streamed, done) == {}
    whole["status"], whole["incomplete_details"] = "incomplete", {"reason": "max_output_tokens"}
    assert opened(json.dumps(whole))[0].stop_reason == "length"


def test_lone_surrogates_become_replacement_characters() -> None:
    (done,) = opened((CASES / "20b-lone-surrogate.json").read_bytes())
    assert done.text == "ok \N{REPLACEMENT CHARACTER}"
    assert done.generated.logprobs.tolist() == pytest.approx([-0.1, -0.4])
    chunks = [CHUNKS[0].replace(b" over", b" over\\ud83d"), *CHUNKS[1:]]
    assert opened(b"\n".join(chunks))[0].text == " over\N{REPLACEMENT CHARACTER} the lazy dog"
    # A surrogate pair is a whole character.
    assert opened(b"\n".join([CHUNKS[0].replace(b" over", b"\\ud83d\\ude00"), *CHUNKS[1:]]))[0].text[0] == "😀"


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (json.dumps(RESPONSE).encode("utf-16")[:-1], "UTF-16.*damaged"),
        (gzip.compress(json.dumps(RESPONSE).encode())[:-20][:30] + b"xx", "gzip|ends too early|not JSON"),
        ('{"generation": "é"}'.encode("latin-1"), "not UTF-8"),
        (frame(b"{}")[:-6], "ends before its first event"),
        (frame(b'{"bytes": "e30="}')[:-1] + b"x" + frame(b"{}"), "damaged"),
        (b"data: [DONE]\n\n", "without any JSON"),
        (b"{'generation': ", "not JSON"),
        (b"[" * 50_000 + b"]" * 50_000, "list|nested"),
        (b"{'a': " * 50_000 + b"1" + b"}" * 50_000, "not JSON|nested"),
    ],
)
def test_damaged_files_get_a_specific_error(data: bytes, cause: str) -> None:
    with pytest.raises(BadResponse, match=cause) as raised:
        opened(data)
    assert raised.value.remedy


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_open_or_are_refused(data: bytes) -> None:
    _opened_or_refused(data)


@given(st.sampled_from(sorted(STREAMS)), st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_opens_or_is_refused(how: str, data: st.DataObject) -> None:
    saved = bytearray(STREAMS[how](CHUNKS))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(saved) - 1))
        saved[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _opened_or_refused(bytes(saved))


def _opened_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadResponse):  # and nothing else
        opened(data)


def test_a_gzip_bomb_is_refused() -> None:
    with pytest.raises(BadResponse, match="MB"):
        opened(gzip.compress(b" " * 120_000_000, 1))


TEXT = 'a\n"b" c\'s \\ \\n é 😀\N{NO-BREAK SPACE}{"generation": NaN} None\ttrue'


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_every_envelope_of_a_text_that_looks_like_code(envelope: str) -> None:
    (done,) = opened(ENVELOPES[envelope](RESPONSE))
    assert is_the_fox(done)
    assert done.warnings == ()
    (done,) = opened(ENVELOPES[envelope]({"generation": TEXT, "stop_reason": "stop", "logprobs": [{"5": -0.5}]}))
    assert done.text == TEXT


@pytest.mark.parametrize("how", STREAMS)
def test_every_stream_of_a_text_that_looks_like_code(how: str) -> None:
    chunks = [{"generation": TEXT, "logprobs": [{"5": -0.5}], "generation_token_count": 1}]
    chunks.append({"generation": TEXT, "logprobs": [{"5": -0.5}], "generation_token_count": 2, "stop_reason": "stop"})
    (done,) = opened(STREAMS[how]([json.dumps(chunk).encode() for chunk in chunks]))
    assert done.text == TEXT + TEXT


def _chunk(text: str, end: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chat chunk with at most one token."""
    content = [{"token": text, "logprob": -0.5, "bytes": list(text.encode()), "top_logprobs": []}] if text else []
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": end, "logprobs": {"content": content}}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]} | fields


GOOD = [_chunk(""), _chunk("It"), _chunk(" is"), _chunk("", "stop")]
FILTERED = {"id": "", "choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}}]}


def _events(chunks: list[dict[str, Any]]) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


def _text_and_tokens(done: Completion) -> tuple[str, list[str]]:
    return done.text, [done.pieces.text_of(int(ref)) for ref in done.generated.refs]


@pytest.mark.parametrize(
    "chunks",
    [
        [{"id": "", "choices": [], "prompt_filter_results": []}, *GOOD],
        [*GOOD, _chunk("", usage={"completion_tokens": 2})],
        [*GOOD, {"id": "c1", "choices": [], "usage": {"completion_tokens": 2}}],
        [*GOOD, FILTERED],
        [*GOOD[:2], FILTERED, *GOOD[2:]],
        [each | {"id": f"c{number}"} for number, each in enumerate(GOOD)],
        [GOOD[0] | {"id": None}, *GOOD[1:]],
        [GOOD[0] | {"id": ""}, *GOOD[1:]],
        [each | {"id": 7} for each in GOOD],
        [_chunk(""), _chunk("It", ""), _chunk(" is", ""), _chunk("", "stop")],
    ],
    ids=["filter first", "counts last", "counts alone", "filter last", "filter between", "an id each", "null first",
         "empty first", "numbers", "empty reasons"],
)  # fmt: skip
def test_streams_of_other_servers(chunks: list[dict[str, Any]]) -> None:
    (done,) = opened(_events(chunks))
    assert _text_and_tokens(done) == ("It is", ["It", " is"])
    assert done.stop_reason == "stop"
    assert CUT_OFF not in done.warnings


def test_streams_in_a_log_are_separated_by_their_ids() -> None:
    lines = [_chunk(text, id=name) for text in ("It", " is") for name in ("a", "b", "c")]
    lines += [_chunk("", "stop", id=name) for name in ("c", "a", "b")]
    found = opened("\n".join(map(json.dumps, lines)))
    assert [_text_and_tokens(done) for done in found] == [("It is", ["It", " is"])] * 3
    assert all(CUT_OFF not in done.warnings for done in found)


def test_chunks_in_a_log_with_an_id_each_are_one_stream() -> None:
    (done,) = opened("\n".join(json.dumps(each | {"id": f"c{number}"}) for number, each in enumerate(GOOD)))
    assert _text_and_tokens(done) == ("It is", ["It", " is"])


def test_truncated_streams_stay_separate() -> None:
    broken = [_chunk("It", id="a"), _chunk(" is", id="a")]
    first, second = opened(_events([*broken, *(each | {"id": "b"} for each in GOOD)]))
    assert CUT_OFF in first.warnings
    assert CUT_OFF not in second.warnings


def test_one_truncated_answer_among_several_has_a_warning() -> None:
    chunks = [_chunk("It"), _chunk("It"), _chunk("", "stop"), _chunk(" is")]
    for number, chunk in zip((0, 1, 0, 1), chunks, strict=True):
        chunk["choices"][0]["index"] = number
    first, second = opened(_events(chunks))
    assert (first.text, second.text) == ("It", "It is")
    assert CUT_OFF in first.warnings


def test_chunks_with_and_without_alternatives() -> None:
    def text_chunk(text: str, top: Any, end: str | None = None) -> dict[str, Any]:
        logprobs = {"tokens": [text], "token_logprobs": [-0.5], "top_logprobs": top}
        choice = {"index": 0, "text": text, "finish_reason": end, "logprobs": logprobs}
        return {"id": "c", "object": "text_completion", "choices": [choice]}

    (done,) = opened(_events([text_chunk("It", None), text_chunk(" is", [{" is": -0.5, " was": -2}], "stop")]))
    assert _text_and_tokens(done) == ("It is", ["It", " is"])
    assert (done.generated.top_refs >= 0).sum(axis=1).tolist() == [0, 1]
    bare = [_chunk("It"), _chunk(" is", "stop")]
    for chunk in bare:
        chunk["choices"][0]["logprobs"] = chunk["choices"][0]["logprobs"]["content"]
    assert _text_and_tokens(opened(_events(bare))[0]) == ("It is", ["It", " is"])


def test_a_response_and_its_closing_chunk() -> None:
    (done,) = opened(json.dumps(RESPONSE) + "\n" + json.dumps({"amazon-bedrock-invocationMetrics": {}}))
    assert is_the_fox(done)
    text = {"id": "c", "object": "text_completion", "choices": [{"text": "a", "finish_reason": "length"}], "usage": {}}
    closing = {"id": "c", "object": "text_completion", "choices": [], "usage": {"completion_tokens": 1}}
    assert [done.text for done in opened(json.dumps(text) + "\n" + json.dumps(closing))] == ["a"]


LINE = json.dumps(RESPONSE)
FAILED = {"schemaType": "ModelInvocationLog", "errorCode": "ThrottlingException", "input": {}}


@pytest.mark.parametrize(
    ("data", "answers", "cause"),
    [
        (f"{LINE}\n{LINE}\n{LINE[:50]}", 2, "Line 3: This JSON ends too early"),
        (f"{LINE}\n{LINE[:-40]}\n{LINE}", 2, "Line 2: This"),
        (f"{LINE}\n{LINE[:20]}\n{LINE}", 2, "Line 2: A line break cuts this JSON"),
        (f"{LINE[10:]}\n{LINE}", 1, "Line 1: The beginning of this record is missing"),
        (f"{LINE[10:]}{LINE}", 1, "Line 1: The beginning of this record is missing"),
        (f"{LINE}\n\n{LINE[10:]}\n", 1, "Line 3: The beginning of this record is missing"),
        (f"{LINE}\n{LINE[:9]}\n{LINE}", 2, "Line 2: A line break cuts this JSON"),
        (f"[{LINE},{LINE},{LINE[:40]}", 2, "Entry 3: This JSON ends too early"),
        (f"{LINE}\n" + LINE.replace("-0.0409", "Infinity"), 1, "Line 2: The response holds Infinity"),
        (f'{LINE}\n{{"generation": 5}}', 1, "Line 2: The response doesn't match"),
        (f'{{"generation": 5}}\n{LINE}', 1, "Line 1: The response doesn't match"),
        (f'{LINE}\n{{"error":{{"message":"boom"}}}}', 1, "Line 2: This is an error, not a response: boom"),
        (f'{{"level":"info","msg":"start"}}\n{LINE}', 1, "Line 1: This is JSON, but not a"),
        ('{"prompt": "a",\n "max_gen_len": 4}\n' + LINE, 1, "Line 1: This is a request"),
        (json.dumps({"events": [{"message": json.dumps(FAILED)}, {"message": LINE}]}), 1, "Event 1: This is an error"),
        (json.dumps({"events": [{"message": LINE}, {"message": "START RequestId: 1"}]}), 1, "Event 2.*plain text"),
        (json.dumps(_log({"embedding": [0.1]})) + "\n" + LINE, 1, "Line 1.*an embedding model"),
        (json.dumps(_log([{"type": "message_start", "message": {}}])) + "\n" + LINE, 1, "Line 1.*Anthropic"),
        (json.dumps({"data": [RESPONSE, {"error": "boom"}]}), 1, "Entry 2.*boom"),
        (f"{LINE}\n{{'generation': open('x')", 1, "Line 2: .*Python output, and it ends too early"),
        ("HTTP/1.1 200\n" + LINE + "\n" + '{"a":' * 5000, 1, "Line 3.*nested too deeply"),
    ],
)  # fmt: skip
def test_one_bad_record_leaves_the_others_readable(data: str, answers: int, cause: str) -> None:
    found = opened(data)
    assert len(found) == answers
    assert all(map(is_the_fox, found))
    assert re.search(f"One record of the file holds no response. {cause}", " ".join(found[0].warnings))


def test_a_file_that_ends_within_a_chunk() -> None:
    whole = STREAMS["server-sent events"](CHAT_CHUNKS)
    for end in range(whole.index(b" is") + 50, len(whole) - 20, 37):
        (done,) = opened(whole[:end])
        assert "It is blue.".startswith(done.text)
        assert (CUT_OFF in done.warnings) == (done.stop_reason is None)
        assert not any("record" in warning for warning in done.warnings)


def test_a_gzip_file_with_several_members() -> None:
    assert len(opened(gzip.compress(f"{LINE}\n".encode()) * 3)) == 3
    with pytest.raises(BadResponse, match="Other bytes follow"):
        opened(gzip.compress(LINE.encode()) + b"x")


def test_responses_within_text_have_line_numbers() -> None:
    text = f"Q: first\nA: {LINE}\n\nQ: second\n```json\n{LINE}\n```\n{{not this}} [nor this]\n{LINE}"
    saved = read_saved(text.encode())
    assert [each.place for each in saved] == ["Line 2", "Line 6", "Line 9"]
    assert all(each.warnings == () for each in saved)
    assert [each.place for each in read_saved(f"[{LINE},\n\n{LINE}]".encode())] == ["Entry 1", "Entry 2"]
    events = json.dumps({"events": [{"message": LINE}, {"message": LINE}]}).encode()
    assert [each.place for each in read_saved(events)] == ["Event 1", "Event 2"]
    assert len(opened(f"\ufeff{LINE}\n\ufeff{LINE}")) == 2
    assert len(opened(LINE * 3)) == 3


def test_a_shell_quoted_argument_is_not_unescaped() -> None:
    (done,) = opened("curl -d '" + json.dumps({"generation": "a\\nb"}) + "'")
    assert done.text == "a\\nb"


def test_python_output_with_constructor_calls() -> None:
    printed = (
        "{'generation': 'a' ' b', 'at': datetime.datetime(2026, 1, 1, tzinfo=tzutc()), 'stop_reason': None,"
        " 'logprobs': [{'5': np.float64(-0.25)}, {7: tensor(-0.5, device='cpu')}, {'8': -inf}]}"
    )
    (done,) = opened(printed)
    assert done.text == "a b"
    assert done.generated.ids.tolist() == [5, 7, 8]
    assert done.generated.logprobs.tolist() == [-0.25, -0.5, float("-inf")]


def test_the_events_of_the_responses_api() -> None:
    delta = {"type": "response.output_text.delta", "logprobs": [{"token": "Hi", "logprob": -0.1}], "delta": "Hi"}
    created = {"type": "response.created", "response": {"object": "response", "status": "in_progress", "output": []}}
    (done,) = opened(_events([created, delta, delta | {"logprobs": None, "delta": "!"}]))
    assert done.text == "Hi!"
    assert CUT_OFF in done.warnings
    whole = {"object": "response", "status": "completed", "output": []}
    refusal = {"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}
    closing = {"type": "response.completed", "response": whole | {"output": [refusal]}}
    body = json.loads(contents(_events([created, delta, closing]).encode()).parts[0].body)
    assert body["choices"][0]["message"]["refusal"] == "No."
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"message": "boom"}}}
    for data in (_events([created, failed]), json.dumps({"object": "response"} | failed["response"])):
        with pytest.raises(BadResponse, match="boom"):
            opened(data)
    with pytest.raises(BadResponse, match="status is queued"):
        opened(json.dumps({"object": "response", "status": "queued", "error": None}))


@pytest.mark.parametrize(
    ("data", "cause", "next_step"),
    [
        (
            "ChatCompletion(id='x', choices=[Choice(index=0, logprobs=ChoiceLogprobs(content=[]))])",
            "client library",
            "model_dump_json",
        ),
        ("ChatCompletionChunk(id='x', choices=[])\nChatCompletionChunk(id='x')", "client library", "model_dump_json"),
        ("ModelResponse(id='x', choices=[Choices(finish_reason='stop')])", "client library", "model_dump_json"),
        ("ResponseTextDeltaEvent(content_index=0, delta='Hi')", "client library", "model_dump_json"),
        ("[RequestOutput(request_id=0, logprobs=[{5: Logprob(logprob=-0.1)}])]", "Python library", "JSON"),
        ("OrderedDict([('generation', 'a')])", "Python library", "JSON"),
        ("<Response [200]>", "body was not read", "read"),
        ("<!DOCTYPE html><html><head><title>502 Bad Gateway</title>", "web page.*502 Bad Gateway", "address"),
        (
            '<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Denied</Message></Error>',
            "AccessDenied: Denied",
            "answer",
        ),
        (LINE.replace('"', "\N{LEFT DOUBLE QUOTATION MARK}"), "typographic", "Copy"),
        ("{\n  generation: ' over',\n  logprobs: [ [Object] ]\n}", "console.log", "JSON.stringify"),
        (LINE.replace("over the", "over\nthe"), "line break", "terminal"),
        (json.dumps(RESPONSE | {"logprobs": ["@{927=-0.0409}"]}), "PowerShell", "Depth 100"),
        (json.dumps(RESPONSE | {"logprobs": "System.Object[]"}), "PowerShell", "Depth 100"),
        (json.dumps({"recordId": "1", "modelInput": {"prompt": "a"}}), "a batch job's input", "jsonl.out"),
        (json.dumps({"custom_id": "1", "method": "POST", "url": "/", "body": {}}), "a batch job's input", "job wrote"),
        (json.dumps({"totalRecordCount": 1, "processedRecordCount": 1}), "summary of a batch job", "jsonl.out"),
        (json.dumps({"prompt": "a", "max_gen_len": 4}), "a request", "answer"),
        (json.dumps({"messages": [], "model": "m"}), "a request", "answer"),
        (json.dumps({"content": "a", "stop": True, "tokens_predicted": 3}), "llama.cpp", "logprobs"),
        (
            _events(
                [{"content": "a", "stop": False, "index": 0}, {"content": "", "stop": True, "tokens_predicted": 1}]
            ),
            "llama.cpp",
            "logprobs",
        ),
        (json.dumps({"text": "a", "meta_info": {}}), "SGLang", "logprobs"),
        (json.dumps({"candidates": []}), "Gemini", "logprobs"),
        (json.dumps({"generations": [{"text": "a"}], "prompt": "x"}), "Cohere", "logprobs"),
        (
            json.dumps(
                {"id": "x", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": []}, "usage": {}}
            ),
            "Cohere",
            "logprobs",
        ),
        (json.dumps({"content": "a", "response_metadata": {}}), "LangChain", "before"),
        (
            _events([{"type": "message_start", "message": {}}, {"type": "content_block_delta", "delta": {}}]),
            "Anthropic",
            "logprobs",
        ),
        (json.dumps({"object": "list", "data": [{"embedding": [1]}]}), "embedding", "answer"),
        (
            json.dumps({"output": {"outputBodyJson": {"completion": " a", "stop_reason": "stop_sequence"}}}),
            "Anthropic",
            "logprobs",
        ),
        (json.dumps({"cells": [], "nbformat": 4}), "Jupyter", "Copy"),
        (json.dumps({"prompt_logprobs": [None], "logprobs": [{"1": ["a", 0.5]}]}), "decode command", "response"),
        (
            json.dumps({"version": "1.0", "added_tokens": [], "pre_tokenizer": None, "model": {}}),
            "a tokenizer",
            "tokenizer",
        ),
        (json.dumps({"architectures": ["x"], "model_type": "llama"}), "a model's configuration", "answer"),
        (json.dumps({"prompt": "x", "response": "Paris."}), "plain text", "JSON"),
        (json.dumps({"events": [], "searchedLogStreams": []}), "list of events is empty", "Widen the filter"),
        (
            json.dumps({"custom_id": "1", "response": {"body": {"error": {"message": "bad"}}}, "error": None}),
            "bad",
            "answer",
        ),
        (b"PK\x03\x04" + bytes(100), "zip archive", "Unpack"),
        (b"\xfd7zXZ\x00" + bytes(100), "xz file", "Unpack"),
        (b"BZh91AY" + bytes(100), "bzip2", "Unpack"),
        (gzip.compress(bytes(257) + b"ustar" + bytes(100)), "tar archive", "Unpack"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "PNG", "JSON"),
        (b"SQLite format 3\x00", "SQLite", "JSON"),
        (b"PAR1\x00\x01", "Parquet", "JSON"),
        (pickle.dumps(RESPONSE), "pickle", "JSON"),
        (pickle.dumps("x", 2), "pickle", "JSON"),
        (b"\xde\xad\xbe\xef", "not text in UTF-8", "JSON"),
    ],
)
def test_files_without_a_response_get_a_cause_and_a_remedy(data: str | bytes, cause: str, next_step: str) -> None:
    with pytest.raises(BadResponse, match=cause) as raised:
        opened(data)
    assert next_step in raised.value.remedy


def test_events_without_text_are_refused() -> None:
    for events in ([{"type": "response.created", "response": {}}], [{"type": "response.output_item.added"}]):
        with pytest.raises(BadResponse, match="holds no response"):
            opened(_events(events))


def test_too_many_documents_are_refused() -> None:
    for data in (b"{}" * 100_001, b"[" + b"{}," * 100_001 + b"{}]", b'{"events":[' + b"{}," * 100_001 + b"{}]}"):
        with pytest.raises(BadResponse, match="more than 100,000 documents"):
            opened(data)
    with pytest.raises(BadResponse, match="more than 1,000 answers"):
        opened(_events([_chunk("a") | {"choices": [{"index": n, "delta": {}} for n in range(1001)]}] * 2))


def test_msgspec_reports_where_an_object_ends() -> None:
    """The scanner relies on the byte positions in msgspec's error messages."""
    for text, end in ((b'{"a":1}{', 7), (b'{"a":1}  x', 7), (b'{"a":{}}}', 8), (b'{"a":"}"}\n"', 9)):
        (first, *_) = values(text)
        assert (first.data, first.end) == (text[:end], end)
    (broken,) = values(b'{"a": Infinity}')
    assert "Infinity" in str(broken.problem)
