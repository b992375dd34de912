"""Host names and addresses."""

from __future__ import annotations

import ipaddress


def is_loopback(address: str | None) -> bool:
    """Whether an address or host name is loopback, so other machines cannot reach it."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address((address or "").strip("[]")).is_loopback
    except ValueError:
        return False
