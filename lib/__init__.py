"""Candor without a screen: data model, engines, scores. Importable in a notebook; never imports streamlit."""

VERSION = "0.1.0"
