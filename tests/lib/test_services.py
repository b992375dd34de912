"""What a model can do before it is loaded, and which of its files are looked at for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.access.policy import Policy
from lib.core.sources import EMBEDDED, SHIPPED, TUNED, BedrockModel, LocalModel, Source
from lib.costs.bedrock_prices import Units, window_price
from lib.engines.base import Capabilities, Unsupported
from lib.engines.local.preview import NO_TEMPLATE
from lib.models import embedded, tuned
from lib.services import Services

_ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefgh1234"


def _services(*, is_open: bool = True) -> Services:
    return Services({"CANDOR_STORE": "off"}, lambda: Policy(is_open))


def _directory(path: Path, name: str, text: str) -> LocalModel:
    """A model's directory with one more file."""
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / name).write_text(text)
    return LocalModel(str(path))


def test_a_directory_without_a_template_takes_no_chats(tmp_path: Path) -> None:
    services, bare = _services(), _directory(tmp_path / "bare", "tokenizer_config.json", "{}")
    assert services.capabilities(bare, chat=True) == Unsupported(NO_TEMPLATE)
    assert services.capabilities(bare, chat=False) == Capabilities()
    assert services.capabilities(bare, chat=True, ask=False) == Capabilities()
    (tmp_path / "bare" / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    assert services.capabilities(bare, chat=True) == Capabilities(), "the file has changed since"
    own_file = _directory(tmp_path / "own", "chat_template.jinja", "x")
    assert services.capabilities(own_file, chat=True) == Capabilities()


def test_files_of_a_model_that_is_not_allowed_are_not_looked_at(tmp_path: Path) -> None:
    bare = _directory(tmp_path / "bare", "tokenizer.json", "{}")
    assert _services(is_open=False).capabilities(bare, chat=True) == Capabilities()


@pytest.mark.parametrize(
    "source",
    [EMBEDDED, TUNED, *map(LocalModel, ("~no-such-user/x", "a\0b", "x" * 9_000, "", "owner/name", "/no/where"))],
)
def test_what_is_not_known_is_assumed(source: Source) -> None:
    assert _services().capabilities(source, chat=True) == Capabilities()


def test_models_that_ship_with_candor_have_names() -> None:
    assert [_services().label(each) for each in (*SHIPPED, LocalModel("a/b"))] == [embedded.NAME, tuned.NAME, "a/b"]


def test_asking_what_a_model_can_do_opens_no_engine() -> None:
    services = _services()
    for number in range(5):
        model = BedrockModel(_ARN, form="CHAT", tokenizer=f"/typed/so/far/{number}")
        assert isinstance(services.capabilities(model, chat=True), Capabilities)
        assert not services.engines.ready(model)


def test_a_call_of_an_imported_model_is_priced_by_the_window() -> None:
    services, model = _services(), BedrockModel(_ARN)
    assert services.price(EMBEDDED) is None
    found = services.price(model)
    assert found is not None
    assert found.dollars == window_price(Units())
    assert (found.known, found.open_for, found.billed) == (False, 0.0, True)
    services.ledger.set_units(_ARN, Units(2, "v2.0", known=True))
    with services.ledger.call(_ARN) as call:
        call.answered()
    found = services.price(model)
    assert found is not None
    assert found.dollars == window_price(Units(2, "v2.0"))
    assert found.known
    assert 0 < found.open_for <= 300
    other = BedrockModel(_ARN, endpoint="http://127.0.0.1:9")
    services.account.choose(other.place)
    elsewhere = services.price(other)
    assert elsewhere is not None
    assert not elsewhere.billed
