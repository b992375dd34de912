"""Responses as people save them: log and batch records, SDK output, streams, encodings; each opens to the same."""

from __future__ import annotations

import base64
import codecs
import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.completion import Completion
from lib.errors import BadReply
from lib.wire.encode import ChunkWriter, encode
from lib.wire.formats import Format
from lib.wire.saved import completions_of, read_saved
from lib.wire.streams import CUT_OFF
from tests.frames import chunk_event, frame
from tests.wire.strategies import completions, differences

CASES = Path(__file__).parent.parent / "data" / "cases"
REPLY = {
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
def test_a_response_however_it_was_saved(name: str) -> None:
    (done,) = opened((CASES / name).read_bytes())
    assert is_the_fox(done)
    assert done.warnings == ()


def _log(output: object, *, asked: bool = True) -> dict[str, Any]:
    body = json.loads((CASES / "02a-invocation-log.json").read_bytes())
    if not asked:
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
def test_a_stream_that_was_cut_off_says_so(how: str, chunks: list[bytes]) -> None:
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


def test_responses_on_lines_stay_apart() -> None:
    line = json.dumps(REPLY)
    assert len(opened(f"{line}\n{line}")) == 2
    text = json.loads((CASES / "05a-greedy-token-listed-instead-of-the-sampled.json").read_bytes())
    assert len(opened(f"{json.dumps(text)}\n{json.dumps(text)}")) == 2
    unfinished = '{"generation": "a"}\n{"generation": "b"}'
    assert [done.text for done in opened(unfinished)] == ["a", "b"]


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_answers_of_one_stream_may_alternate(data: st.DataObject) -> None:
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
def test_every_dress_opens_to_the_same(form: Format, data: st.DataObject) -> None:
    """The law of dresses: a response opens to what it opens to bare, whatever it was saved in."""
    done = data.draw(completions(form))
    reply = encode(done, form, prompt_logprobs=done.request is not None and done.request.prompt_scores)
    text = json.dumps(reply)
    (bare,) = opened(text)
    dress = data.draw(st.sampled_from(sorted(DRESSES)))
    (back,) = opened(DRESSES[dress](reply))
    back = Completion(**{**_fields(back), "request": bare.request, "model": bare.model})
    assert differences(back, bare) == {}, dress
    assert back.warnings == bare.warnings


def _fields(done: Completion) -> dict[str, Any]:
    return {name: getattr(done, name) for name in Completion.__dataclass_fields__}


def _spaced(reply: object) -> str:
    return json.dumps(reply, indent=2, ensure_ascii=False)


DRESSES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "spaced": lambda reply: _spaced(reply).encode("utf-8", "surrogatepass"),
    "UTF-8 with a mark": lambda reply: codecs.BOM_UTF8 + json.dumps(reply).encode(),
    **{
        name: lambda reply, name=name: json.dumps(reply).encode(name)  # type: ignore[misc]
        for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le")
    },
    "gzip": lambda reply: gzip.compress(json.dumps(reply).encode()),
    "a string": lambda reply: json.dumps(json.dumps(reply)).encode(),
    "what Python prints": lambda reply: repr(reply).encode("utf-8", "backslashreplace"),
    "printed bytes": lambda reply: repr(json.dumps(reply).encode()).encode(),
    "boto3 with its body": lambda reply: json.dumps(
        {"ResponseMetadata": {"HTTPStatusCode": 200}, "contentType": "application/json", "body": json.dumps(reply)}
    ).encode(),
    "the AWS CLI": lambda reply: json.dumps(reply).encode() + b'{\n    "contentType": "application/json"\n}\n',
    "a code fence": lambda reply: b"```json\n" + _spaced(reply).encode("utf-8", "replace") + b"\n```",
    "HTTP": lambda reply: b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(reply).encode(),
    "a line of a log": lambda reply: b"INFO response: " + json.dumps(reply).encode(),
    "an array of one": lambda reply: json.dumps([reply]).encode(),
    "a log record": lambda reply: json.dumps(_log(reply, asked=False)).encode(),
    "a log record as text": lambda reply: json.dumps(_log(json.dumps(reply), asked=False)).encode(),
    "CloudWatch": lambda reply: json.dumps(
        {
            "events": [{"timestamp": 1, "message": json.dumps(_log(reply, asked=False)), "eventId": "1"}],
            "searchedLogStreams": [],
        }
    ).encode(),
    "CloudWatch Insights": lambda reply: json.dumps(
        {"@timestamp": "1", "@message": json.dumps(_log(reply, asked=False))}
    ).encode(),
    "a batch record": lambda reply: json.dumps({"recordId": "1", "modelOutput": reply}).encode(),
    "reply": lambda reply: json.dumps({"reply": reply}).encode(),
    "one server-sent event": lambda reply: b"data: " + json.dumps(reply).encode() + b"\n\ndata: [DONE]\n\n",
}


