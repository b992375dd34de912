"""How much of the store one owner may use."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from lib.access.visitor import MOST_STORED
from lib.errors import CandorError
from lib.store.schema import RUNS


class StoreFull(CandorError):
    """An owner's runs use all of the owner's share of the store."""


def check_room(connection: Connection, owner: str, more: int) -> None:
    """Raise StoreFull if `more` bytes exceed the owner's share. The owner "" has no limit."""
    if not owner:
        return
    stored = func.coalesce(func.sum(RUNS.c.bytes + RUNS.c.text_bytes), 0)
    used = int(connection.execute(select(stored).where(RUNS.c.owner == owner)).scalar_one())
    if used + more > MOST_STORED:
        raise StoreFull(
            f"Your saved runs take {used / 1e6:,.0f} MB; this server saves at most {MOST_STORED / 1e6:,.0f} MB for "
            "each visitor.",
            "Delete some in History. Results stay on the page and can be downloaded.",
        )
