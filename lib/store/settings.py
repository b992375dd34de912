"""The settings that a visitor comes back to: a JSON object per owner."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select

from lib.store.database import Database
from lib.store.schema import SETTINGS

MOST = 20_000  # characters of the JSON


def read_settings(database: Database, owner: str) -> dict[str, Any]:
    """The settings of an owner; {} if there are none, or if they are damaged. Raises StoreUnavailable."""
    with database.reading() as connection:
        content = connection.execute(select(SETTINGS.c.content).where(SETTINGS.c.owner == owner)).scalar()
    try:
        found = json.loads(content or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_settings(database: Database, owner: str, values: Mapping[str, Any]) -> None:
    """Replace the settings of an owner. Those that are too long are dropped as a whole. Raises StoreUnavailable."""
    content = json.dumps(values)  # in ASCII
    with database.writing() as connection:
        connection.execute(delete(SETTINGS).where(SETTINGS.c.owner == owner))
        if values and len(content) <= MOST:
            connection.execute(insert(SETTINGS).values(owner=owner, content=content))
