"""The Bedrock engine: real boto3 against a server on loopback."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from lib.core.completion import Completion
from lib.core.request import Message, Request
from lib.core.sources import BedrockModel
from lib.core.stream import fold
from lib.core.tokens import NO_TOKENS, make_tokens
from lib.engines.base import CallContext, complete, window_of
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.remote.retry import RetryPolicy
from lib.errors import BadResponse, Cancelled, InvalidRequest, ModelUnavailable, ServiceError
from lib.jobs.engine_pool import Engines
from lib.wire.encode import ChunkWriter, encode
from lib.wire.formats import Format, asked_top
from lib.wire.saved_responses import decoded
from tests.support import paths
from tests.support.loopback import Canned
from tests.support.project import project
from tests.support.wire_strategies import tokenizer

ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234"
FOX = json.loads(paths.FOX.read_text())


def engine(url: str, **fields: object) -> BedrockEngine:
    return BedrockEngine(BedrockModel(ARN, endpoint=url, **fields), tokenizer())  # type: ignore[arg-type]


def answer(request: Request) -> Completion:
    """A prompt of the tiny tokenizer, answered with "in the" and a stop token; a more likely token at each position."""
    reader = tokenizer()
    ids = np.array(reader.readings(request)[0], np.int32)
    pieces = reader.vocabulary.pieces
    written = np.array([*reader.encode("in the"), 256], np.int32)

    def scored(ids: np.ndarray, first: int, kinds: np.ndarray) -> object:
        n = len(ids)
        logprobs = np.full(n, -0.5, np.float32)
        ranks, top = np.full(n, 2, np.int32), np.full((n, 2), np.nan, np.float32)
        top[:] = [-0.25, -0.5]
        refs = np.stack([np.full(n, 65), ids], 1).astype(np.int32)
        logprobs[:first], ranks[:first], top[:first], refs[:first] = np.nan, -1, np.nan, -1
        return make_tokens(
            pieces, ids, logprobs=logprobs, ranks=ranks, top_refs=refs, top_logprobs=top, kinds=kinds.astype(np.uint8)
        )

    kinds = np.where(pieces.special[ids], 1, 0)
    ends = np.append(np.zeros(len(written) - 1), 2)
    prompt, generated = scored(ids, 1, kinds), scored(written, 0, ends)
    return Completion(request, ARN, prompt, generated, "in the", "stop")  # type: ignore[arg-type]


@pytest.mark.parametrize("form", [Format.EARLY, Format.BEDROCK, Format.OPENAI, Format.CHAT])
def test_every_format_whole(canned: Canned, url: str, form: Format) -> None:
    chat = form is Format.CHAT
    request = Request(prompt=None if chat else "the x", messages=(Message("user", "x"),) if chat else (), k=2)
    done = answer(request)
    canned.response = encode(done, form)
    (back,) = engine(url, form=form.name).complete(request)
    expected = project(done, form, request, tokenizer())
    assert back.prompt == expected.prompt
    assert back.generated == expected.generated
    assert (back.text, back.stop_reason, back.model, back.warnings) == ("in the", "stop", ARN, ())
    assert canned.paths == [f"/model/{ARN}/invoke"]
    assert "seed" not in canned.bodies[0]


@pytest.mark.parametrize("form", [Format.EARLY, Format.BEDROCK, Format.OPENAI, Format.CHAT])
def test_every_format_streamed(canned: Canned, url: str, form: Format) -> None:
    chat = form is Format.CHAT
    request = Request(
        prompt=None if chat else "the x", messages=(Message("user", "x"),) if chat else (), k=2, prompt_scores=False
    )
    done = answer(request)
    writer = ChunkWriter(done, form, top=asked_top(form, 2))
    ends = [*range(len(done.generated) - 1), len(done.generated)]
    texts = ["", "in", " t", "he", "", ""]
    canned.chunks = list(writer.opening())
    for place, end in enumerate(ends[1:], 1):
        canned.chunks.append(writer.chunk(done.generated[ends[place - 1] : end], texts[place], None))
    canned.chunks.append(writer.chunk(None, "", "stop"))
    (back,) = fold(engine(url, form=form.name).stream(request))
    expected = project(done, form, request, tokenizer())
    alone, wanted = (replace(each, prompt=NO_TOKENS).generated for each in (back, expected))
    assert alone == wanted
    assert (back.text, back.stop_reason) == ("in the", "stop")
    assert canned.paths == [f"/model/{ARN}/invoke-with-response-stream"]
    assert "prompt_logprobs" not in canned.bodies[0]


def test_prompt_logprobs_need_a_response_in_one_piece(canned: Canned, url: str) -> None:
    request = Request(prompt="the x", k=2)
    canned.response = encode(answer(request), Format.OPENAI)
    (back,) = fold(engine(url).stream(request))
    assert canned.paths == [f"/model/{ARN}/invoke"]
    assert canned.bodies[0]["prompt_logprobs"] == 2
    assert not np.isnan(back.prompt.logprobs[1:]).any()


def test_a_truncated_stream_keeps_its_tokens_and_warns(canned: Canned, url: str) -> None:
    request = Request(prompt="the x", k=2, prompt_scores=False)
    done = answer(request)
    canned.chunks = [ChunkWriter(done, Format.OPENAI, top=2).chunk(done.generated[:1], "in")]
    (back,) = fold(engine(url).stream(request))
    assert (back.text, back.stop_reason) == ("in", "incomplete")
    assert any("ended before" in warning for warning in back.warnings)


def test_an_exception_within_a_stream(canned: Canned, url: str) -> None:
    request = Request(prompt="the x", k=2, prompt_scores=False)
    done = answer(request)
    canned.chunks = [
        ChunkWriter(done, Format.OPENAI, top=2).chunk(done.generated[:1], "in"),
        ("throttlingException", "slow down"),
    ]
    stream = engine(url).stream(request)
    assert next(stream).start is not None
    with pytest.raises(ServiceError, match="too many requests") as raised:
        list(stream)
    assert raised.value.code == "ThrottlingException"


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (403, "AccessDeniedException", "may not call"),
        (404, "ResourceNotFoundException", "no such model"),
        (400, "ValidationException", "AWS says: prompt is empty"),
        (403, "ExpiredTokenException", "expired"),
        (403, "UnrecognizedClientException", "doesn't know"),
        (424, "ModelErrorException", "failed"),
        (418, "TeapotException", "TeapotException"),
    ],
)
def test_service_errors_have_a_cause_and_a_remedy(canned: Canned, url: str, status: int, code: str, cause: str) -> None:
    canned.error = (status, f"{code}:http://internal.amazon.com/", "prompt is empty")
    with pytest.raises(ServiceError, match=cause) as raised:
        engine(url).complete(Request(prompt="x"))
    assert raised.value.remedy
    assert "secret-example" not in str(raised.value)


def test_local_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceError, match="No region"):
        BedrockEngine(BedrockModel("my-model")).complete(Request(prompt="x"))
    with pytest.raises(ServiceError, match="no such AWS profile"):
        BedrockEngine(BedrockModel(ARN, profile="nobody")).complete(Request(prompt="x"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ServiceError, match="no AWS credentials"):
        engine("http://127.0.0.1:1").complete(Request(prompt="x"))


def test_the_import_date_decides_the_format() -> None:
    prompt, chat = Request(prompt="x"), Request(messages=(Message("user", "x"),))
    for day, expected in ((None, Format.OPENAI), (date(2025, 9, 1), Format.EARLY), (date(2025, 12, 1), Format.OPENAI)):
        assert engine("http://127.0.0.1:1", imported=day).wire_format(prompt) is expected
    assert engine("http://127.0.0.1:1").wire_format(chat) is Format.CHAT
    with pytest.raises(InvalidRequest, match="before 2025-07-31"):
        engine("http://127.0.0.1:1", imported=date(2025, 7, 1)).wire_format(prompt)


def test_a_waiting_stream_can_be_closed(canned: Canned, url: str) -> None:
    canned.hold = threading.Event()
    stream = engine(url).stream(Request(prompt="x"))
    threading.Timer(0.2, stream.close).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        next(stream)
    assert time.monotonic() - began < 5
    canned.hold.set()


def test_candidates_are_scored(canned: Canned, url: str) -> None:
    request = Request(prompt="the", k=2)
    whole = answer(Request(prompt="the in", k=2))
    canned.response = encode(whole, Format.OPENAI)
    (done,) = engine(url).score(request, [" in"])
    assert (done.origin, done.text) == ("scored", " in")
    assert done.pieces.select(done.generated.refs).data.tobytes() == b" in"
    assert canned.bodies[0]["prompt"] == "the in"


def test_the_published_response_through_the_engine(canned: Canned, url: str) -> None:
    canned.response = FOX["response"]
    model = BedrockModel(ARN, endpoint=url, form="EARLY")
    from tests.lib.wire.test_saved_responses import llama3

    request = Request(prompt="The quick brown fox jumps", max_tokens=50, temperature=0.5, stop=(".", "\n"))
    (done,) = BedrockEngine(model, llama3()).complete(request)
    assert decoded(done) == FOX["decoded"]


def test_the_pool_opens_bedrock_engines_too(canned: Canned, url: str) -> None:
    engines = Engines(lambda source: BedrockEngine(source), most=1)
    found = [engines.get(BedrockModel(ARN, endpoint=url, profile="")) for _ in range(3)]
    assert found[0] is found[2]


LISTED = "Invalid request body. Available for this model: BedrockMetaCompletionRequest"


def test_wrongly_assumed_formats_are_corrected_by_the_refusal(canned: Canned, url: str) -> None:
    """If the model was not probed before, the refusal of the first call lists its formats, and the call is repeated."""
    request = Request(prompt="the x", k=2)
    canned.refuse = lambda body: (400, "ValidationException", LISTED) if "max_tokens" in body else None
    canned.response = encode(answer(request), Format.BEDROCK)
    asked = engine(url)
    assert asked.wire_format(request) is Format.OPENAI
    (done,) = asked.complete(request)
    assert dict(done.provenance)["format"] == str(Format.BEDROCK)
    assert asked.wire_format(request) is Format.BEDROCK
    assert [sorted(body) for body in canned.bodies] == [
        sorted(["prompt", "max_tokens", "temperature", "top_p", "logprobs", "prompt_logprobs"]),
        sorted(["prompt", "max_gen_len", "temperature", "top_p", "return_logprobs"]),
    ]
    with pytest.raises(InvalidRequest, match="take chats"):
        asked.complete(Request(messages=(Message("user", "x"),)))


def test_a_format_set_by_the_user_is_kept(canned: Canned, url: str) -> None:
    canned.error = (400, "ValidationException", LISTED)
    with pytest.raises(ServiceError, match="Available for this model"):
        engine(url, form="OPENAI").complete(Request(prompt="x"))
    assert len(canned.bodies) == 1


def test_an_empty_response_is_retried(canned: Canned, url: str) -> None:
    """Models have been seen to return one while they were loading."""
    canned.response = {"stop_reason": None}
    request = Request(prompt="the x", k=2)
    retry_policy = RetryPolicy(cold_timeout=20, cold_delays=(0.01, 0.02))
    model = BedrockModel(ARN, endpoint=url, form="OPENAI")
    with closing(BedrockEngine(model, tokenizer(), retry_policy=retry_policy)) as asked:
        notes: list[str] = []

        def on_note(note: str) -> None:
            notes.append(note)
            if len(notes) == 2:
                canned.response = encode(answer(request), Format.OPENAI)

        complete(asked, request, CallContext(on_note=on_note))
    assert "is being loaded" in notes[0]
    assert len(notes) == 2


def test_an_unreadable_response_is_not_lost(canned: Canned, url: str) -> None:
    """It has been paid for."""
    canned.response = {"choices": [{"text": "in", "logprobs": {"tokens": "no list"}}], "padding": "x" * 2000}
    with pytest.raises(BadResponse) as raised:
        engine(url).complete(Request(prompt="the x"))
    assert json.loads(raised.value.data) == canned.response


def test_an_unknown_format_is_refused_with_a_remedy() -> None:
    """A run stored by another version may have one."""
    with closing(engine("http://127.0.0.1:1", form="NO_SUCH_FORMAT")) as asked:
        request = Request(prompt="the", prefix_ids=(1,))
        for ask in (
            lambda: asked.complete(replace(request, prefix_ids=())),
            lambda: asked.complete(request),
            lambda: asked.score(request, [" in"]),
            lambda: asked.encode_continuation(request, " in"),
            lambda: list(asked.warm_up()),
        ):
            with pytest.raises(InvalidRequest, match="'NO_SUCH_FORMAT'") as raised:
                ask()
            assert "Choose a format" in raised.value.remedy
        assert "'NO_SUCH_FORMAT'" in asked.continuation_obstacle(request)


def test_the_window_is_what_came_with_the_tokenizer(url: str) -> None:
    model = BedrockModel(ARN, endpoint=url)
    assert window_of(BedrockEngine(model), wait=True) is None, "no tokenizer"
    assert window_of(BedrockEngine(model, tokenizer()), wait=True) is None, "it doesn't say"
    found = window_of(BedrockEngine(model, replace(tokenizer(), context=512)), wait=False)
    assert found is not None
    assert found.context == 512
    assert found.count(Request(prompt="the x")) == 1 + len(tokenizer().encode("the x")), "with BOS"
    assert found.count(Request(messages=(Message("user", "x"),))) > 1
    untold = window_of(BedrockEngine(model, replace(tokenizer(), context=512, render=None)), wait=False)
    assert untold is not None
    with pytest.raises(ModelUnavailable):
        untold.count(Request(messages=(Message("user", "x"),)))
