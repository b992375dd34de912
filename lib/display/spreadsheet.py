"""CSV for spreadsheets: opens as Unicode, and no text runs as a formula."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import regex

if TYPE_CHECKING:
    import pandas as pd

_BLANK = r"[\s;\p{Z}\p{C}\p{Default_Ignorable_Code_Point}\u2800]"  # invisible, or ; (which ends a cell in some locales)
# Invisible characters before a sign that starts a formula, full-width and small forms included.
_BEFORE = regex.compile(rf"(?<!{_BLANK}){_BLANK}*+(?=[=+\-@＝＋－＠﹦﹢﹣﹫])")
_ENDS = ";\t\r\n"  # ends of a cell or a row, in any locale
_FIRST = ("\t", "\r", "\n")
_MARK = "\ufeff"  # byte order mark; without it Excel reads the file in the local code page


def as_csv(frame: pd.DataFrame) -> str:
    """The table with its header, to be written as UTF-8. Lines end in CR LF; missing values are empty.

    A text that a spreadsheet would run as a formula gets a leading ', also inside the text wherever some locale could
    start a new cell.
    """
    out = io.StringIO()
    out.write(_MARK)
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in frame.columns])
    for row in frame.itertuples(index=False):
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> Any:
    import pandas as pd

    if not isinstance(value, str):
        return "" if pd.isna(value) else value
    return guarded(value)


def guarded(text: str) -> str:
    """The text as a cell holds it; see `as_csv`."""
    text = _BEFORE.sub(_guarded, text)
    return f"'{text}" if text.startswith(_FIRST) else text


def _guarded(found: regex.Match[str]) -> str:
    run = found[0]
    at = 1 + max(run.rfind(each) for each in _ENDS)
    return f"{run[:at]}'{run[at:]}" if at or not found.start() else run
