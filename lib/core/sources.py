"""Sources: where a model comes from. Each kind of source has an engine in `lib.engines.registry`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, ClassVar, Self

import msgspec


class Source(ABC):
    """Where a model comes from: a frozen dataclass. Equal sources are the same model.

    A subclass makes its kind known by being defined.
    """

    kind: ClassVar[str]  # its name in JSON; never changes
    billed: ClassVar[bool]  # whether each answer is a call to a service, which may cost money

    _kinds: ClassVar[dict[str, type[Source]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Source._kinds[cls.kind] = cls

    @property
    @abstractmethod
    def name(self) -> str:
        """What identifies the model at its place, such as a path or an ARN."""

    @classmethod
    def named(cls, text: str) -> Self | None:  # noqa: ARG003
        """The source that this text names, if it is clearly of this kind: a kind that can be typed says which."""
        return None

    def as_json(self) -> Any:
        """The source as a JSON value."""
        return {"kind": self.kind, **msgspec.to_builtins(self)}

    @classmethod
    def from_json(cls, about: Any) -> Self:
        """Read the fields in JSON. Raises ValueError if one is missing or invalid."""
        if missing := [each.name for each in fields(cls) if each.name not in about]:  # type: ignore[arg-type]
            raise ValueError(f"a source of the kind {cls.kind!r} needs {', '.join(missing)}")
        return msgspec.convert(about, cls)


def source_of(about: Any) -> Source:
    """Read what `Source.as_json` returned. Raises ValueError if it is not a source of a known kind."""
    if isinstance(about, str):
        return LocalModel(about)
    if not isinstance(about, dict):
        raise ValueError("a source is a text or an object")
    kind = about.get("kind", BedrockModel.kind)
    if not isinstance(kind, str) or kind not in Source._kinds:
        raise ValueError(f"sources of the kind {kind!r} are unknown")
    return Source._kinds[kind].from_json(about)


@dataclass(frozen=True)
class LocalModel(Source):
    """A model on this machine: one that ships with Candor, a directory, a GGUF file, or a hub id to download."""

    kind: ClassVar[str] = "local"
    billed: ClassVar[bool] = False

    path: str  # "embedded", "ardenworks", a path or a hub id

    @property
    def name(self) -> str:
        """The path or hub id."""
        return self.path

    def as_json(self) -> str:
        """The path or hub id, as it has been stored since version 0.1."""
        return self.path


EMBEDDED = LocalModel("embedded")  # the base model that ships with Candor
TUNED = LocalModel("ardenworks")  # the embedded model with the adapter that ships with Candor
SHIPPED = (EMBEDDED, TUNED)  # models that every visitor may use
NO_MODEL = LocalModel("")  # none is selected, or it is not known which


@dataclass(frozen=True)
class AwsTarget:
    """The AWS region, profile and endpoint to call. "" for boto3's default."""

    region: str = ""
    profile: str = ""
    endpoint: str = ""  # base URL that replaces Bedrock's own; also S3's if it serves the model's files


@dataclass(frozen=True)
class BedrockModel(Source):
    """A model imported into Bedrock. Never holds credentials: boto3 finds those in its own chain."""

    kind: ClassVar[str] = "bedrock"
    billed: ClassVar[bool] = True

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

    @property
    def name(self) -> str:
        """The ARN."""
        return self.arn

    @classmethod
    def named(cls, text: str) -> Self | None:
        """The model with this ARN."""
        return cls(text) if text.startswith("arn:") else None

    def as_json(self) -> Any:
        """The fields without their kind, as they have been stored since version 0.1."""
        return msgspec.to_builtins(self)


def named_source(text: str) -> Source:
    """The source that a visitor or the operator names. What no other kind claims is a local model."""
    found = (each.named(text) for each in Source._kinds.values())
    return next((each for each in found if each is not None), LocalModel(text))


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
