"""The account's models, what they can return and what they cost, asked of the local Bedrock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from lib.core.request import Message, Request
from lib.core.sources import AwsTarget
from lib.core.stream import fold
from lib.engines.base import CallContext
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.remote.retry import RetryPolicy
from lib.errors import CapReached, InvalidRequest
from lib.wire.formats import Format
from tests.support.serve_clients import Served, until

Opened = Callable[..., Any]
ASK = Request(prompt="abc", max_tokens=2, k=2)


def loading(served: Served, notes: list[str]) -> CallContext:
    """The context of a call of a cold model, which is loaded as soon as the engine has noticed."""

    def on_note(note: str) -> None:
        notes.append(note)
        served.faults()

    return CallContext(on_note=on_note)


def test_the_models_are_listed_newest_first(served: Served, open_account: Opened) -> None:
    with closing(open_account(served)) as opened:
        models = opened.account.models(AwsTarget("us-east-1", "", served.url))
    assert [model.name for model in models] == ["current", "early", "legacy"]
    assert models[0].arn == served.arn("current")
    assert models[0].architecture == "llama"
    assert str(models[0].created) == "2025-12-01 00:00:00+00:00"


def test_what_is_asked_elsewhere_is_not_billed(served: Served, open_account: Opened) -> None:
    with closing(open_account(served)) as opened:
        assert not opened.account.is_aws(opened.model().place)
        assert opened.account.is_aws(AwsTarget("us-east-1"))


def test_looking_never_waits(served: Served, open_account: Opened) -> None:
    with closing(open_account(served)) as opened:
        place = AwsTarget("us-east-1", "", served.url)
        assert opened.account.models_nowait(place) is None
        assert until(lambda: opened.account.models_nowait(place) is not None)
        assert len(opened.account.models_nowait(place).value) == 3


@pytest.mark.parametrize(
    ("name", "formats"),
    [("legacy", set()), ("early", {Format.EARLY}), ("current", {Format.BEDROCK, Format.OPENAI, Format.CHAT})],
)
def test_what_each_generation_can_return(served: Served, open_account: Opened, name: str, formats: set[Format]) -> None:
    with closing(open_account(served)) as opened:
        found = opened.account.abilities(opened.model(name))
    assert found.formats == formats
    assert "assumed" not in found.known_by


def test_the_probe_is_free_and_made_once(served: Served, open_account: Opened) -> None:
    with closing(open_account(served)) as opened:
        engine = opened.engine()
        for _ in range(3):
            engine.complete(ASK)
        assert opened.ledger.calls == 3


def test_a_model_that_sleeps_is_asked_again_once_it_is_awake(served: Served, open_account: Opened) -> None:
    served.faults({"kind": "cold-start", "seconds": 600})
    with closing(open_account(served)) as opened:
        found = opened.account.abilities(opened.model())
        assert found.asleep
        assert "assumed" in found.known_by
        retry_policy = RetryPolicy(cold_delays=(0.2, 0.3))
        engine = BedrockEngine(opened.model(), account=opened.account, ledger=opened.ledger, retry_policy=retry_policy)
        fold(engine.stream(ASK, loading(served, [])))
        assert until(lambda: (again := opened.account.peek_abilities(opened.model())) is not None and not again.asleep)


def test_a_chat_with_a_model_that_takes_none(served: Served, open_account: Opened) -> None:
    with closing(open_account(served)) as opened, pytest.raises(InvalidRequest, match="take chats"):
        opened.engine("early").complete(Request(messages=(Message("user", "abc"),)))


def test_calls_and_windows_are_counted(served: Served, open_account: Opened) -> None:
    with closing(open_account(served)) as opened:
        engine = opened.engine()
        opened.account.details(opened.model().place, served.arn())
        engine.complete(ASK)
        fold(engine.stream(Request(prompt="abc", max_tokens=2, prompt_scores=False)))
        (bill,) = opened.ledger.bills.values()
    assert (bill.calls, bill.windows) == (2, 1)
    assert bill.units.known
    assert bill.dollars == pytest.approx(0.05718 * 5)


def test_what_fails_is_not_counted(served: Served, open_account: Opened) -> None:
    served.faults({"kind": "error", "code": "ModelErrorException"})
    with closing(open_account(served)) as opened:
        for _ in range(3):
            with pytest.raises(Exception, match="failed"):
                opened.engine("current", form="OPENAI").complete(ASK)
        assert opened.ledger.calls == 0
        assert opened.ledger.dollars == 0


def test_no_call_goes_beyond_the_cap(served: Served, open_account: Opened) -> None:
    with closing(open_account(served, calls=3)) as opened:
        engine = opened.engine()
        results: list[object] = []

        def ask() -> None:
            try:
                results.append(engine.complete(ASK))
            except CapReached as error:
                results.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [each for each in results if isinstance(each, CapReached)]
        assert len(refused) == 5
        assert opened.ledger.calls == 3
        assert "Connection" in refused[0].remedy


def test_waking_a_model_is_the_smallest_call_there_is(served: Served, open_account: Opened) -> None:
    served.faults({"kind": "cold-start", "seconds": 600})
    with closing(open_account(served)) as opened:
        retry_policy = RetryPolicy(cold_delays=(0.2, 0.3))
        engine = BedrockEngine(opened.model(), account=opened.account, ledger=opened.ledger, retry_policy=retry_policy)
        notes: list[str] = []
        (done,) = fold(engine.warm_up(loading(served, notes)))
        assert any("being loaded" in note for note in notes)
        assert len(done.generated) == 1
        assert opened.ledger.calls == 1
