"""What visitors may make the server do, by where it listens."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from lib.errors import InvalidRequest
from lib.sources import EMBEDDED, Source

_VARIABLE = "CANDOR_MODELS"


@dataclass(frozen=True)
class Policy:
    """open: any local path and hub id may be loaded. allowed: the models that may be loaded where it is not open."""

    open: bool
    allowed: tuple[str, ...] = ()

    def check(self, source: Source) -> None:
        """Raise InvalidRequest when this model may not be loaded here."""
        name = source if isinstance(source, str) else source.arn
        # Profiles, endpoints and tokenizers on disk are the operator's as well.
        bare = isinstance(source, str) or not (source.profile or source.endpoint or source.tokenizer)
        if not self.open and name != EMBEDDED and not (name in self.allowed and bare):
            raise InvalidRequest(
                "This server only runs the models that its operator lists.",
                f"Choose one from the list, or ask the operator to add it to {_VARIABLE}.",
            )


def policy_for(address: str | None, environ: Mapping[str, str]) -> Policy:
    """The policy for a server on `address`; None or "" listens on every address.

    On loopback everything is allowed: whoever can reach the page can read the disk anyway. Elsewhere only the
    embedded model and those listed in CANDOR_MODELS (separated by commas).
    """
    listed = tuple(name.strip() for name in environ.get(_VARIABLE, "").split(",") if name.strip())
    return Policy(is_loopback(address), listed)


def is_loopback(address: str | None) -> bool:
    """Whether only this machine can reach a server on `address`."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address((address or "").strip("[]")).is_loopback
    except ValueError:
        return False
