"""What visitors may make the server do, depending on who can reach it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lib.core.pasted_arn import as_arn
from lib.core.sources import SHIPPED, BedrockModel, Source
from lib.errors import InvalidRequest
from lib.hosts import is_loopback

_VARIABLE, _BEDROCK, _PUBLIC = "CANDOR_MODELS", "CANDOR_BEDROCK", "CANDOR_PUBLIC"
_OF_PROXIES = frozenset(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "cf-connecting-ip"}
)
IMPORTED_MODEL = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]+:\d{12}:imported-model/[a-z0-9]{12}")


class Bedrock(StrEnum):
    """Which imported models visitors may call at the operator's expense."""

    OFF = "off"
    LISTED = "listed"  # models that the server's AWS account lists
    ANY = "any"  # any ARN


@dataclass(frozen=True)
class Policy:
    """What visitors of this server may load and call."""

    open: bool  # whether visitors may load any path or hub id and call AWS in any way
    allowed: tuple[str, ...] = ()  # models they may use if it is not open, besides those that ship with Candor
    bedrock: Bedrock = Bedrock.ANY  # imported models they may call

    def check(self, source: Source, listed: Container[str] = ()) -> None:
        """Raise InvalidRequest if this model may not be used here. listed: ARNs of the account's models."""
        if isinstance(source, BedrockModel):
            self._check_imported(source, listed)
        elif not self.open and source not in SHIPPED and source.name not in self.allowed:
            raise InvalidRequest(
                "This server only runs models that its operator allows.",
                f"Choose one from the list, or ask the operator to add it to {_VARIABLE}.",
            )

    def needs_list(self, model: BedrockModel) -> bool:
        """Whether `check` needs the account's list of models to decide."""
        return not self.open and self.bedrock is Bedrock.LISTED and model.arn not in self.allowed

    def _check_imported(self, model: BedrockModel, listed: Container[str]) -> None:
        # Profiles, endpoints and tokenizers on disk belong to the operator.
        bare = not (model.profile or model.endpoint or model.tokenizer)
        named = model.arn in self.allowed
        by_word = self.bedrock is Bedrock.ANY or (self.bedrock is Bedrock.LISTED and model.arn in listed)
        imported = self.open or named or IMPORTED_MODEL.fullmatch(model.arn) is not None
        if not (self.open or bare) or not (named or by_word) or not imported:
            raise InvalidRequest(
                "This server does not call that Bedrock model.",
                "Choose one from the list, or ask the operator to allow it: "
                f"with {_VARIABLE}, or with {_BEDROCK}=any for every ARN.",
            )


def policy_for(
    address: str | None,
    environ: Mapping[str, str],
    *,
    names: Iterable[str] = (),
    signs_in: bool = False,
    forwarded: bool = False,
) -> Policy:
    """The policy of a server.

    A server is open only if no one else can reach it: it listens on loopback, its names are loopback, no one signs in,
    no proxy forwards to it, and CANDOR_PUBLIC is not 1. Then everything is allowed, as its only visitor can read the
    disk anyway. Otherwise visitors get the models that ship with Candor, the models in CANDOR_MODELS (separated by
    commas), and the imported models that the server's AWS account lists; CANDOR_BEDROCK (off, listed or any) changes
    the last.

    Raises InvalidRequest for bad CANDOR_* values.

    address: the address it listens on; None or "" for all.
    environ: environment variables.
    names: host names it answers to.
    signs_in: whether visitors sign in.
    forwarded: whether a proxy has forwarded a request.
    """
    listed = tuple(_listed(name.strip()) for name in environ.get(_VARIABLE, "").split(",") if name.strip())
    public = environ.get(_PUBLIC, "").strip() or "0"
    if public not in ("0", "1"):
        raise InvalidRequest(f"{_PUBLIC} is {public!r}.", "Set it to 1 if others can reach this server, else to 0.")
    alone = is_loopback(address) and all(map(is_loopback, names)) and not (signs_in or forwarded)
    is_open = alone and public == "0"
    word = environ.get(_BEDROCK, "").strip() or (Bedrock.ANY if is_open else Bedrock.LISTED)
    if word not in list(Bedrock):
        raise InvalidRequest(f"{_BEDROCK} is {word!r}.", f"Set it to {', '.join(Bedrock)}.")
    return Policy(is_open, listed, Bedrock(word))


def _listed(name: str) -> str:
    """An entry of CANDOR_MODELS, with an imported model's ARN extracted from the text around it."""
    try:
        return as_arn(name) or name
    except InvalidRequest:
        return name


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Whether a proxy has forwarded a request with these headers."""
    return any(name.lower() in _OF_PROXIES for name in headers)
