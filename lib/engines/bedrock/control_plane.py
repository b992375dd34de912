"""The account's imported models, from Bedrock's control plane."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lib.engines.bedrock.errors import in_words

_MAX_MODELS = 1000  # to list; the default quota of an account is 3


@dataclass(frozen=True)
class Imported:
    """A model as the list shows it."""

    arn: str
    name: str
    created: datetime | None  # when it was imported (UTC); None if the service doesn't say
    architecture: str  # "" if the service doesn't say


@dataclass(frozen=True)
class Details:
    """What GetImportedModel says of one model."""

    model: Imported
    s3_uri: str = ""  # the folder it was imported from, "" if Bedrock doesn't say
    units: int | None = None  # Custom Model Units that one copy takes, None if Bedrock doesn't say
    version: str = ""  # of these units, which decides their price; "" if Bedrock doesn't say
    has_files: bool = False  # whether the endpoint serves these files itself, as the local Bedrock does


def list_imported(client: Any) -> tuple[Imported, ...]:
    """List the account's imported models in the client's region, newest first. Raises ServiceError."""
    try:
        pages = client.get_paginator("list_imported_models").paginate(
            sortBy="CreationTime", sortOrder="Descending", PaginationConfig={"MaxItems": _MAX_MODELS}
        )
        return tuple(_imported(each) for page in pages for each in page.get("modelSummaries", ()))
    except Exception as error:
        raise in_words(error) from error


def look_up(client: Any, arn: str) -> Details:
    """Get the details of one model. Raises ServiceError."""
    try:
        found = client.get_imported_model(modelIdentifier=arn)
    except Exception as error:
        raise in_words(error, arn) from error
    units = found.get("customModelUnits") or {}
    return Details(
        _imported({**found, "modelArn": found.get("modelArn") or arn}),
        ((found.get("modelDataSource") or {}).get("s3DataSource") or {}).get("s3Uri") or "",
        units.get("customModelUnitsPerModelCopy"),
        units.get("customModelUnitsVersion") or "",
        "s3" in str(found.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-candor-serves", "")).split(),
    )


def _imported(found: dict[str, Any]) -> Imported:
    arn = str(found.get("modelArn") or "")
    created = found.get("creationTime")
    return Imported(
        arn,
        str(found.get("modelName") or arn.rpartition("/")[2]),
        created.astimezone(UTC) if isinstance(created, datetime) else None,
        str(found.get("modelArchitecture") or ""),
    )
