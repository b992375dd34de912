"""The same request as code that runs without Candor."""

from __future__ import annotations

import streamlit as st

from lib.core.branching import as_text
from lib.core.completion import Completion
from lib.core.sources import BedrockModel, Source
from lib.wire.formats import Format
from lib.wire.snippets import call_of


def show_call(done: Completion, source: Source | None) -> None:
    """Show boto3 code and an AWS CLI line; for a Bedrock model, in the format it answered in."""
    request = as_text(done)
    if request is None:
        return
    model = source if isinstance(source, BedrockModel) else None
    format_name = dict(done.provenance).get("format") if model is not None else None
    with st.expander("Show this call", icon=":material/code:"):
        script, line = call_of(request, model, Format(format_name) if format_name else None)
        if model is None:
            st.caption("As a call to a model imported into Bedrock. Fill in its ARN and region.")
        st.caption("Python (boto3)")
        st.code(script, language="python")
        st.caption("AWS CLI")
        st.code(line, language="bash", wrap_lines=True)
