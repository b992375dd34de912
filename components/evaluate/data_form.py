"""Which rows to evaluate: a labelled file, or a set that comes with Candor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import streamlit as st

from components.evaluate.compare_form import MOST_PROMPTS
from components.shell.access import most_uploaded, visitor
from components.shell.messages import show_error
from lib.core.request import Mode
from lib.core.sources import EMBEDDED
from lib.errors import CandorError
from lib.evaluation.dataset import Mapped, Task, guessed
from lib.evaluation.examples import SUMS, sums
from lib.evaluation.grading import Rule
from lib.evaluation.ready import ready_set, ready_table
from lib.evaluation.table import Table, read_table
from lib.models import tuned

_ENDINGS = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"]
_TABLE, _FILE, _PROBLEM = "evaluate.table", "evaluate.file", "evaluate.problem"
_PROMPTS = "evaluate.prompts"  # prompts of the Prompts page, to compare on many inputs


def labelled_rows() -> tuple[str, Table] | None:
    """Show the choice of a file; return its name and its rows, None without one."""
    _file()
    found: tuple[str, Table] | None = st.session_state.get(_TABLE)
    if found is None and (prompts := st.session_state.get(_PROMPTS)):
        st.caption(
            f"{len(prompts)} prompts from the Prompts page. Choose a file of inputs with their expected answers. Then "
            "put {column} where an input goes in each prompt."
        )
    if found is not None:
        st.session_state.update(_templates())
    if (problem := st.session_state.get(_PROBLEM)) is not None:
        show_error(problem)
    return found


def _templates() -> dict[str, str]:
    """The fields that hold the prompts of the Prompts page, if there are any to take over."""
    texts = [each.replace("{", "{{").replace("}", "}}") for each in st.session_state.pop(_PROMPTS, ())]
    names = ("evaluate.template", *(f"evaluate.template.{place}" for place in range(2, 1 + MOST_PROMPTS)))
    return dict(zip(names, texts, strict=False))


def _file() -> None:
    st.file_uploader(
        "Labelled questions", type=_ENDINGS, key=_FILE, on_change=_read, max_upload_size=most_uploaded(),
        help="JSON Lines, JSON, CSV or Parquet: a row for each question, with a column of expected answers.",
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Try", width="content")
        st.button(
            "Base against tuned, 200 questions", key="evaluate.page_set", type="tertiary", on_click=_use_page_set,
            help="Asks both models that ship with Candor about the catalogue that one of them was tuned on, and about "
            "the world. Selects the tuned model in the sidebar.",
        )  # fmt: skip
        st.button(SUMS, key="evaluate.example", type="tertiary", on_click=_use_sums)


def _read() -> None:
    """Read the file that was chosen."""
    state = st.session_state
    state.pop(_PROBLEM, None)
    uploaded = state.get(_FILE)
    if uploaded is None:
        state.pop(_TABLE, None)
        return
    try:
        data = uploaded.getvalue()
        visitor().check_size(len(data))
        table = read_table(data, uploaded.name)
        task, mapped = guessed(table)
    except CandorError as error:
        state.pop(_TABLE, None)
        state[_PROBLEM] = error
        return
    _use(uploaded.name, table, task, mapped)


def _use_sums() -> None:
    table, mapped = sums()
    st.session_state.pop(_PROBLEM, None)
    _use(SUMS, table, Task.SHORT, mapped)
    st.session_state["evaluate.rule"], st.session_state["evaluate.max_tokens"] = Rule.NUMBER, 4


def _use_page_set() -> None:
    """Take up the ready set of the page, for the base model and the tuned one."""
    found, state = ready_set("page"), st.session_state
    state.pop(_PROBLEM, None)
    _use(found.title, ready_table(found.name), found.task, found.mapped)
    state["evaluate.rule"], state["evaluate.mode"], state["evaluate.max_tokens"] = found.grader.rule, found.mode, 16
    state["evaluate.base"], state["model.choice"] = EMBEDDED, tuned.NAME


def _use(name: str, table: Table, task: Task, mapped: Mapped) -> None:
    """Take up a table, with what its columns are taken for."""
    st.session_state[_TABLE] = (name, table)
    values: dict[str, Any] = {"task": task, "rule": Rule.NORMALIZED, "tolerance": 0.0, "field": "", **asdict(mapped)}
    values |= {"choices": list(mapped.choices), "slices": list(mapped.slices), "mode": Mode.RAW, "max_tokens": 32}
    values |= {"base": None, **{f"template.{place}": "" for place in range(2, 1 + MOST_PROMPTS)}}
    st.session_state.update({f"evaluate.{name}": value for name, value in values.items()})
