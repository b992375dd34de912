"""How a model is named: a word for the embedded one, a path, a hub id, or an imported model of Bedrock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

EMBEDDED = "embedded"  # the model that Candor brings along


@dataclass(frozen=True)
class BedrockModel:
    """An imported model. Credentials are never part of it: boto3 finds them in its own chain.

    arn: its ARN. region, profile, endpoint: "" for boto3's own choice. tokenizer: where its tokenizer lies ("" for
    none: tokens are then named as the service names them). imported: its import date, which decides the formats it
    speaks; None where that is not known. form: the name of a `lib.wire.formats.Format`, "" to choose by the date.
    """

    arn: str
    tokenizer: str = ""
    imported: date | None = None
    form: str = ""
    region: str = ""
    profile: str = ""
    endpoint: str = ""


Source = str | BedrockModel
