"""A model's name as pages show it."""

from __future__ import annotations

from components.shell.services import account
from lib.core.sources import EMBEDDED, BedrockModel, Source
from lib.models.embedded import NAME


def model_name(source: Source) -> str:
    """The name in the account's list, or the path or id that was typed."""
    if isinstance(source, BedrockModel):
        return account().name_of(source.arn)
    return NAME if source == EMBEDDED else source
