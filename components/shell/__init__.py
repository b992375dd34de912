"""What surrounds every page: services, sign-in, messages, escaping, style, Streamlit workarounds."""
