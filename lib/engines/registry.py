"""The registry of engines: one row for each kind of source. To add an engine, add its folder and a row here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lib.access.policy import Policy
from lib.core.sources import EMBEDDED, SHIPPED, TUNED, BedrockModel, LocalModel, Source
from lib.costs.bedrock_prices import WindowPrice, window_price
from lib.costs.ledger import Ledger, Spend
from lib.engines.base import Capabilities, Engine, Unsupported
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.capabilities import ASSUMED
from lib.engines.bedrock.engine import BedrockEngine
from lib.engines.local.opening import open_local
from lib.engines.local.preview import NO_TEMPLATE, lacks_chat_template
from lib.errors import InvalidRequest
from lib.models import embedded, tuned

S = TypeVar("S", bound=Source)


@dataclass(frozen=True)
class Shared:
    """What the engines of one process share."""

    account: Account  # looks up imported models and their tokenizers
    ledger: Ledger  # counts billed calls


def _name(source: Source, shared: Shared) -> str:  # noqa: ARG001
    return source.name


def _check(source: Source, shared: Shared, policy: Policy) -> None:  # noqa: ARG001
    policy.check(source)


def _free(source: Source, shared: Shared) -> WindowPrice | None:  # noqa: ARG001
    return None


def _everything(_: Source, __: Shared, ___: Policy, *, chat: bool, ask: bool) -> Capabilities:  # noqa: ARG001
    return Capabilities()


@dataclass(frozen=True)
class Kind(Generic[S]):
    """One row: what Candor knows of a kind of source."""

    open: Callable[[S, Shared], Engine]  # raises CandorError
    in_memory: bool = True  # whether an engine holds its model in this machine's memory, where only a few have room
    # What a model can do as long as its engine is not open, as far as that is quickly known: see
    # `lib.services.Services.capabilities`, which passes on its arguments.
    preview: Callable[..., Capabilities | Unsupported] = _everything
    label: Callable[[S, Shared], str] = _name  # the model's name as pages show it
    check: Callable[[S, Shared, Policy], None] = _check  # raises InvalidRequest if visitors may not use the model
    price: Callable[[S, Shared], WindowPrice | None] = _free  # what a call costs; None if it is not billed


def _open_local(source: LocalModel, shared: Shared) -> Engine:  # noqa: ARG001
    return open_local(source.path)


def _preview_local(
    source: LocalModel, _: Shared, policy: Policy, *, chat: bool, ask: bool
) -> Capabilities | Unsupported:
    if chat and ask and source not in SHIPPED:
        with suppress(InvalidRequest):  # it is refused when it is called, and its files are not looked at
            policy.check(source)
            if lacks_chat_template(source.path):
                return Unsupported(NO_TEMPLATE)
    return Capabilities()


_SHIPPED_NAMES = {EMBEDDED: embedded.NAME, TUNED: tuned.NAME}


def _label_local(source: LocalModel, shared: Shared) -> str:  # noqa: ARG001
    return _SHIPPED_NAMES.get(source, source.path)


def _preview_bedrock(
    source: BedrockModel, shared: Shared, _: Policy, *, chat: bool, ask: bool
) -> Capabilities | Unsupported:
    found = shared.account.peek_abilities(source) if ask else shared.account.known_abilities(source)
    return ASSUMED if found is None else found.reading(chat=chat)


def _open_bedrock(source: BedrockModel, shared: Shared) -> Engine:
    return BedrockEngine(source, account=shared.account, ledger=shared.ledger)


def _label_bedrock(source: BedrockModel, shared: Shared) -> str:
    return shared.account.name_of(source.arn)


def _price_bedrock(source: BedrockModel, shared: Shared) -> WindowPrice:
    bill = shared.ledger.bills.get(source.arn, Spend())
    is_aws = shared.account.is_aws(source.place)
    return WindowPrice(window_price(bill.units, shared.ledger.rate), bill.units.known, bill.awake_for, is_aws)


def _check_bedrock(source: BedrockModel, shared: Shared, policy: Policy) -> None:
    shared.account.check(source)
    listed: tuple[str, ...] = ()
    if policy.needs_list(source):
        found = shared.account.models_nowait(source.place)
        listed = tuple(each.arn for each in (found.value if found is not None else None) or ())
    policy.check(source, listed)


KINDS: dict[type[Source], Kind[Any]] = {
    LocalModel: Kind(_open_local, preview=_preview_local, label=_label_local),
    BedrockModel: Kind(
        _open_bedrock,
        in_memory=False,
        preview=_preview_bedrock,
        label=_label_bedrock,
        check=_check_bedrock,
        price=_price_bedrock,
    ),
}


def kind_of(source: Source) -> Kind[Any]:
    """The row of a source. Raises InvalidRequest for a kind without a row."""
    if (kind := KINDS.get(type(source))) is None:
        raise InvalidRequest(f"There is no engine for models of the kind {source.kind!r}.", "Choose another model.")
    return kind
