"""The same request as code that runs without Candor."""

from __future__ import annotations

import streamlit as st

from lib.core.branching import as_text
from lib.core.completion import Completion
from lib.core.sources import Source
from lib.wire.snippets import snippets_of


def show_call(done: Completion, source: Source | None) -> None:
    """Show boto3 code and an AWS CLI line; for a Bedrock model, in the format it answered in."""
    request = as_text(done)
    if request is None:
        return
    with st.expander("Show this call", icon=":material/code:"):
        found = snippets_of(request, source, dict(done.provenance).get("format", ""))
        if found.placeholder:
            st.caption("As a call to a model imported into Bedrock. Fill in its ARN and region.")
        st.caption("Python (boto3)")
        st.code(found.python, language="python")
        st.caption("AWS CLI")
        st.code(found.command, language="bash", wrap_lines=True)
