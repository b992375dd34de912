"""What a model is called on a page."""

from __future__ import annotations

from components.process import account
from lib.local.embedded import NAME
from lib.sources import EMBEDDED, BedrockModel, Source


def model_name(source: Source) -> str:
    """The name in the account's list, or as it was given."""
    if isinstance(source, BedrockModel):
        return account().name_of(source.arn)
    return NAME if source == EMBEDDED else source
