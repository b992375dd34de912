"""The rows of a Parquet file as JSON Lines, within limits. Runs in the child process."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lib.errors import ModelUnavailable

_BATCH = 100  # rows decoded at once


def prepare() -> None:
    """Import what reading needs, as no file can be opened later."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_memory_pool(pa.system_memory_pool())  # the other pools reserve address space, which is limited
    made = io.BytesIO()
    pq.write_table(pa.table({"x": ["a"], "y": [["b"]]}), made)
    list(_batches(pq.ParquetFile(made)))


def json_lines(data: bytes, most_rows: int, most_bytes: int) -> str:
    """The rows, one JSON object a line. Raises ModelUnavailable if they are too many, too large or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    way_out = "Evaluate a sample of its rows."
    found: list[str] = []
    size = 0
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if file.metadata.num_rows > most_rows:
            raise ModelUnavailable(
                f"The file has {file.metadata.num_rows:,} rows; the limit is {most_rows:,}.", way_out
            )
        if twice := [name for name, count in Counter(file.schema_arrow.names).items() if count > 1]:
            raise ModelUnavailable(f"Two columns are named “{twice[0]}”.", "Give each column its own name.")
        for row in _rows(file):
            line = json.dumps({name: _plain(value) for name, value in row.items()})
            size += len(line) + 1
            if size > most_bytes or len(found) >= most_rows:
                raise ModelUnavailable(
                    f"The file has more than {most_bytes / 1e6:,.0f} MB or {most_rows:,} rows when unpacked.", way_out
                )
            found.append(line)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, MemoryError):
            raise
        raise ModelUnavailable("The Parquet file is damaged.", "Write it again.") from error
    return "\n".join(found)


def _rows(file: Any) -> Iterator[dict[str, Any]]:
    for batch in _batches(file):
        yield from batch.to_pylist()


def _batches(file: Any) -> Iterator[Any]:
    return iter(file.iter_batches(_BATCH, use_threads=False))


def _plain(value: Any) -> Any:
    """A value as JSON would have it: dates and numbers of other types as text."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return str(value)
