"""Tables of labelled rows from files: JSON Lines, JSON, CSV and Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lib.errors import BadFile, ModelUnavailable
from lib.sandbox.sandbox import Sandbox
from lib.segmentation.char_classes import plain

MOST_ROWS = 50_000
MOST_BYTES = 100_000_000
MOST_COLUMNS = 200
LONGEST_VALUE = 1_000_000  # characters of a cell
_MOST_PROBLEMS = 1_000  # that are listed; a file with more is another kind of file
_SAMPLE = 65_536  # characters by which the separator of a CSV file is found
_PARQUET = b"PAR1"
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_SAMPLE_ROWS = "Evaluate a sample of its rows; intervals hardly narrow beyond 20,000."


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be used."""

    row: int  # its number in the file, from 1, without the header of a CSV file
    cause: str


@dataclass(frozen=True)
class Table:
    """The rows of a file. Missing values, NaN among them, are not in a row's mapping."""

    columns: tuple[str, ...]  # in the order of the file
    rows: tuple[Mapping[str, Any], ...]  # values are str, int, float, bool, or lists and mappings of these
    numbers: tuple[int, ...]  # the number of each row in the file, from 1
    problems: tuple[Problem, ...]  # rows that are left out


def read_table(data: bytes, name: str = "") -> Table:
    """Read a table of any of the formats; the content decides which, and the file's name only between CSV and text.

    Raises BadFile if it has another format, no rows, or is too large.
    """
    if len(data) > MOST_BYTES:
        raise BadFile(f"The file is {len(data) / 1e6:,.0f} MB; the limit is {MOST_BYTES / 1e6:,.0f} MB.", _SAMPLE_ROWS)
    if data[:4] == _PARQUET:
        return _table(_json_rows(_parquet_lines(data)))
    text = _text(data)
    if not text.strip():
        raise BadFile("The file is empty.", "Choose one with a row for each question.")
    if text.lstrip().startswith(("{", "[")) and not name.lower().endswith((".csv", ".tsv")):
        return _table(_json_rows(text))
    if name.lower().endswith((".jsonl", ".json", ".ndjson")):
        raise BadFile("The file is not JSON.", 'Each line of a JSON Lines file is an object, such as {"question": …}.')
    return _table(_csv_rows(text))


def _text(data: bytes) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadFile(f"Line {line:,} of the file is not UTF-8.", "Save the file in the encoding UTF-8.") from error


Found = tuple[int, Mapping[str, Any] | str]  # the number of a row, and the row or why it cannot be used


def _table(found: Iterable[Found]) -> Table:
    columns: dict[str, None] = {}
    rows: list[Mapping[str, Any]] = []
    numbers: list[int] = []
    problems: list[Problem] = []
    for number, row in found:
        if isinstance(row, str):
            problems.append(Problem(number, row))
            if len(problems) > _MOST_PROBLEMS:
                raise BadFile(f"More than {_MOST_PROBLEMS:,} rows of the file cannot be read.", problems[0].cause)
            continue
        if len(rows) >= MOST_ROWS:
            raise BadFile(f"The file has more than {MOST_ROWS:,} rows.", _SAMPLE_ROWS)
        if not all(_is_text(str(name)) for name in row):
            problems.append(Problem(number, "The name of one of its columns has a NUL or half of a character."))
            continue
        kept = {str(name): value for name, value in row.items() if not _is_missing(value)}
        columns.update(dict.fromkeys(map(str, row)))
        if len(columns) > MOST_COLUMNS:
            raise BadFile(f"The file has more than {MOST_COLUMNS} columns.", "Remove the ones you don't need.")
        if any(isinstance(value, str) and len(value) > LONGEST_VALUE for value in kept.values()):
            problems.append(Problem(number, f"It has a value of more than {LONGEST_VALUE:,} characters."))
            continue
        rows.append(kept)
        numbers.append(number)
    if not rows:
        raise BadFile("The file has no row that can be read.", problems[0].cause if problems else "")
    return Table(tuple(columns), tuple(rows), tuple(numbers), tuple(problems))


def _is_text(name: str) -> bool:
    """Whether a column's name can be shown and written: it has no NUL and no half of a character."""
    return plain(name) == name


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _json_rows(text: str) -> Iterator[Found]:
    """The rows of JSON Lines, or of one JSON array of objects."""
    if text.lstrip().startswith("["):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadFile("The file is not valid JSON.", _where(error)) from error
        for number, value in enumerate(values, 1):
            yield number, value if isinstance(value, dict) else "It isn't a JSON object."
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"It is not valid JSON. {_where(error)}"
            continue
        yield number, value if isinstance(value, dict) else "It isn't a JSON object."


def _where(error: Exception) -> str:
    return f"{error.msg} at character {error.pos + 1}." if isinstance(error, json.JSONDecodeError) else ""


def _csv_rows(text: str) -> Iterator[Found]:
    separator = _separator(text[:_SAMPLE].split("\n")[0])
    if (said := _SEPARATOR_LINE.match(text)) is not None:  # as Excel writes it
        separator, text = said[1], text[said.end() :]
    csv.field_size_limit(MOST_BYTES)  # a long value is a problem of its row, see `_table`
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    try:
        header = [each.strip() for each in next(reader, [])]
        while header and not header[-1]:  # as spreadsheets write columns that are empty
            header.pop()
        _check_header(header)
        for number, values in enumerate(reader, 1):
            if not values:
                continue
            while len(values) > len(header) and not values[-1].strip():
                values.pop()
            if len(values) != len(header):
                yield number, f"It has {len(values)} values for {len(header)} columns."
                continue
            yield number, {name: value for name, value in zip(header, values, strict=True) if value.strip()}
    except csv.Error as error:
        raise BadFile(f"Line {reader.line_num:,} of the file is not CSV: {error}.", "Check its quotes.") from error


def _separator(header: str) -> str:
    """The separator that occurs most often in the first line. The patterns of `csv.Sniffer` backtrack."""
    return max(",;\t|", key=_QUOTED.sub("", header).count)


def _check_header(header: list[str]) -> None:
    if len(header) > MOST_COLUMNS:
        raise BadFile(f"The file has more than {MOST_COLUMNS} columns.", "Remove the ones you don't need.")
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise BadFile(f"Two columns are named “{twice[0]}”.", "Give each column its own name.")
    if not header or not all(header):
        raise BadFile("A column has no name.", "The first line of a CSV file names its columns.")


def _parquet_lines(data: bytes) -> str:
    """The rows of a Parquet file as JSON Lines: read by a child process, as a few bytes may unpack to gigabytes."""
    if data[-4:] != _PARQUET:
        raise BadFile("The Parquet file is damaged.", "Write it again.")
    source = {"data": data, "most_rows": MOST_ROWS, "most_bytes": MOST_BYTES}
    reader = Sandbox("parquet", source, what="The Parquet file", remedy=_SAMPLE_ROWS)
    try:
        return str(reader.open())
    except ModelUnavailable as error:
        raise BadFile(error.cause, error.remedy) from error
    finally:
        reader.close()
