"""The imported models that the local Bedrock serves, and what each can do given its import date."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lib.core.sources import EMBEDDED
from lib.errors import InvalidRequest
from lib.wire.formats import FIRST_LOGPROBS, THREE_FORMATS

REGION, ACCOUNT = "us-east-1", "123456789012"
_ARN = re.compile(
    r"arn:aws:bedrock:(?P<region>[a-z0-9-]{1,20}):(?P<account>[0-9]{12}):imported-model/(?P<id>[a-z0-9]{12})"
)
_NAME = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z-]{0,62}")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class ImportedModel:
    """A model under the name it was imported as."""

    name: str
    source: str  # what runs it: "embedded", "ardenworks", or the path or hub id of a model
    imported: datetime  # in UTC
    region: str = REGION
    account: str = ACCOUNT
    s3_uri: str = ""  # the folder of its files, "" for none
    id: str = ""  # twelve letters and digits; "" derives them from the name, so that they are always the same

    def __post_init__(self) -> None:
        digest = hashlib.sha256(self.name.encode()).digest()
        made = "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:12])
        object.__setattr__(self, "id", self.id or made)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:bedrock:{self.region}:{self.account}:imported-model/{self.id}"

    @property
    def has_logprobs(self) -> bool:
        """Whether it can return logprobs."""
        return self.imported >= FIRST_LOGPROBS

    @property
    def has_three_formats(self) -> bool:
        """Whether it also answers in OpenAI's formats."""
        return self.imported >= THREE_FORMATS


# One of each generation, and a fine-tuned one to compare with its base.
DEFAULT_MODELS = (
    "before-logprobs=embedded@2025-07-01",
    "first-logprobs=embedded@2025-09-01",
    "current=embedded@2025-12-01",
    "tuned=ardenworks@2025-12-01",
)


def read_models(
    specs: Iterable[str], *, region: str = REGION, account: str = ACCOUNT, s3: str = ""
) -> tuple[ImportedModel, ...]:
    """Parse models written as NAME=SOURCE@DATE. Without a date, the import date is today. Raises InvalidRequest.

    specs: NAME may also be the ARN of an imported model, whose id then becomes the name.
    s3: the URI of a folder that has a folder for each model, named like it; "" for a bucket named after the account.
    """
    found: dict[str, ImportedModel] = {}
    if not re.fullmatch(r"\d{12}", account):
        raise InvalidRequest(f"{account!r} is not an AWS account number.", "Give twelve digits.")
    for spec in specs:
        name, equals, rest = spec.partition("=")
        source, imported = _dated(rest)
        own = _ARN.fullmatch(name)
        place = {"region": region, "account": account}
        if own:
            place, name = own.groupdict(), own["id"]
        if not equals or not _NAME.fullmatch(name) or not source:
            raise InvalidRequest(
                f"{spec!r} does not describe a model.",
                f"Write NAME=SOURCE or NAME=SOURCE@DATE, such as mine={EMBEDDED.path}@2025-12-01.",
            )
        if name in found:
            raise InvalidRequest(f"There are two models named {name!r}.", "Give each model its own name.")
        uri = f"{s3.rstrip('/')}/{name}/" if s3 else f"s3://candor-{account}/{name}/"
        found[name] = ImportedModel(name, source, imported, s3_uri=uri, **place)
    return tuple(found.values())


def _dated(text: str) -> tuple[str, datetime]:
    source, at, day = text.rpartition("@")
    if at:
        try:
            return source, _in_utc(datetime.fromisoformat(day))
        except ValueError:
            pass  # the @ is part of a path
    return text, datetime.now(UTC).replace(microsecond=0)


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def find(models: Sequence[ImportedModel], name_or_arn: str, *, by_name: bool = True) -> ImportedModel | None:
    """The model with that ARN, or, if by_name, that name. None if there is none."""
    return next((each for each in models if name_or_arn == each.arn or (by_name and name_or_arn == each.name)), None)
