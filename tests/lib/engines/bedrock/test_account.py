"""The account: where it may connect, which calls it counts, and how many clients it caches."""

from __future__ import annotations

import contextlib
from contextlib import closing
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from lib.access.places import Places
from lib.access.policy import Bedrock, Policy
from lib.core.sources import AwsTarget, BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.clients import Clients
from lib.errors import CandorError

ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl"
FOREIGN = AwsTarget("us-east-1", endpoint="http://127.0.0.1:9")
MODEL = BedrockModel(ARN, region=FOREIGN.region, endpoint=FOREIGN.endpoint)


class NoClients:
    """Refuses to create clients, and records the targets requested."""

    def __init__(self) -> None:
        self.asked: list[AwsTarget] = []

    def get(self, _service: str, place: AwsTarget) -> Any:
        self.asked.append(place)
        raise CandorError("It would have connected.")

    def forget(self, _place: AwsTarget) -> None:
        """Nothing is stored."""

    def close(self) -> None:
        """Nothing is open."""


LOOKUPS = {
    "client": lambda account, model: account.client("bedrock-runtime", model.place),
    "models": lambda account, model: account.models(model.place),
    "details": lambda account, model: account.details(model.place, model.arn),
    "abilities": lambda account, model: account.abilities(model),
    "tokenizer": lambda account, model: account.tokenizer(model),
    "is_aws": lambda account, model: account.is_aws(model.place),
}


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("chosen", [False, True])
def test_no_lookup_connects_where_no_visitor_chose(lookup: str, chosen: bool) -> None:
    clients = NoClients()
    with closing(Account(clients, places=Places(lambda: Policy(open=True)))) as account:  # type: ignore[arg-type]
        if chosen:
            account.choose(FOREIGN)
        with contextlib.suppress(CandorError):
            LOOKUPS[lookup](account, MODEL)
    assert bool(clients.asked) is chosen


class CountingClients(NoClients):
    """One client, which records the models that are probed."""

    def __init__(self) -> None:
        super().__init__()
        self.probed: list[str] = []

    def get(self, _service: str, place: AwsTarget) -> Any:
        self.asked.append(place)
        return self

    def invoke_model(self, **parameters: Any) -> None:
        self.probed.append(parameters["modelId"])


def test_a_probe_counts_as_a_call() -> None:
    book, clients = Ledger(Caps(calls=2)), CountingClients()
    with closing(Account(clients, ledger=book)) as account:  # type: ignore[arg-type]
        for calls in (1, 2, 2):
            account.ask_again(MODEL.place)
            account.abilities(replace(MODEL, imported=date(2026, 1, 1)))
            assert book.calls == calls
    assert clients.probed == [ARN, ARN]


@pytest.mark.parametrize(
    ("region", "endpoint", "billed"),
    [
        ("us-east-1", "", True),
        ("us-gov-west-1", "", True),
        ("cn-north-1", "", True),
        ("us-iso-east-1", "", True),
        ("us-isob-east-1", "", True),
        ("eusc-de-east-1", "", True),
        ("us-east-1", "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com", True),
        ("us-east-1", "http://127.0.0.1:9911", False),
        ("us-east-1", "https://amazonaws.com.example.com", False),
    ],
)
def test_which_hosts_belong_to_aws(region: str, endpoint: str, billed: bool, nobody: None) -> None:
    with closing(Account()) as account:
        assert account.is_aws(AwsTarget(region, endpoint=endpoint)) is billed


def test_the_least_recently_used_clients_are_dropped(nobody: None) -> None:
    clients = Clients(limit=3)
    try:
        first = clients.get("bedrock", AwsTarget("us-east-1"))
        for number in range(6):
            assert clients.get("bedrock", AwsTarget("us-east-1")) is first, "the most recently used stay"
            clients.get("bedrock", AwsTarget(f"region-{number}"))
        assert clients.counts == (3, 3)
    finally:
        clients.close()


@pytest.mark.parametrize("arn", ["anthropic.claude-opus", "us.anthropic.claude", ARN + "/x"])
def test_only_imported_models_are_probed_where_others_reach_the_server(arn: str) -> None:
    clients = NoClients()
    places = Places(lambda: Policy(open=False, bedrock=Bedrock.ANY))
    with closing(Account(clients, places=places)) as account:  # type: ignore[arg-type]
        account.abilities(BedrockModel(arn, imported=date(2026, 1, 1)))
    assert clients.asked == []
