"""How a model is named: "embedded", a path, a hub id, or a model imported into Bedrock."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

EMBEDDED = "embedded"  # the model that ships with Candor


@dataclass(frozen=True)
class AwsTarget:
    """The AWS region, profile and endpoint to call. "" for boto3's default."""

    region: str = ""
    profile: str = ""
    endpoint: str = ""  # base URL that replaces Bedrock's own; also S3's if it serves the model's files


@dataclass(frozen=True)
class BedrockModel:
    """A model imported into Bedrock. Never holds credentials: boto3 finds those in its own chain."""

    arn: str
    # A path takes precedence over the tokenizer imported with the model; a hub id is the fallback. "" for neither.
    tokenizer: str = ""
    imported: date | None = None  # import date, which decides the formats it supports; None if unknown
    form: str = ""  # name of a `lib.wire.formats.Format`; "" for auto-detect
    region: str = ""  # "" for boto3's default; a region in the ARN wins
    profile: str = ""  # "" for boto3's default
    endpoint: str = ""  # base URL that replaces Bedrock's own; "" for AWS
    # Whether to continue an answer in a chat with `continue_final_message`. It is not known if Bedrock passes that on.
    continues: bool = False

    @property
    def place(self) -> AwsTarget:
        """Where to call it. The model only exists in the region of its ARN."""
        return AwsTarget(region_of(self.arn) or self.region, self.profile, self.endpoint)


def partition_of(arn: str) -> str:
    """The AWS partition in an ARN, such as "aws" or "aws-us-gov"; "" without one."""
    parts = arn.split(":")
    return parts[1] if len(parts) > 5 and parts[0] == "arn" else ""


def region_of(arn: str) -> str:
    """The region in an ARN, "" without one."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[0] == "arn" else ""


def account_of(arn: str) -> str:
    """The account number in an ARN, "" without one."""
    parts = arn.split(":")
    return parts[4] if len(parts) > 5 and parts[0] == "arn" else ""


Source = str | BedrockModel


def name_of(source: Source) -> str:
    """What the model is called where it comes from: "embedded", a path, a hub id or an ARN."""
    return source.arn if isinstance(source, BedrockModel) else source


def is_billed(source: Source) -> bool:
    """Whether each answer is a call to a service, which may cost money."""
    return isinstance(source, BedrockModel)


def source_as_json(source: Source) -> Any:
    """The source as a JSON value."""
    if not isinstance(source, BedrockModel):
        return source
    return asdict(source) | {"imported": None if source.imported is None else source.imported.isoformat()}


def source_of(about: Any) -> Source:
    """Read what `source_as_json` returned. Raises KeyError, TypeError or ValueError if it is not a source."""
    if isinstance(about, str):
        return about
    imported = about["imported"]
    texts = {name: about[name] for name in ("arn", "tokenizer", "form", "region", "profile", "endpoint")}
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(about["continues"], bool):
        raise TypeError("a value of the model has the wrong type")
    when = None if imported is None else date.fromisoformat(imported)
    return BedrockModel(**texts, imported=when, continues=about["continues"])
