"""What visitors may make the server do, depending on who can reach it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from lib.core.bedrock_names import as_arn
from lib.core.sources import EMBEDDED, AwsTarget, BedrockModel, Source
from lib.errors import InvalidRequest
from lib.hosts import is_loopback

_VARIABLE, _BEDROCK, _PUBLIC = "CANDOR_MODELS", "CANDOR_BEDROCK", "CANDOR_PUBLIC"
_REGION = re.compile(r"[a-z0-9-]{0,32}")
_OF_PROXIES = frozenset(
    {"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "cf-connecting-ip"}
)
_MOST_CHOICES = 1_000
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
    allowed: tuple[str, ...] = ()  # models they may use if it is not open
    bedrock: Bedrock = Bedrock.ANY  # imported models they may call

    def check(self, source: Source, listed: Container[str] = ()) -> None:
        """Raise InvalidRequest if this model may not be used here. listed: ARNs of the account's models."""
        if isinstance(source, BedrockModel):
            self._check_imported(source, listed)
        elif not self.open and source != EMBEDDED and source not in self.allowed:
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
    disk anyway. Otherwise visitors get the embedded model, the models in CANDOR_MODELS (separated by commas), and the
    imported models that the server's AWS account lists; CANDOR_BEDROCK (off, listed or any) changes the last.

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


class Places:
    """Where this process may connect to. Checked by the client that connects, so that no page can forget it.

    Endpoints, profiles and tokenizer paths are only used if a visitor chose them in this process and no one else can
    reach it. A file or another visitor's run that names one is not a choice. Thread-safe.
    """

    def __init__(self, policy: Callable[[], Policy], is_region: Callable[[str], bool] | None = None) -> None:
        """Start without choices.

        policy: returns the policy now in effect.
        is_region: whether visitors may call a region if others can reach the server; None to allow all.
        """
        self._policy, self._is_region = policy, is_region
        self._chosen: set[tuple[str, str]] = {("endpoint", ""), ("profile", ""), ("tokenizer", "")}

    def choose(self, place: AwsTarget, tokenizer: str = "") -> None:
        """Record that a visitor chose this in a form."""
        for choice in _choices(place, tokenizer):
            if len(self._chosen) < _MOST_CHOICES:
                self._chosen.add(choice)

    def check_model(self, arn: str) -> None:
        """Raise InvalidRequest if others can reach the server and this model is neither imported nor allowed."""
        rules = self._policy()
        if not rules.open and arn not in rules.allowed and not IMPORTED_MODEL.fullmatch(arn):
            raise InvalidRequest("This server only calls imported models.", "Choose a model from the list.")

    def check(self, place: AwsTarget, tokenizer: str = "") -> None:
        """Raise InvalidRequest if this target may not be called, or this tokenizer may not be read."""
        if not _REGION.fullmatch(place.region):
            raise InvalidRequest(f"{place.region!r} is not an AWS region.", "Choose a region.")
        check_endpoint(place.endpoint)
        is_open = self._policy().open
        if not is_open and place.region and self._is_region is not None and not self._is_region(place.region):
            raise InvalidRequest(
                f"This server does not call Bedrock in {place.region}.", "Choose a model from the list."
            )
        for kind, value in _choices(place, tokenizer):
            if value and not is_open:
                raise InvalidRequest(
                    "This server only calls Bedrock with its own settings.", "Choose a model from the list."
                )
            if (kind, value) not in self._chosen:
                raise InvalidRequest(
                    f"This run uses the {kind} {value!r}, which you have not chosen.",
                    "Choose it in the sidebar under Amazon Bedrock, if you trust it.",
                )


def check_endpoint(endpoint: str) -> None:
    """Raise InvalidRequest for an endpoint that is not a plain http(s) URL or is link-local.

    Clouds serve their machines' credentials at link-local addresses.
    """
    if not endpoint:
        return
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise InvalidRequest(f"{endpoint!r} is not an endpoint.", "Use a URL such as http://127.0.0.1:9911.")
    if _is_link_local(host):
        raise InvalidRequest(f"{endpoint!r} is a link-local address.", "Use an endpoint with the Bedrock API.")


def _is_link_local(host: str) -> bool:
    """Whether a host is link-local, in any notation that a resolver accepts as an address."""
    with contextlib.suppress(UnicodeError):
        host = host.encode("idna").decode()  # clients accept full-width digits and dots
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # 2852039166, 0xa9fea9fe, 169.254.43518
        except OSError:
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local or str(address) == "fd00:ec2::254"


def _choices(place: AwsTarget, tokenizer: str) -> tuple[tuple[str, str], ...]:
    return ("endpoint", place.endpoint), ("profile", place.profile), ("tokenizer", tokenizer)


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Whether a proxy has forwarded a request with these headers."""
    return any(name.lower() in _OF_PROXIES for name in headers)
