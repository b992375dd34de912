"""The same request as code, to run without Candor."""

from __future__ import annotations

import streamlit as st

from lib.errors import InvalidRequest
from lib.request import Request
from lib.sources import BedrockModel, Source
from lib.wire.calls import call_of
from lib.wire.formats import Format


def show_call(request: Request, source: Source | None) -> None:
    """boto3 code and an AWS CLI line, folded away."""
    model = source if isinstance(source, BedrockModel) else None
    with st.expander("Show this call", icon=":material/code:"):
        try:
            script, line = call_of(request, model, Format[model.form] if model is not None and model.form else None)
        except InvalidRequest:  # the other mode than the format's
            script, line = call_of(request, model)
        if model is None:
            st.caption("As it would go to a model imported into Bedrock: put its ARN and region in.")
        st.caption("Python, with boto3")
        st.code(script, language="python")
        st.caption("AWS CLI")
        st.code(line, language="bash", wrap_lines=True)
