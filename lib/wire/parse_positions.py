"""Parse positions keyed by token id, as BedrockCompletion sends them and OpenAI's formats send the prompt's."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import msgspec

from lib.wire.json_fields import Fields, is_null
from lib.wire.position_columns import REPLACEMENT, Entries, check_density, to_columns
from lib.wire.positions import Positions

_AT_ONCE = 4_000_000  # bytes of JSON that are decoded in one go


class _Score(msgspec.Struct, gc=False):
    """An entry without its string, which isn't even read."""

    logprob: float | None = None
    rank: int | None = None


class _NamedScore(msgspec.Struct, gc=False):
    """An entry with its string."""

    logprob: float | None = None
    rank: int | None = None
    decoded_token: str | None = None


_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ROW = msgspec.json.Decoder(dict[int, _Score | float | None] | None)
_NAMED_ROW = msgspec.json.Decoder(dict[int, _NamedScore | float | None] | None)
_ROWS = msgspec.json.Decoder(list[dict[int, _Score | float | None] | None])
_NAMED_ROWS = msgspec.json.Decoder(list[dict[int, _NamedScore | float | None] | None])
_BLOCK = 4_096  # entries whose values are read together
_LOGPROB, _RANK = attrgetter("logprob"), attrgetter("rank")


def positions_by_id(fields: Fields, name: str, names: bool) -> Positions | None:
    """The positions in a field, each entry an object or a bare number; None if the field is absent or null.

    names: as in `parse`.
    """
    raw = fields.get(name)
    if raw is None or is_null(raw):
        return None
    check_density(raw)
    found, entries = Entries(), list[Any]()
    counts, ids = found.counts, found.ids
    for row in _rows(raw, names):
        if row is None:
            counts.append(0)
            continue
        counts.append(len(row))
        ids.extend(row)
        entries.extend(row.values())
        if len(entries) >= _BLOCK:
            _take(found, entries, names)
    _take(found, entries, names)
    return to_columns(found)


def _take(found: Entries, entries: list[Any], names: bool) -> None:
    """Move the values of entries to the columns; many at a time, as each step in Python takes longer than an entry."""
    done = len(found.ranks)
    try:
        found.logprobs.extend(map(_LOGPROB, entries))
        found.ranks.extend(map(_RANK, entries))
    except AttributeError:  # bare numbers, or a null among objects
        del found.logprobs[done:], found.ranks[done:]
        found.logprobs += [getattr(entry, "logprob", entry) for entry in entries]
        found.ranks += [getattr(entry, "rank", None) for entry in entries]
    if names:
        found.literals += [_literal(getattr(entry, "decoded_token", None)) for entry in entries]
    entries.clear()


def _rows(raw: msgspec.Raw, names: bool) -> Iterable[dict[int, Any] | None]:
    """The positions of a list. A short list is decoded in one go, which is faster."""
    if len(memoryview(raw)) <= _AT_ONCE:
        return (_NAMED_ROWS if names else _ROWS).decode(raw)
    return map((_NAMED_ROW if names else _ROW).decode, _LIST.decode(raw))


def _literal(text: str | None) -> bytes:
    """The bytes of a string; empty if it has lost parts of characters."""
    blob = (text or "").encode("utf-8", "surrogatepass")
    return b"" if REPLACEMENT in blob else blob
