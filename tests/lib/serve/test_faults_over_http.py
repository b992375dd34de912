"""Every fault over HTTP, once for each format that can carry it."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    EventStreamError,
    ResponseStreamingError,
)
from urllib3.exceptions import ProtocolError

from lib.core.request import Message, Request
from lib.core.stream import fold
from lib.errors import ServiceError
from lib.serve.service_errors import ERRORS, IN_STREAM
from lib.wire.formats import Format
from tests.support.serve_clients import FORMATS, Served, bodies, model_of

METRICS = "amazon-bedrock-invocationMetrics"
_SENT = [name for name in ERRORS if name not in ("MissingAuthenticationTokenException", "UnknownOperationException")]


def asked(form: Format, **changes: Any) -> Request:
    chat = form is Format.CHAT
    values: dict[str, Any] = {"messages": (Message("user", "abc"),)} if chat else {"prompt": "abc"}
    return Request(**{**values, "max_tokens": 6, "k": 2, **changes})


@pytest.mark.parametrize("code", _SENT)
@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_every_error_with_its_status_and_name(served: Served, code: str, operation: str) -> None:
    served.faults({"kind": "error", "code": code, "operation": operation, "times": 1, "message": "as told"})
    call = served.invoke if operation == "invoke" else served.chunks
    with pytest.raises(ClientError) as raised:
        call(bodies(Format.BEDROCK))
    error = raised.value
    assert error.response["Error"]["Code"] == code
    assert error.response["Error"]["Message"] == "as told"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == ERRORS[code][0]
    modelled = getattr(served.runtime.exceptions, code, ClientError)
    assert isinstance(error, modelled)
    assert call(bodies(Format.BEDROCK))  # the next one goes through


@pytest.mark.parametrize("form", FORMATS)
def test_candor_names_every_error(served: Served, form: Format) -> None:
    served.faults({"kind": "error", "code": "ModelErrorException", "form": form.name})
    with pytest.raises(ServiceError) as raised:
        served.engine(form).complete(asked(form))
    assert raised.value.code == "ModelErrorException"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("code", IN_STREAM)
def test_an_exception_in_the_midst_of_a_stream(served: Served, form: Format, code: str) -> None:
    served.faults({"kind": "stream-error", "code": code, "after": 3})
    came = []
    with (
        served.stream(bodies(form, streamed=True, length=20), model_of(form)) as events,
        pytest.raises(EventStreamError) as raised,
    ):
        came.extend(events)
    assert len(came) == 3
    assert raised.value.response["Error"]["Code"] == code[0].lower() + code[1:]


@pytest.mark.parametrize("form", FORMATS)
def test_a_stream_cut_between_two_messages_ends_without_a_word(served: Served, form: Format) -> None:
    served.faults({"kind": "cut", "after": 3})
    assert len(served.chunks(bodies(form, streamed=True, length=20), model_of(form))) == 3
    (done,) = fold(served.engine(form).stream(asked(form, max_tokens=20, prompt_scores=form is Format.EARLY)))
    assert done.stop_reason == "incomplete"
    assert done.warnings


@pytest.mark.parametrize("where", ["within", "reset"])
def test_a_stream_cut_elsewhere(served: Served, where: str) -> None:
    served.faults({"kind": "cut", "after": 3, "where": where})
    came = []
    breaks = contextlib.nullcontext() if where == "within" else pytest.raises((ResponseStreamingError, ProtocolError))
    with served.stream(bodies(Format.BEDROCK, length=20)) as events, breaks:
        came.extend(events)
    assert len(came) == 3
    request = asked(Format.BEDROCK, max_tokens=20)
    if where == "within":
        (done,) = fold(served.engine(Format.BEDROCK).stream(request))
        assert done.stop_reason == "incomplete"
    else:
        with pytest.raises(ServiceError, match="dropped"):
            fold(served.engine(Format.BEDROCK).stream(request))


@pytest.mark.parametrize("form", FORMATS)
def test_a_whole_response_cut_off(served: Served, form: Format) -> None:
    served.faults({"kind": "cut", "after": 40, "operation": "invoke"})
    with pytest.raises(ServiceError, match="dropped"):
        served.engine(form).complete(asked(form))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("order", ["text", "numbers"])
def test_sorted_keys(served: Served, form: Format, order: str) -> None:
    (expected,) = served.engine(form).complete(asked(form))
    served.faults({"kind": "sorted", "order": order})
    response = served.invoke(bodies(form), model_of(form))
    assert list(response) == sorted(response)
    (done,) = served.engine(form).complete(asked(form))
    assert done.prompt == expected.prompt
    assert done.text == expected.text


@pytest.mark.parametrize("form", FORMATS)
def test_trimmed(served: Served, form: Format) -> None:
    served.faults({"kind": "trimmed"})
    response = served.invoke(bodies(form), model_of(form))
    assert all(value is not None for value in response.values())
    assert served.engine(form).complete(asked(form))[0].text
    chunks = served.chunks(bodies(form, streamed=True), model_of(form))
    assert all(value is not None for chunk in chunks for value in chunk.values())


@pytest.mark.parametrize("form", FORMATS)
def test_a_probability_of_zero(served: Served, form: Format) -> None:
    served.faults({"kind": "absent", "position": 4})
    for response in (
        served.invoke(bodies(form), model_of(form)),
        *served.chunks(bodies(form, streamed=True), model_of(form)),
    ):
        json.dumps(response, allow_nan=False)
    texts = [json.dumps(served.invoke(bodies(form), model_of(form)))]
    texts.append(json.dumps(served.chunks(bodies(form, streamed=True), model_of(form))))
    assert all("-9999.0" in text for text in texts)
    (done,) = served.engine(form).complete(asked(form))
    assert done.generated.logprobs[4] == -float("inf")


@pytest.mark.parametrize("form", FORMATS)
def test_missing_fields(served: Served, form: Format) -> None:
    field = "generation_token_count" if form.is_bedrock else "usage"
    served.faults({"kind": "missing", "field": field})
    assert field not in served.invoke(bodies(form), model_of(form))
    assert served.engine(form).complete(asked(form))[0].text
    served.faults({"kind": "missing", "field": "logprobs"})
    (done,) = served.engine(form).complete(asked(form))
    assert any("logprobs" in warning for warning in done.warnings)


@pytest.mark.parametrize("form", [Format.EARLY, Format.BEDROCK])
def test_an_end_without_a_reason(served: Served, form: Format) -> None:
    """The metrics say that the answer is complete; why it ended is unknown."""
    served.faults({"kind": "missing", "field": "stop_reason"})
    (whole,) = served.engine(form).complete(asked(form))
    (streamed,) = fold(served.engine(form).stream(asked(form)))
    assert (whole.stop_reason, streamed.stop_reason) == (None, None)
    assert (whole.text, streamed.warnings) == (streamed.text, ())


@pytest.mark.parametrize("form", FORMATS)
def test_odd_pieces(served: Served, form: Format) -> None:
    expected = served.invoke(bodies(form, length=2, k=1), model_of(form))
    served.faults({"kind": "splits", "size": 3})
    found = served.invoke(bodies(form, length=2, k=1), model_of(form))
    for response in (expected, found):
        for name in ("id", "created"):
            response.pop(name, None)
    assert found == expected
    assert served.chunks(bodies(form, streamed=True, length=2, k=1), model_of(form))[-1][METRICS]


@pytest.mark.parametrize("form", FORMATS)
def test_latency(served: Served, form: Format) -> None:
    served.faults({"kind": "latency", "seconds": 0.5, "between": 0.1})
    began = time.monotonic()
    served.invoke(bodies(form), model_of(form))
    assert time.monotonic() - began >= 0.5
    began = time.monotonic()
    with served.stream(bodies(form, streamed=True), model_of(form)) as events:
        times = [time.monotonic() - began for _ in events]
    assert times[0] >= 0.5
    assert times[-1] >= 0.5 + 0.1 * (len(times) - 1) - 0.02


def test_a_cold_model_and_a_client_that_waits(served: Served) -> None:
    patient, tries = served.client(attempts=12), []

    def sent(**_: Any) -> None:
        tries.append(1)
        if len(tries) == 2:
            served.faults()  # the model is loaded

    patient.meta.events.register("before-send.bedrock-runtime.InvokeModel", sent)
    served.faults({"kind": "cold-start", "seconds": 600})
    with pytest.raises(ClientError) as raised:
        served.invoke(bodies(Format.BEDROCK))
    assert raised.value.response["Error"]["Code"] == "ModelNotReadyException"
    with pytest.raises(ClientError, match="ModelNotReadyException"):
        served.chunks(bodies(Format.BEDROCK))
    answer = patient.invoke_model(modelId=served.arn(), body=json.dumps(bodies(Format.BEDROCK)))
    answer["body"].read()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1


def test_too_fast(served: Served) -> None:
    served.faults({"kind": "throttle", "rate": 0.001})
    served.invoke(bodies(Format.BEDROCK))
    with pytest.raises(ClientError, match="ThrottlingException"):
        served.invoke(bodies(Format.BEDROCK))
