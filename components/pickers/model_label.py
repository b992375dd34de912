"""A model's name as pages show it."""

from __future__ import annotations

from components.shell.services import services
from lib.core.sources import Source


def model_name(source: Source) -> str:
    """The name in the account's list, or the path or id that was typed; "" for no model."""
    return services().label(source)
