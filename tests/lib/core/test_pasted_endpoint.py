"""Pasted endpoints: every spelling gives the same endpoint, and anything else is named in the error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.access.places import check_endpoint
from lib.core.pasted_endpoint import as_endpoint
from lib.errors import InvalidRequest
from tests.support.paths import CASES

ADDRESSES = [line for line in (CASES / "23-endpoints.txt").read_text().splitlines() if not line.startswith("#")]


def read(pasted: str) -> tuple[str, InvalidRequest | None]:
    try:
        return as_endpoint(pasted), None
    except InvalidRequest as error:
        return "", error


@pytest.mark.parametrize("line", ADDRESSES)
def test_the_endpoints_of_the_case(line: str) -> None:
    assert as_endpoint(line) == {
        "127.0.0.1:9911": "http://127.0.0.1:9911",
        "localhost:9911": "http://localhost:9911",
        "http:/127.0.0.1:9911": "http://127.0.0.1:9911",
        "http://127.0.0.1:9911/ ": "http://127.0.0.1:9911",
    }.get(line, line)


@pytest.mark.parametrize(
    ("pasted", "endpoint"),
    [
        ("", ""),
        (" \n", ""),
        ("[::1]:9911", "http://[::1]:9911"),
        ("::1", "http://[::1]"),
        ("0.0.0.0:9911", "http://0.0.0.0:9911"),
        ("HTTP://LocalHost:9911/", "http://localhost:9911"),
        ("//127.0.0.1:9911", "http://127.0.0.1:9911"),
        ("http:\\\\127.0.0.1:9911", "http://127.0.0.1:9911"),
        ("http：//127.0.0.1：9911", "http://127.0.0.1:9911"),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:9911", "http://127.0.0.1:9911"),
        ("--endpoint-url 'http://127.0.0.1:9911'", "http://127.0.0.1:9911"),
        ('endpoint_url="http://127.0.0.1:9911",', "http://127.0.0.1:9911"),
        ("http://127.0.0.1:9911/model/arn%3Aaws/invoke", "http://127.0.0.1:9911"),
        ("http://127.0.0.1:9911/v1/chat/completions", "http://127.0.0.1:9911"),
        ("http://127.0.0.1:9911/v1/", "http://127.0.0.1:9911"),
        ("https://gateway.example.com/v1", "https://gateway.example.com/v1"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("vpce-1.bedrock-runtime.cn-north-1.vpce.amazonaws.com.cn:8443", "https://vpce-1.bedrock-runtime.cn-north-1.vpce.amazonaws.com.cn:8443"),
        ("gateway.example.com", "https://gateway.example.com"),
        ("http://gateway.example.com/bedrock/", "http://gateway.example.com/bedrock"),
        ("https://例え.jp", "https://xn--r8jz45g.jp"),
    ],
)  # fmt: skip
def test_endpoints_as_they_are_pasted(pasted: str, endpoint: str) -> None:
    assert as_endpoint(pasted) == endpoint
    check_endpoint(endpoint)


@pytest.mark.parametrize(
    ("pasted", "what", "remedy"),
    [
        ("gpu-box:9911", "no scheme", "http:// or https://"),
        ("192.168.1.5:9911", "no scheme", "http:// or https://"),
        ("gateway.example.com:8443", "no scheme", "http:// or https://"),
        ("us-east-1", "a region", "under Region"),
        ("arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123def456", "an ARN", "ARN of the imported model"),
        ("s3://bucket", "s3://", "http://127.0.0.1:9911"),
        ("https://us-east-1.console.aws.amazon.com/bedrock", "AWS console", "empty"),
        ("http://me:secret-word@host", "password", "Remove"),
        ("http://host?x=1", "not an endpoint", "http://127.0.0.1:9911"),
        ("http://local_bedrock:9911", "not an endpoint", "hyphens"),
        ("http://127.0.0.1:99999", "not an endpoint", "http://127.0.0.1:9911"),
        ("http://[::1", "not an endpoint", "http://127.0.0.1:9911"),
        ("http://", "not an endpoint", "http://127.0.0.1:9911"),
        ("http://exa mple", "not an endpoint", "http://127.0.0.1:9911"),
    ],
)
def test_endpoints_that_are_none(pasted: str, what: str, remedy: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        as_endpoint(pasted)
    assert what in raised.value.cause
    assert remedy in raised.value.remedy
    assert "secret-word" not in str(raised.value)


_HOSTS = st.sampled_from(["127.0.0.1", "127.8.8.8", "localhost", "[::1]", "bedrock.localhost"])
_WRITTEN = st.sampled_from(["{}", "http://{}", "HTTP://{}", "http:/{}", "http:{}", "//{}", "http://{}/", "{}/", "{}//"])
_AROUND = st.sampled_from(["{}", " {} ", "'{}'", '"{}"', "“{}”", "<{}>", "{}\n", "\u200b{}", "{},", "\ufeff{}"])


@given(host=_HOSTS, port=st.none() | st.integers(1, 65_535), written=_WRITTEN, around=_AROUND)
def test_any_spelling_of_this_machine_is_http(host: str, port: int | None, written: str, around: str) -> None:
    place = host if port is None else f"{host}:{port}"
    assert as_endpoint(around.format(written.format(place))) == f"http://{place}"


@given(st.text() | st.text(alphabet="https:/.[]@0123456789abc-_%?# \n"))
def test_whatever_is_pasted_is_an_endpoint_or_refused(pasted: str) -> None:
    endpoint, error = read(pasted)
    if error is not None:
        assert error.remedy
    elif endpoint:
        assert as_endpoint(endpoint) == endpoint
        assert endpoint.startswith(("http://", "https://"))
