"""A JSON answer by its fields."""

from __future__ import annotations

import json
import math
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
_LONGEST_SCHEMA = 100_000  # characters


def json_answer(done: Completion) -> None:
    """Show the fields of the first JSON in an answer; nothing if there is none."""
    try:
        found = fields_of(done, _choices())
        problem = None
    except InvalidRequest as error:
        found, problem = fields_of(done), error
    if not found.fields:
        return
    with st.expander("JSON by field", icon=":material/data_object:", expanded=True):
        if problem is not None:
            show_error(problem)
        if found.problem:
            st.caption(as_text(found.problem))
        _least(found)
        rows = [_row(each) for each in table(found.fields)]
        if not any(row["Whole values"] for row in rows):
            rows = [{name: value for name, value in row.items() if name != "Whole values"} for row in rows]
        st.dataframe(rows, hide_index=True)
        st.caption(
            "A field's probability is that of its value's tokens, one after the other; braces, quotes and keys do not "
            "count. It says how sure the model was, not whether the value is in the source."
        )
        st.text_area(
            "Values a field can have", key=_SCHEMA, persist_state="session", height=80,
            placeholder='{"colour": ["red", "blue"]}, or a JSON schema with "enum"',
            max_chars=_LONGEST_SCHEMA, help="Their probabilities are then shown for whole values.",
        )  # fmt: skip


def _choices() -> dict[str, Any] | None:
    """What is typed as the values of fields. Raises InvalidRequest."""
    typed = (st.session_state.get(_SCHEMA) or "").strip()
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
    if all(isinstance(each, list) for each in values.values()):
        return values
    return dict(choices_in(values))


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
