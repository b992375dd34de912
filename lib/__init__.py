"""Candor without a screen: data model, engines, scores. Importable in a notebook; never imports streamlit."""
