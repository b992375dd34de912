"""Endpoints, profiles and tokenizers this process may use, and endpoints it never connects to."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from lib.access.policy import IMPORTED_MODEL, Policy
from lib.core.sources import AwsTarget
from lib.errors import InvalidRequest

_REGION = re.compile(r"[a-z0-9-]{0,32}")
_MOST_CHOICES = 1_000


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
