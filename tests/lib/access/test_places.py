"""Connections use only what a visitor chose, and never a link-local endpoint."""

from __future__ import annotations

import pytest

from lib.access.places import Places
from lib.access.policy import Policy
from lib.core.sources import AwsTarget
from lib.errors import InvalidRequest

LOCAL = AwsTarget("us-east-1", endpoint="http://127.0.0.1:9911")


def _places(*, is_open: bool) -> Places:
    return Places(lambda: Policy(is_open))


@pytest.mark.parametrize(
    ("place", "tokenizer"),
    [(LOCAL, ""), (AwsTarget(profile="admin"), ""), (AwsTarget("us-east-1"), "/etc"), (AwsTarget(), "owner/name")],
)
def test_only_what_a_visitor_chose_is_used(place: AwsTarget, tokenizer: str) -> None:
    alone, public = _places(is_open=True), _places(is_open=False)
    for places in (alone, public):
        with pytest.raises(InvalidRequest):
            places.check(place, tokenizer)
        places.choose(place, tokenizer)
    alone.check(place, tokenizer)
    with pytest.raises(InvalidRequest, match="own settings"):
        public.check(place, tokenizer)
    public.check(AwsTarget("us-east-1"))


def test_what_is_chosen_for_one_thing_holds_for_no_other() -> None:
    places = _places(is_open=True)
    places.choose(AwsTarget(profile="admin"))
    places.choose(LOCAL)
    with pytest.raises(InvalidRequest):
        places.check(AwsTarget(endpoint="admin"))
    with pytest.raises(InvalidRequest):
        places.check(AwsTarget(), "http://127.0.0.1:9911")


@pytest.mark.parametrize("region", ["us-east-1.evil.org#", "us east", "../x", "a" * 40, "US-EAST-1", "é"])
def test_a_region_is_the_name_of_one(region: str) -> None:
    with pytest.raises(InvalidRequest, match="region"):
        _places(is_open=True).check(AwsTarget(region))


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://169.254.169.254/",
        "http://169.254.170.2",
        "https://[fe80::1]:443",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:169.254.169.254]",
        "http://2852039166/",
        "http://0xa9fea9fe",
        "http://169.254.43518",
        "http://１６９.２５４.１６９.２５４",
        "http://169。254。169。254",
        "http://[fd00:ec2::254]",
        "http://user@127.0.0.1",
        "file:///etc/passwd",
        "gopher://127.0.0.1",
        "http://",
        "http://[",
        "http://a:99999",
        "127.0.0.1:9911",
    ],
)
def test_an_endpoint_is_an_address_and_no_link_local_one(endpoint: str) -> None:
    places = _places(is_open=True)
    places.choose(AwsTarget(endpoint=endpoint))
    with pytest.raises(InvalidRequest):
        places.check(AwsTarget(endpoint=endpoint))


def test_private_addresses_are_for_one_who_is_alone() -> None:
    for endpoint in ("http://127.0.0.1:9911", "http://10.0.0.1", "http://192.168.1.2:8000", "http://host.internal"):
        alone, public = _places(is_open=True), _places(is_open=False)
        for places in (alone, public):
            places.choose(AwsTarget(endpoint=endpoint))
        alone.check(AwsTarget(endpoint=endpoint))
        with pytest.raises(InvalidRequest):
            public.check(AwsTarget(endpoint=endpoint))


def test_visitors_name_no_region_of_their_own() -> None:
    public = Places(lambda: Policy(open=False), "us-east-1".__eq__)
    public.check(AwsTarget("us-east-1"))
    public.check(AwsTarget())
    with pytest.raises(InvalidRequest, match="Bedrock in attacker-chosen-0"):
        public.check(AwsTarget("attacker-chosen-0"))
    Places(lambda: Policy(open=True), "us-east-1".__eq__).check(AwsTarget("eu-west-3"))
