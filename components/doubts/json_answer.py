"""A JSON answer by its fields."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import streamlit as st

from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.core.completion import Completion
from lib.errors import InvalidRequest
from lib.json_answers.choices import choices_in
from lib.json_answers.fields import Field, JsonReading, fields_of, table

_SCHEMA = "doubts.schema"
_KEPT = "doubts.json.kept"
_MOST_ROWS = 1_000  # fields in the table
_LONGEST_SCHEMA = 100_000  # characters


def json_answer(done: Completion) -> None:
    """Show the fields of the first JSON in an answer; nothing if there is none."""
    read = _read(done)
    found, rows = read.found, read.rows
    if not found.fields:
        return
    with st.expander("JSON by field", icon=":material/data_object:", expanded=True):
        if read.problem is not None:
            show_error(read.problem)
        if found.problem:
            st.caption(as_text(found.problem))
        _least(found)
        st.dataframe(rows, hide_index=True)
        if len(found.fields) > len(rows):
            st.caption(f"The table shows the first {len(rows):,} of {len(found.fields):,} fields.")
        st.caption(
            "A field's probability is that of its value's tokens, one after the other; braces, quotes and keys do not "
            "count. It says how confident the model was, not whether the value is in the source."
        )
        st.text_area(
            "Values a field can have", key=_SCHEMA, persist_state="session", height=80,
            placeholder='{"colour": ["red", "blue"]}, or a JSON schema with "enum"',
            max_chars=_LONGEST_SCHEMA, help="Their probabilities are then shown for whole values.",
        )  # fmt: skip


@dataclass(frozen=True)
class _Read:
    """What is read off an answer with one choice of values."""

    done: Completion
    typed: str  # the values of fields
    found: JsonReading
    rows: list[dict[str, Any]]  # of the table
    problem: InvalidRequest | None  # with what is typed; None if it is usable


def _read(done: Completion) -> _Read:
    """What is read off an answer, kept between reruns."""
    typed = (st.session_state.get(_SCHEMA) or "").strip()
    kept: _Read | None = st.session_state.get(_KEPT)
    if kept is None or kept.done is not done or kept.typed != typed:
        try:
            problem, found = None, fields_of(done, _choices(typed))
        except InvalidRequest as error:
            problem, found = error, fields_of(done)
        rows = [_row(each) for each in table(found.fields[:_MOST_ROWS])]
        if not any(row["Whole values"] for row in rows):
            rows = [{name: value for name, value in row.items() if name != "Whole values"} for row in rows]
        kept = st.session_state[_KEPT] = _Read(done, typed, found, rows, problem)
    return kept


def _choices(typed: str) -> dict[str, Any] | None:
    """What is typed as the values of fields. Raises InvalidRequest."""
    if not typed:
        return None
    try:
        values = json.loads(typed)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            "The values of fields are not valid JSON.", "Write an object of lists, or a schema."
        ) from error
    if not isinstance(values, dict):
        raise InvalidRequest("The values of fields are not a JSON object.", "Write an object of lists, or a schema.")
    if values and all(isinstance(each, list) for each in values.values()):
        return values
    if found := choices_in(values):
        return dict(found)
    raise InvalidRequest("This names no values of any field.", "Write an object of lists, or a schema with “enum”.")


def _least(found: JsonReading) -> None:
    told = [each for each in found.fields if not math.isnan(each.logprob)]
    if told:
        least: Field = min(told, key=lambda each: each.logprob)
        st.markdown(
            as_text(
                f"Least confident of {formatting.count(len(told), 'field')}: {formatting.beginning(least.path, 100)}, "
                f"{formatting.percent(math.exp(least.logprob))}."
            )
        )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "Field": row["field"],
        "Value": row["value"],
        "Probability": None if math.isnan(row["probability"]) else formatting.percent(row["probability"]),
        "Whole values": row["values"],
        "Least likely token": row["lowest"],
        "Alternatives": row["alternatives"],
        "Kind": row["kind"],
        "Note": row["note"],
    }
