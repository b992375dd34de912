from __future__ import annotations

import pytest

from lib.errors import InvalidRequest
from lib.policy import Policy, is_loopback, policy_for


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
    assert policy == Policy(open=False, allowed=("/models/a", "org/b"))
    policy.check("/models/a")
    policy.check("org/b")
    policy.check("embedded")
    for source in ("/models", "/models/a/../b", "/models/a/", "org", "org/b ", ""):
        with pytest.raises(InvalidRequest):
            policy.check(source)
