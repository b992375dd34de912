"""The tables for SQLAlchemy queries; `lib.store.migrations` creates them."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
    func,
    literal,
    literal_column,
)
from sqlalchemy.types import TypeDecorator

_REFUSED = re.compile("[\\\\\0\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")


def _stored(text: str) -> str:
    return _REFUSED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class AnyText(TypeDecorator[str]):
    """Text that may contain NUL and lone surrogates, which databases refuse: they and backslashes are escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> str | None:
        """Escape text to store."""
        return None if value is None else _stored(value)

    def process_result_value(self, value: Any, _dialect: Any) -> str | None:
        """Unescape stored text."""
        if value is None:
            return None
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)  # SQLite stores any type
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


METADATA = MetaData()
INDEXED = 200  # first characters of a text that are in an index; the third migration has this number, too

RUNS = Table(
    "runs",
    METADATA,
    Column("number", BigInteger, primary_key=True),  # increases in the order in which runs began
    Column("id", Text),
    Column("digest", Text),  # of the answers; "" until the run is over
    Column("owner", Text),
    Column("shared", Integer),
    Column("page", Text),
    Column("model", AnyText),
    Column("source", AnyText),
    Column("title", AnyText),
    Column("excerpt", AnyText),
    Column("note", AnyText),
    Column("parent", Text),
    Column("details", Text),  # JSON in ASCII
    Column("state", Text),
    Column("error", AnyText),
    Column("version", Text),
    Column("created", BigInteger),  # microseconds since 1970
    Column("touched", BigInteger),  # microseconds since 1970
    Column("seconds", Float),
    Column("tokens", BigInteger),
    Column("bytes", BigInteger),
    Column("text_bytes", BigInteger),
    Column("model_fingerprint", Text),
    Column("tokenizer_fingerprint", Text),
    Column("removed", BigInteger),  # microseconds since 1970; NULL for a visible run
)

TAGS = Table("tags", METADATA, Column("run", BigInteger, primary_key=True), Column("tag", AnyText, primary_key=True))

ANSWERS = Table(
    "answers",
    METADATA,
    Column("run", BigInteger, primary_key=True),
    Column("place", Integer, primary_key=True),  # among the answers of a run
    Column("part", Integer, primary_key=True),  # 0 alone once the run is over
    Column("error", AnyText),  # JSON [cause, remedy]; "" for none
    Column("data", LargeBinary),  # see `lib.store.compression`; NULL for no tokens
)

TEXTS = Table(
    "texts",
    METADATA,
    Column("number", BigInteger, primary_key=True),  # number of the run times PIECES, plus the place in its text
    Column("run", BigInteger),
    Column("content", Text),  # folded
)

SETTINGS = Table("settings", METADATA, Column("owner", Text, primary_key=True), Column("content", Text))  # JSON, ASCII

PIECES = 4096  # at most, per run; the last is the title, which may change


def indexed_part(of: ColumnElement[str]) -> ColumnElement[str]:
    """The start of a stored text, in the same expression as the indexes on models and titles."""
    return func.substr(of, literal_column("1"), literal_column(str(INDEXED)), type_=AnyText())


def is_indexed(of: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a column equals a text, with the help of an index on its start."""
    stored = _stored(text)
    part = indexed_part(of) == literal(stored[:INDEXED], Text())
    # The start of a short text is all of it. Comparing the column as well would keep SQLite from using the index.
    return part if len(stored) < INDEXED else and_(part, of == text)
