"""The smallest Streamlit app there is: what opening Explore is measured against."""

import streamlit as st

st.button("Generate")
