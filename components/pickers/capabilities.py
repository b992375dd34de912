"""What a model can do, so that forms disable the rest and say why."""

from __future__ import annotations

from dataclasses import dataclass

from components.shell.services import services
from lib.core.sources import Source
from lib.engines.base import Capabilities, Unsupported


@dataclass(frozen=True)
class Limits:
    """What a model can do in one mode, chat or raw."""

    can: Capabilities
    refusal: str = ""  # why it cannot be used in this mode; "" if it can


def limits_of(source: Source, *, chat: bool, ask: bool = True) -> Limits:
    """The limits of a model as far as they are known.

    ask: whether to ask a service if necessary. Opening a saved run should not.
    """
    found = services().capabilities(source, chat=chat, ask=ask)
    return Limits(Capabilities(), found.reason) if isinstance(found, Unsupported) else Limits(found)
