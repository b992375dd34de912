"""How a model is named: a word for the embedded one, a path, a hub id, or an imported model of Bedrock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

EMBEDDED = "embedded"  # the model that Candor brings along


@dataclass(frozen=True)
class AwsTarget:
    """Where AWS is asked, and as whom. "" for boto3's own choice.

    endpoint: of Bedrock, another address that speaks its API; S3 is not asked there.
    """

    region: str = ""
    profile: str = ""
    endpoint: str = ""


@dataclass(frozen=True)
class BedrockModel:
    """An imported model. Credentials are never part of it: boto3 finds them in its own chain.

    arn: its ARN. region, profile, endpoint: "" for boto3's own choice. tokenizer: a path, which goes before what was
    imported with the model, or a hub id, which comes after it; "" for neither. imported: its import date, which decides
    the formats it speaks; None where that is not known. form: the name of a `lib.wire.formats.Format`, "" to choose by
    what is known of the model. continues: whether a chat is sent with `continue_final_message` where an answer is to go
    on from a given beginning; whether Bedrock passes that on is not known.
    """

    arn: str
    tokenizer: str = ""
    imported: date | None = None
    form: str = ""
    region: str = ""
    profile: str = ""
    endpoint: str = ""
    continues: bool = False

    @property
    def place(self) -> AwsTarget:
        """Where it is. The region in the ARN is the only one that has it."""
        return AwsTarget(region_of(self.arn) or self.region, self.profile, self.endpoint)


def partition_of(arn: str) -> str:
    """The partition of AWS in an ARN, such as "aws" or "aws-us-gov"; "" if there is none."""
    parts = arn.split(":")
    return parts[1] if len(parts) > 5 and parts[0] == "arn" else ""


def region_of(arn: str) -> str:
    """The region in an ARN, "" if there is none."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[0] == "arn" else ""


def account_of(arn: str) -> str:
    """The account's number in an ARN, "" if there is none."""
    parts = arn.split(":")
    return parts[4] if len(parts) > 5 and parts[0] == "arn" else ""


Source = str | BedrockModel
