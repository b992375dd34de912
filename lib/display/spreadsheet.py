"""Tables as CSV that a spreadsheet opens as data: in Unicode, and a text is never a formula."""

from __future__ import annotations

import csv
import io
from typing import Any

import pandas as pd
import regex

_BLANK = r"[\s;\p{Z}\p{C}\p{Default_Ignorable_Code_Point}\u2800]"  # all that shows nothing, and the end of a cell
# What stands before a sign that begins a formula, or one of its forms of other widths.
_BEFORE = regex.compile(rf"(?<!{_BLANK}){_BLANK}*+(?=[=+\-@＝＋－＠﹦﹢﹣﹫])")
_ENDS = ";\t\r\n"  # of a cell or a row, as a spreadsheet of another country reads it
_FIRST = ("\t", "\r", "\n")
_MARK = "\ufeff"  # without this byte order mark Excel reads the file in the code page of the machine


def as_csv(frame: pd.DataFrame) -> str:
    """The table with its header, to be written as UTF-8, lines ending in CR LF; missing values are empty.

    A text that a spreadsheet would run as a formula gets a ' in front, within it too where a cell might begin there.
    """
    out = io.StringIO()
    out.write(_MARK)
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in frame.columns])
    for row in frame.itertuples(index=False):
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return "" if pd.isna(value) else value
    text = _BEFORE.sub(_guarded, value)
    return f"'{text}" if text.startswith(_FIRST) else text


def _guarded(found: regex.Match[str]) -> str:
    run = found[0]
    at = 1 + max(run.rfind(each) for each in _ENDS)
    return f"{run[:at]}'{run[at:]}" if at or not found.start() else run
