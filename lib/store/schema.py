"""The tables as queries name them; `lib.store.migrations` makes them."""

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
    """Text of which a database refuses some: NUL and lone surrogates are stored as escapes, and so is the backslash."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> str | None:
        """As it is stored."""
        return None if value is None else _stored(value)

    def process_result_value(self, value: Any, _dialect: Any) -> str | None:
        """As it was given."""
        if value is None:
            return None
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)  # SQLite takes any type
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


METADATA = MetaData()
INDEXED = 200  # characters of a long text that are in an index, as the third migration has it

RUNS = Table(
    "runs",
    METADATA,
    Column("number", BigInteger, primary_key=True),  # counts up in the order in which runs were begun
    Column("id", Text),
    Column("digest", Text),  # of what it holds; "" until it is over
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
    Column("created", BigInteger),  # microseconds since 1970, as are
    Column("touched", BigInteger),
    Column("seconds", Float),
    Column("tokens", BigInteger),
    Column("bytes", BigInteger),
    Column("text_bytes", BigInteger),
    Column("model_fingerprint", Text),
    Column("tokenizer_fingerprint", Text),
    Column("removed", BigInteger),  # this one; NULL for a run that is there
)

TAGS = Table("tags", METADATA, Column("run", BigInteger, primary_key=True), Column("tag", AnyText, primary_key=True))

ANSWERS = Table(
    "answers",
    METADATA,
    Column("run", BigInteger, primary_key=True),
    Column("place", Integer, primary_key=True),  # among the answers of a run
    Column("part", Integer, primary_key=True),  # 0 alone once the run is over
    Column("error", AnyText),  # JSON {"cause", "remedy"} of one that failed
    Column("data", LargeBinary),  # `lib.store.compression`; NULL where nothing came
)

TEXTS = Table(
    "texts",
    METADATA,
    Column("number", BigInteger, primary_key=True),  # that of its run times PIECES, plus its place in the text
    Column("run", BigInteger),
    Column("content", Text),  # folded
)

PIECES = 4096  # of a run's text at most; the last is its title, which may change


def indexed_part(of: ColumnElement[str]) -> ColumnElement[str]:
    """The beginning of a stored text, spelled as the indexes of models and titles have it."""
    return func.substr(of, literal_column("1"), literal_column(str(INDEXED)), type_=AnyText())


def is_indexed(of: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Whether a column, of which an index has the beginning, is this text."""
    stored = _stored(text)
    part = indexed_part(of) == literal(stored[:INDEXED], Text())
    # Of a short text the part is all; were the column compared besides, SQLite would not use the index.
    return part if len(stored) < INDEXED else and_(part, of == text)
