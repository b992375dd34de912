"""The control plane: ListImportedModels and GetImportedModel."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lib.engines.local.engine import LocalEngine
from lib.serve.models import ImportedModel, find
from lib.serve.service_errors import Refusal

_MAX_RESULTS = 1000
_DEFAULT_RESULTS = 100


def _details(model: ImportedModel, engine: LocalEngine) -> dict[str, Any]:
    job = f"arn:aws:bedrock:{model.region}:{model.account}:model-import-job/{model.id}"
    return {
        **_summary(model, engine),
        "jobName": f"import-{model.name}",
        "jobArn": job,
        "modelDataSource": {"s3DataSource": {"s3Uri": model.s3_uri}},
        "customModelUnits": {"customModelUnitsPerModelCopy": 1, "customModelUnitsVersion": "v1.0"},
    }


def get_model(models: Sequence[ImportedModel], engines: Mapping[str, LocalEngine], identifier: str) -> dict[str, Any]:
    """GetImportedModel, by name or ARN. Raises Refusal."""
    model = find(models, identifier)
    if model is None:
        raise Refusal("ResourceNotFoundException", f"Could not find the imported model {identifier[:200]}.")
    return _details(model, engines[model.source])


def list_models(
    models: Sequence[ImportedModel], engines: Mapping[str, LocalEngine], query: Mapping[str, str]
) -> dict[str, Any]:
    """ListImportedModels: one page of the matching models, by import time. Raises Refusal."""
    before, after = _moment(query, "creationTimeBefore"), _moment(query, "creationTimeAfter")
    part = query.get("nameContains", "")
    order = query.get("sortOrder", "Descending")
    if order not in ("Ascending", "Descending") or query.get("sortBy", "CreationTime") != "CreationTime":
        raise Refusal("ValidationException", "sortBy must be CreationTime and sortOrder Ascending or Descending.")
    limit = _max_results(query)
    chosen = [
        model
        for model in sorted(models, key=lambda each: (each.imported, each.name), reverse=order == "Descending")
        if part in model.name
        and (before is None or model.imported < before)
        and (after is None or model.imported > after)
    ]
    filters = [part, str(before), str(after), order]
    start = _start(query.get("nextToken"), filters)
    page = {"modelSummaries": [_summary(model, engines[model.source]) for model in chosen[start : start + limit]]}
    if start + limit < len(chosen):
        token = json.dumps([start + limit, *filters]).encode()
        page["nextToken"] = base64.urlsafe_b64encode(token).decode()  # type: ignore[assignment]
    return page


def _summary(model: ImportedModel, engine: LocalEngine) -> dict[str, Any]:
    return {
        "modelArn": model.arn,
        "modelName": model.name,
        "creationTime": model.imported.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "instructSupported": False,  # whether Converse can be used; this server does not have it
        "modelArchitecture": str(engine.loaded.model.config.model_type),
    }


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        found = datetime.fromisoformat(query[name])
    except ValueError as error:
        raise Refusal("ValidationException", f"{name} is not a timestamp.") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _max_results(query: Mapping[str, str]) -> int:
    text = query.get("maxResults", str(_DEFAULT_RESULTS))
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= _MAX_RESULTS):
        raise Refusal("ValidationException", f"maxResults must be a number from 1 to {_MAX_RESULTS}.")
    return int(text)


def _start(token: str | None, filters: list[str]) -> int:
    """The index at which a page starts. A token is only valid with the filters it was issued for."""
    if token is None:
        return 0
    try:
        start, *given = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError) as error:
        raise Refusal("ValidationException", "The provided nextToken is invalid.") from error
    if given != filters or not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise Refusal("ValidationException", "The provided nextToken is invalid.")
    return start