@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_stream_opens_to_the_same(form: Format, data: st.DataObject) -> None:
    """Cut into chunks anywhere and saved in any way, a stream is the response that came in one piece."""
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
    (saved,) = read_saved(json.dumps(_log(REPLY, asked=False)).encode())
    assert saved.request is None
    assert saved.warnings == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("02c-invocation-log-s3-body.json", "in S3 at s3://example-logs/AWSLogs/123456789012/"),
        ("03a-converse-reply.json", "Converse, which returns no logprobs"),
        ("03c-batch-error-record.jsonl", "max_gen_len is out of range"),
    ],
)
def test_what_holds_no_response_is_named(name: str, said: str) -> None:
    with pytest.raises(BadReply, match=said) as raised:
        opened((CASES / name).read_bytes())
    assert raised.value.remedy


CONVERSE = json.loads((CASES / "03a-converse-reply.json").read_bytes())


@pytest.mark.parametrize(
    ("document", "said"),
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
def test_other_responses_and_errors_are_named(document: dict[str, Any], said: str) -> None:
    for data in (json.dumps(document), repr(document), f"\ufeff{json.dumps(document, indent=2)}"):
        with pytest.raises(BadReply, match=said) as raised:
            opened(data)
        assert raised.value.remedy


def test_printed_errors_are_named() -> None:
    told = "An error occurred (ValidationException) when calling the InvokeModel operation: max_gen_len is wrong"
    with pytest.raises(BadReply, match=r"ValidationException.*max_gen_len is wrong"):
        opened(told)
    with pytest.raises(BadReply, match="body was not read"):
        opened("{'ResponseMetadata': {}, 'body': <botocore.response.StreamingBody object at 0x7f>}")


def test_a_stream_that_ends_in_an_error_keeps_what_came() -> None:
    frames = [frame(chunk_event(each)) for each in CHUNKS[:2]]
    frames.append(frame(b'{"message": "Too many tokens"}', "throttlingException", "exception"))
    (done,) = opened(b"".join(frames))
    assert done.text == " over the"
    assert any("Too many tokens" in each for each in done.warnings)


def test_records_without_a_response_are_left_out_and_named() -> None:
    failed = json.loads((CASES / "03c-batch-error-record.jsonl").read_bytes())
    lines = [{"recordId": "1", "modelInput": REQUEST, "modelOutput": REPLY}, failed, {"modelOutput": REPLY}]
    found = opened("\n".join(map(json.dumps, lines)))
    assert all(map(is_the_fox, found))
    assert len(found) == 2
    assert "One record of the file holds no response." in found[0].warnings[0]
    assert "Line 2" in found[0].warnings[0]
    assert "max_gen_len is out of range" in found[0].warnings[0]
    assert found[1].warnings == ()
    with pytest.raises(BadReply, match=r"Line 1.*max_gen_len"):
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
    # In a pair of escapes nothing is lost.
    assert opened(b"\n".join([CHUNKS[0].replace(b" over", b"\\ud83d\\ude00"), *CHUNKS[1:]]))[0].text[0] == "😀"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (json.dumps(REPLY).encode("utf-16")[:-1], "UTF-16.*damaged"),
        (gzip.compress(json.dumps(REPLY).encode())[:-20][:30] + b"xx", "gzip|ends too early|not JSON"),
        ('{"generation": "é"}'.encode("latin-1"), "not UTF-8"),
        (frame(b"{}")[:-6], "ends before its first event"),
        (frame(b'{"bytes": "e30="}')[:-1] + b"x" + frame(b"{}"), "damaged"),
        (b"data: [DONE]\n\n", "without any JSON"),
        (b"{'generation': ", "not JSON"),
        (b"[" * 50_000 + b"]" * 50_000, "list|nested"),
        (b"{'a': " * 50_000 + b"1" + b"}" * 50_000, "not JSON|nested"),
    ],
)
def test_what_is_damaged_is_named(data: bytes, said: str) -> None:
    with pytest.raises(BadReply, match=said) as raised:
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
    with contextlib.suppress(BadReply):  # and nothing else
        opened(data)


def test_a_gzip_bomb_is_refused() -> None:
    with pytest.raises(BadReply, match="MB"):
        opened(gzip.compress(b" " * 120_000_000, 1))
