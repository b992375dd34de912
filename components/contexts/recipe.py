"""The pruning as a Python function with boto3 alone, for an imported model."""

from __future__ import annotations

import streamlit as st

from components.shell.escaping import as_text
from lib.contexts.pruning import Keep
from lib.contexts.recipe import as_python, imported_model
from lib.core.request import Mode
from lib.errors import CandorError
from lib.studies.contexts import ContextsPlan
from lib.wire.formats import Format


def recipe(plan: ContextsPlan, by: str, keep: Keep) -> None:
    """Show the function for the plan's model, or with an example's ARN if it is not an imported one."""
    if plan.mode is Mode.CHAT and plan.system:
        st.caption("The function sends no system prompt. Remove it, score again, then export.")
        return
    model, own = imported_model(plan.source)
    form = Format.CHAT if plan.mode is Mode.CHAT else Format.OPENAI
    try:
        code = as_python(model, plan.template, by, keep, wire_format=form, draft_tokens=plan.draft_tokens)
    except CandorError as error:
        st.caption(as_text(f"{error.cause} {error.remedy}"))
        return
    if not own:
        st.caption("The ARN in the code is an example. Replace it with that of your imported model.")
    st.code(code, language="python")
    st.download_button(
        "Function (Python)", code, "prune.py", "text/x-python", icon=":material/download:", on_click="ignore",
        type="tertiary",
    )  # fmt: skip
