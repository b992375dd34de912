"""The same request as code, to run without Candor."""

from __future__ import annotations

import streamlit as st

from lib.core.branching import as_text
from lib.core.completion import Completion
from lib.core.sources import BedrockModel, Source
from lib.wire.formats import Format
from lib.wire.snippets import call_of


def show_call(done: Completion, source: Source | None) -> None:
    """boto3 code and an AWS CLI line, folded away. Of a model of Bedrock, in the format that it answered in."""
    request = as_text(done)
    if request is None:
        return
    model = source if isinstance(source, BedrockModel) else None
    spoken = dict(done.provenance).get("format") if model is not None else None
    with st.expander("Show this call", icon=":material/code:"):
        script, line = call_of(request, model, Format(spoken) if spoken else None)
        if model is None:
            st.caption("As it would go to a model imported into Bedrock: put its ARN and region in.")
        st.caption("Python, with boto3")
        st.code(script, language="python")
        st.caption("AWS CLI")
        st.code(line, language="bash", wrap_lines=True)
