"""Connection: models, access and cost."""

import streamlit as st

from components.shell.entrypoint import require_entrypoint

require_entrypoint("pages/connection.py")

# Nothing else may run before the entry point.
from components.connection.cost import caps_form, session_cost, warm_up_now  # noqa: E402
from components.connection.models import empty_state, model_facts, models_table, permissions  # noqa: E402
from components.shell.access import policy  # noqa: E402

st.title("Models, access and cost")
model, place = st.session_state.get("model.imported"), st.session_state.get("model.place")
if place is None:
    empty_state()
else:
    with st.container():
        if model is not None:
            model_facts(model)
            warm_up_now(model)
    with st.container():
        models_table(place)
session_cost()
caps_form(policy())
if place is not None:
    with st.expander("Permissions Candor needs", icon=":material/key:"):
        permissions(model, place)
