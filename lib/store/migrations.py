"""The schema, as numbered steps that only go forward. A step never changes once it is released."""

from __future__ import annotations

from sqlalchemy import Connection, text

from lib.errors import BadFile

_LOCK = 0x43414E444F52  # PostgreSQL's advisory lock for migrations

_TYPES = {
    "sqlite": {
        "number": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "blob": "BLOB",
        "real": "REAL",
        "long": "INTEGER",
        "octets": "length(CAST(content AS BLOB))",
    },
    "postgresql": {
        "number": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "blob": "BYTEA",
        "real": "DOUBLE PRECISION",
        "long": "BIGINT",
        "octets": "octet_length(content)",
    },
}

# Each step is a list of statements; a dict holds the variants for each kind of database.
_STEPS: list[list[str | dict[str, str]]] = [
    [
        """
        CREATE TABLE runs (
            number {number}, id TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, owner TEXT NOT NULL,
            shared INTEGER NOT NULL,
            page TEXT NOT NULL, model TEXT NOT NULL, source TEXT NOT NULL, title TEXT NOT NULL, excerpt TEXT NOT NULL,
            note TEXT NOT NULL, parent TEXT NOT NULL, details TEXT NOT NULL, state TEXT NOT NULL, error TEXT NOT NULL,
            version TEXT NOT NULL, created {long} NOT NULL, touched {long} NOT NULL, seconds {real},
            tokens {long} NOT NULL, bytes {long} NOT NULL, removed {long}
        )
        """,
        "CREATE INDEX runs_parent ON runs (parent)",
        "CREATE INDEX runs_model ON runs (model, number)",
        "CREATE INDEX runs_created ON runs (created)",
        "CREATE INDEX runs_removed ON runs (removed) WHERE removed IS NOT NULL",
        """
        CREATE TABLE tags (
            run {long} NOT NULL REFERENCES runs (number) ON DELETE CASCADE, tag TEXT NOT NULL, PRIMARY KEY (run, tag)
        )
        """,
        "CREATE INDEX tags_tag ON tags (tag)",
        """
        CREATE TABLE answers (
            run {long} NOT NULL REFERENCES runs (number) ON DELETE CASCADE, place INTEGER NOT NULL,
            part INTEGER NOT NULL, error TEXT NOT NULL, data {blob}, PRIMARY KEY (run, place, part)
        )
        """,
        """
        CREATE TABLE texts (
            number {long} PRIMARY KEY, run {long} NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
            content TEXT NOT NULL
        )
        """,
        "CREATE INDEX texts_run ON texts (run)",
        {
            "sqlite": """
                CREATE VIRTUAL TABLE grams USING fts5 (gram, content = '', detail = none, columnsize = 0,
                    tokenize = "ascii")
            """,
            "postgresql": "ALTER TABLE texts ADD COLUMN grams TSVECTOR NOT NULL DEFAULT ''",
        },
        {"postgresql": "CREATE INDEX texts_grams ON texts USING gin (grams)"},
    ],
    [  # fingerprints, and indexes that let the history read only what it shows
        "ALTER TABLE runs ADD COLUMN model_fingerprint TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN tokenizer_fingerprint TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN text_bytes {long} NOT NULL DEFAULT 0",
        """
        UPDATE runs SET text_bytes =
            (SELECT coalesce(sum({octets}), 0) FROM texts WHERE texts.run = runs.number)
        """,
        "CREATE INDEX runs_sizes ON runs (owner, removed, tokens, bytes, text_bytes)",
        "CREATE INDEX runs_page ON runs (page, number)",
        "CREATE INDEX runs_owner_model ON runs (owner, model, number)",
        "CREATE INDEX runs_owner_page ON runs (owner, page, number)",
        "CREATE INDEX runs_title ON runs (lower(title), number)",
        "CREATE INDEX runs_tokens ON runs (tokens, number)",
    ],
    [  # PostgreSQL limits an index row to 2,704 bytes
        "DROP INDEX runs_model",
        "DROP INDEX runs_owner_model",
        "DROP INDEX runs_title",
        "CREATE INDEX runs_model ON runs (substr(model, 1, 200), number)",
        "CREATE INDEX runs_owner_model ON runs (owner, substr(model, 1, 200), number)",
        "CREATE INDEX runs_title ON runs (lower(substr(title, 1, 200)), number)",
    ],
    [  # the page "compare" is now called "prompts"
        "UPDATE runs SET page = 'prompts' WHERE page = 'compare'",
    ],
    [
        "CREATE TABLE settings (owner TEXT PRIMARY KEY, content TEXT NOT NULL)",
    ],
]

NEWEST = len(_STEPS)


def migrate(connection: Connection, steps: int = NEWEST) -> None:
    """Apply the missing steps in the transaction of `connection`. Raises BadFile for a newer schema.

    Concurrent processes take turns: SQLite's write transaction is a lock, and PostgreSQL has an advisory lock.
    """
    kind = connection.dialect.name
    if kind == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(text("CREATE TABLE IF NOT EXISTS candor_schema (version INTEGER NOT NULL)"))
    version = connection.execute(text("SELECT version FROM candor_schema")).scalar()
    if version is not None and version > NEWEST:
        raise BadFile(
            f"These runs were saved by a newer Candor (schema {version}; this one knows {NEWEST}).",
            "Update Candor, or set CANDOR_STORE to another database.",
        )
    if version is not None and version >= steps:
        return
    for step in _STEPS[version or 0 : steps]:
        for statement in step:
            sql = statement.get(kind) if isinstance(statement, dict) else statement
            if sql is not None:
                connection.exec_driver_sql(sql.format(**_TYPES[kind]))
    if version is None:
        connection.execute(text("INSERT INTO candor_schema VALUES (:version)"), {"version": steps})
    else:
        connection.execute(text("UPDATE candor_schema SET version = :version"), {"version": steps})
