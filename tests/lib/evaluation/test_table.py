"""Files of labelled rows: what is read of each format, and what is said of those that cannot be read."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import time
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import BadFile
from lib.evaluation import table as tables
from lib.evaluation.table import Problem, read_table

ROWS = [{"question": "1+1=", "answer": "2", "tags": ["sum"]}, {"question": "Größe, „é“?\nx", "answer": "ü|;,\t"}]
VALUES = st.one_of(st.text(max_size=8), st.integers(-5, 5), st.booleans(), st.none(), st.lists(st.text(max_size=3)))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)


def lines(rows: list[dict[str, object]]) -> bytes:
    return "\n".join(json.dumps(each) for each in rows).encode()


def test_json_lines_and_a_json_array_say_the_same() -> None:
    found = read_table(lines(ROWS))
    assert found.columns == ("question", "answer", "tags")
    assert list(found.rows) == ROWS
    assert (found.numbers, found.problems) == ((1, 2), ())
    assert read_table(json.dumps(ROWS).encode()) == found
    assert read_table(b"\xef\xbb\xbf" + lines(ROWS) + b"\r\n\n") == found
    assert read_table(lines(ROWS).decode().encode("utf-16")) == found


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_csv(separator: str) -> None:
    frame = pd.DataFrame([{"question": each["question"], "answer": each["answer"]} for each in ROWS])
    found = read_table(frame.to_csv(index=False, sep=separator).encode(), "rows.csv")
    assert [dict(each) for each in found.rows] == frame.to_dict("records")


def test_parquet() -> None:
    frame = pd.DataFrame({"q": ["a", "b"], "n": [1.5, float("nan")], "list": [["x"], ["y", "z"]]})
    frame["when"] = pd.to_datetime(["2026-01-01", "2026-01-02"])
    data = io.BytesIO()
    frame.to_parquet(data)
    found = read_table(data.getvalue())
    assert found.rows[0]["list"] == ["x"]
    assert found.rows[0]["when"].startswith("2026-01-01")
    assert "n" not in found.rows[1]


@given(st.lists(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4), min_size=1, max_size=5))
def test_any_rows_go_through_json_lines(rows: list[dict[str, object]]) -> None:
    found = read_table(lines(rows))
    assert [dict(each) for each in found.rows] == [
        {name: value for name, value in each.items() if value is not None} for each in rows
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for start in (b"", b"PAR1", b"{", b"[", b"a,b\n"):
        with contextlib.suppress(BadFile):
            assert read_table(start + data).rows


def test_rows_that_cannot_be_read_are_listed() -> None:
    found = read_table(b'{"q": 1}\n{"q": \n[1]\n\n{"q": NaN, "r": 2}\n')
    assert [dict(each) for each in found.rows] == [{"q": 1}, {"r": 2}]
    assert found.numbers == (1, 5)
    assert [each.row for each in found.problems] == [2, 3]
    assert found.problems[1] == Problem(3, "It isn't a JSON object.")
    found = read_table(b"q,a\n1,2\n1\n1,2,3\n,\n")
    assert [each.row for each in found.problems] == [2, 3]


@pytest.mark.parametrize(
    ("data", "name", "cause"),
    [
        (b"", "", "The file is empty."),
        (b" \n\n", "", "The file is empty."),
        (b"\xff\xfe\x00", "", "not UTF-8"),
        ("q\né".encode("latin-1"), "", "Line 2 of the file is not UTF-8."),
        (b"q,q\n1,2", "", "Two columns are named “q”."),
        (b",q\n1,2", "", "A column has no name."),
        (b",\n1,2", "", "A column has no name."),
        (b"q,\n1,2", "", "It has 2 values for 1 columns."),
        (b"q,a\n", "", "no row"),
        (b'q,a\n"1,2\n', "", "not CSV"),
        (b"hello", "rows.jsonl", "The file is not JSON."),
        (b"[1, 2", "", "not valid JSON"),
        (b"{", "", "no row"),
        (b"PAR1 and nothing else", "", "The Parquet file is damaged."),
        (b"[" * 100_000, "", "not valid JSON"),
    ],
)
def test_bad_files(data: bytes, name: str, cause: str) -> None:
    with pytest.raises(BadFile, match=cause):
        read_table(data, name)


def test_what_is_too_large_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 3)
    frame = io.BytesIO()
    pd.DataFrame({"q": range(4)}).to_parquet(frame)
    for data in (lines([{"q": 1}] * 4), b"q\n1\n2\n3\n4\n", frame.getvalue()):
        with pytest.raises(BadFile, match=r"rows.*sample"):
            read_table(data)
    monkeypatch.setattr(tables, "MOST_BYTES", 10)
    with pytest.raises(BadFile, match=r"MB.*sample"):
        read_table(lines(ROWS))


def test_csv_as_spreadsheets_write_it() -> None:
    found = read_table(b"sep=;\r\nq;a;;\r\n1,5;2;;\r\n3;4;;\r\n", "rows.csv")
    assert found.columns == ("q", "a")
    assert [dict(each) for each in found.rows] == [{"q": "1,5", "a": "2"}, {"q": "3", "a": "4"}]


def test_the_header_of_a_csv_file_may_begin_with_a_bracket() -> None:
    assert read_table(b"[q],{a}\n1,2\n", "rows.csv").columns == ("[q]", "{a}")


@pytest.mark.parametrize("size", [200_000, 1_000_001])
def test_a_long_value_of_a_csv_file_concerns_its_row_only(size: int) -> None:
    found = read_table(f"q,a\n1,2\n{'x' * size},2\n".encode(), "rows.csv")
    assert len(found.rows) == (2 if size < 1_000_000 else 1)
    assert [each.row for each in found.problems] == ([] if size < 1_000_000 else [2])


def test_a_row_whose_column_cannot_be_shown_is_a_problem() -> None:
    found = read_table(b'{"q": 1}\n{"q\\u0000": 2}\n{"q\\ud800": 3}\n{"q": 4}')
    assert (found.columns, found.numbers) == (("q",), (1, 4))
    assert [each.row for each in found.problems] == [2, 3]


LONG = "x" * 900_000


def parquet(values: pa.Array, **options: Any) -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.table({"q": values}), made, compression="zstd", **options)
    return made.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        parquet(pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array([LONG]))),
        parquet(
            pa.array([f"{LONG}{number}" for number in range(150)]),
            use_dictionary=False, column_encoding={"q": "DELTA_BYTE_ARRAY"},
        ),
        parquet(pa.array([[None] * 40_000_000], pa.list_(pa.int8()))),
    ],
    ids=["one value in every row", "a common beginning", "an endless list"],
)  # fmt: skip
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(data: bytes) -> None:
    assert len(data) < 2_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadFile, match=r"unpacked|memory") as caught:
        read_table(data)
    assert "sample" in caught.value.remedy
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_cell_of_a_megabyte_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LONGEST_VALUE", 5)
    found = read_table(lines([{"q": "short"}, {"q": "longer"}]))
    assert found.numbers == (1,)
    assert found.problems[0].row == 2


@pytest.mark.parametrize("line", ['"' * 60_000, '",' * 30_000, "'a' " * 15_000, ",;\t|" * 15_000])
def test_a_strange_first_line_takes_no_time(line: str) -> None:
    began = time.monotonic()
    with contextlib.suppress(BadFile):
        read_table(f"{line}\n1,2\n".encode(), "rows.csv")
    assert time.monotonic() - began < 5
