"""What visitors may make the server do, by where it listens."""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lib.errors import InvalidRequest
from lib.sources import EMBEDDED, BedrockModel, Source

_VARIABLE, _BEDROCK = "CANDOR_MODELS", "CANDOR_BEDROCK"


class Bedrock(StrEnum):
    """Which imported models of the server's own AWS account visitors may call, which costs its operator money."""

    OFF = "off"
    LISTED = "listed"  # those that the account lists, with the server's own credentials
    ANY = "any"  # any ARN


@dataclass(frozen=True)
class Policy:
    """open: any local path and hub id may be loaded, and AWS be asked in any way.

    allowed: the models that may be loaded where it is not open. bedrock: which imported models may be called.
    """

    open: bool
    allowed: tuple[str, ...] = ()
    bedrock: Bedrock = Bedrock.ANY

    def check(self, source: Source, listed: Container[str] = ()) -> None:
        """Raise InvalidRequest when this model may not be asked here. listed: ARNs of the account's models."""
        if isinstance(source, BedrockModel):
            self._check_imported(source, listed)
        elif not self.open and source != EMBEDDED and source not in self.allowed:
            raise InvalidRequest(
                "This server only runs the models that its operator lists.",
                f"Choose one from the list, or ask the operator to add it to {_VARIABLE}.",
            )

    def _check_imported(self, model: BedrockModel, listed: Container[str]) -> None:
        # Profiles, endpoints and tokenizers on disk are the operator's.
        bare = not (model.profile or model.endpoint or model.tokenizer)
        named = model.arn in self.allowed
        by_word = self.bedrock is Bedrock.ANY or (self.bedrock is Bedrock.LISTED and model.arn in listed)
        if not (self.open or bare) or not (named or by_word):
            raise InvalidRequest(
                "This server does not call that model of Bedrock.",
                "Choose one from the list, or ask the operator to allow it: "
                f"by {_VARIABLE}, or by {_BEDROCK}=any for every ARN.",
            )


def policy_for(address: str | None, environ: Mapping[str, str]) -> Policy:
    """The policy for a server on `address`; None or "" listens on every address.

    On loopback everything is allowed: whoever can reach the page can read the disk anyway. Elsewhere only the
    embedded model, those listed in CANDOR_MODELS (separated by commas), and the imported models that the server's AWS
    account lists; CANDOR_BEDROCK (off, listed or any) says otherwise. Raises InvalidRequest.
    """
    listed = tuple(name.strip() for name in environ.get(_VARIABLE, "").split(",") if name.strip())
    is_open = is_loopback(address)
    word = environ.get(_BEDROCK, "").strip() or (Bedrock.ANY if is_open else Bedrock.LISTED)
    if word not in list(Bedrock):
        raise InvalidRequest(f"{_BEDROCK} is {word!r}.", f"Set it to {', '.join(Bedrock)}.")
    return Policy(is_open, listed, Bedrock(word))


def is_loopback(address: str | None) -> bool:
    """Whether only this machine can reach a server on `address`."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address((address or "").strip("[]")).is_loopback
    except ValueError:
        return False
