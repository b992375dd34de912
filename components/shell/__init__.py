"""Around every page: services, messages, escaping, styles, workarounds for Streamlit."""
