from __future__ import annotations

import pytest

from lib.errors import InvalidRequest
from lib.policy import Bedrock, Policy, is_loopback, policy_for
from lib.sources import BedrockModel


@pytest.mark.parametrize("address", ["127.0.0.1", "127.5.5.5", "::1", "[::1]", "localhost"])
def test_loopback_is_open(address: str) -> None:
    assert is_loopback(address)
    policy_for(address, {}).check("/any/path")
    policy_for(address, {"CANDOR_MODELS": "a"}).check("any/hub-id")


NAMES = ["example.org", "localhost.example.org", "127.0.0.1.example.org", "127.1", "2130706433", " "]


@pytest.mark.parametrize(
    "address",
    [None, "", "0.0.0.0", "::", "[::]", "192.168.0.1", "10.0.0.1", "8.8.8.8", "fe80::1", *NAMES],
)
def test_every_other_address_is_closed(address: str | None) -> None:
    assert not is_loopback(address)
    policy = policy_for(address, {})
    policy.check("embedded")
    for source in ("/etc", "meta/llama", "", "Embedded", "embedded "):
        with pytest.raises(InvalidRequest) as caught:
            policy.check(source)
        assert "CANDOR_MODELS" in caught.value.remedy


def test_the_operator_may_list_models() -> None:
    policy = policy_for("0.0.0.0", {"CANDOR_MODELS": " /models/a , org/b,, "})
    assert policy == Policy(open=False, allowed=("/models/a", "org/b"), bedrock=Bedrock.LISTED)
    policy.check("/models/a")
    policy.check("org/b")
    policy.check("embedded")
    for source in ("/models", "/models/a/../b", "/models/a/", "org", "org/b ", ""):
        with pytest.raises(InvalidRequest):
            policy.check(source)


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
