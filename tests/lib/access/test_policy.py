"""Which models visitors may use, by where the server listens and who can reach it."""

from __future__ import annotations

from typing import Any

import pytest

from lib.access.policy import Bedrock, Policy, is_forwarded, policy_for
from lib.core.sources import EMBEDDED, TUNED, BedrockModel, LocalModel
from lib.errors import InvalidRequest
from lib.hosts import is_loopback


@pytest.mark.parametrize("address", ["127.0.0.1", "127.5.5.5", "::1", "[::1]", "localhost"])
def test_loopback_is_open(address: str) -> None:
    assert is_loopback(address)
    policy_for(address, {}).check(LocalModel("/any/path"))
    policy_for(address, {"CANDOR_MODELS": "a"}).check(LocalModel("any/hub-id"))


NAMES = ["example.org", "localhost.example.org", "127.0.0.1.example.org", "127.1", "2130706433", " "]


@pytest.mark.parametrize(
    "address",
    [None, "", "0.0.0.0", "::", "[::]", "192.168.0.1", "10.0.0.1", "8.8.8.8", "fe80::1", *NAMES],
)
def test_every_other_address_is_closed(address: str | None) -> None:
    assert not is_loopback(address)
    policy = policy_for(address, {})
    policy.check(EMBEDDED)
    policy.check(TUNED)
    for source in ("/etc", "meta/llama", "", "Embedded", "embedded "):
        with pytest.raises(InvalidRequest) as caught:
            policy.check(LocalModel(source))
        assert "CANDOR_MODELS" in caught.value.remedy


def test_the_operator_may_list_models() -> None:
    policy = policy_for("0.0.0.0", {"CANDOR_MODELS": " /models/a , org/b,, "})
    assert policy == Policy(open=False, allowed=("/models/a", "org/b"), bedrock=Bedrock.LISTED)
    policy.check(LocalModel("/models/a"))
    policy.check(LocalModel("org/b"))
    policy.check(EMBEDDED)
    policy.check(TUNED)
    for source in ("/models", "/models/a/../b", "/models/a/", "org", "org/b ", ""):
        with pytest.raises(InvalidRequest):
            policy.check(LocalModel(source))


ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234"


def test_on_loopback_any_model_of_bedrock_may_be_asked() -> None:
    policy_for("127.0.0.1", {}).check(BedrockModel(ARN, profile="mine", endpoint="http://127.0.0.1:1", tokenizer="/t"))


def test_elsewhere_only_those_that_the_account_lists() -> None:
    policy = policy_for("0.0.0.0", {})
    policy.check(BedrockModel(ARN), listed=(ARN,))
    with pytest.raises(InvalidRequest, match="CANDOR_BEDROCK=any"):
        policy.check(BedrockModel(ARN))
    policy_for("0.0.0.0", {"CANDOR_MODELS": ARN, "CANDOR_BEDROCK": "off"}).check(BedrockModel(ARN))


def test_arns_by_hand_where_the_operator_allows_it() -> None:
    policy = policy_for("0.0.0.0", {"CANDOR_BEDROCK": "any"})
    policy.check(BedrockModel(ARN))
    for other in ({"profile": "admin"}, {"endpoint": "http://10.0.0.1"}, {"tokenizer": "/etc"}):
        with pytest.raises(InvalidRequest):
            policy.check(BedrockModel(ARN, **other), listed=(ARN,))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_bedrock_switched_off(address: str) -> None:
    policy = policy_for(address, {"CANDOR_BEDROCK": "off"})
    with pytest.raises(InvalidRequest):
        policy.check(BedrockModel(ARN), listed=(ARN,))


def test_a_word_that_means_nothing() -> None:
    with pytest.raises(InvalidRequest, match="off, listed, any"):
        policy_for("127.0.0.1", {"CANDOR_BEDROCK": "yes"})
    with pytest.raises(InvalidRequest, match="CANDOR_PUBLIC is 'yes'"):
        policy_for("127.0.0.1", {"CANDOR_PUBLIC": "yes"})


@pytest.mark.parametrize(
    ("environ", "others"),
    [
        ({"CANDOR_PUBLIC": "1"}, {}),
        ({}, {"signs_in": True}),
        ({}, {"forwarded": True}),
        ({}, {"names": ("localhost", "candor.example.org")}),
        ({}, {"names": ("192.168.0.7",)}),
        ({}, {"names": ("*",)}),
        ({}, {"names": (".example.org",)}),
    ],
)
def test_loopback_alone_does_not_make_a_server_open(environ: dict[str, str], others: dict[str, Any]) -> None:
    policy = policy_for("127.0.0.1", environ, **others)
    assert not policy.open
    assert policy.bedrock is Bedrock.LISTED
    with pytest.raises(InvalidRequest):
        policy.check(LocalModel("/any/path"))


def test_a_server_that_is_alone_is_open() -> None:
    assert policy_for("127.0.0.1", {"CANDOR_PUBLIC": "0"}, names=("127.0.0.1", "localhost", "::1")).open


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "forwarded", "Via", "X-Real-IP", "x-forwarded-proto", "X-FORWARDED-HOST"]
)
def test_requests_that_a_proxy_has_passed_on_are_known(name: str) -> None:
    assert is_forwarded({"Host": "localhost", name: "x"})
    assert not is_forwarded({"Host": "localhost", "Cookie": name})


ELSEWHERE = ["anthropic.claude-opus", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/x", "", "x" * 3_000]


@pytest.mark.parametrize("arn", ELSEWHERE)
def test_any_is_any_imported_model_and_nothing_else(arn: str) -> None:
    """Other models have other prices than the caps assume."""
    public = policy_for("0.0.0.0", {"CANDOR_BEDROCK": "any"})
    public.check(BedrockModel(ARN))
    with pytest.raises(InvalidRequest, match="does not call that Bedrock model"):
        public.check(BedrockModel(arn))
    policy_for("0.0.0.0", {"CANDOR_MODELS": arn or "x"}).check(BedrockModel(arn or "x"))


def test_aws_is_asked_only_where_its_list_decides() -> None:
    model = BedrockModel(ARN)
    for word, expected in (("off", False), ("listed", True), ("any", False)):
        assert policy_for("0.0.0.0", {"CANDOR_BEDROCK": word}).needs_list(model) is expected
    assert not policy_for("0.0.0.0", {"CANDOR_MODELS": ARN}).needs_list(model)
    assert not policy_for("127.0.0.1", {}).needs_list(model)


def test_arns_are_listed_however_they_are_spelled() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc123def456"
    other = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abc123def456"
    for spelled in (arn, f'"{arn}"', f"bedrock/llama/{arn}", arn.replace(":", "%3A")):
        listed = {"CANDOR_MODELS": f"{spelled}, org/model, /models/mine, {other}"}
        assert policy_for("127.0.0.1", listed).allowed == (arn, "org/model", "/models/mine", other)
