"""Connection: models, access and cost."""

import streamlit as st

from components.calibrated import settings
from components.connection.cost import caps_form, session_cost, warm_up_now
from components.connection.models import empty_state, model_facts, models_table, permissions
from components.shell.access import policy

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
settings()
if place is not None:
    with st.expander("Permissions Candor needs", icon=":material/key:"):
        permissions(model, place)
