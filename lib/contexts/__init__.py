"""Passages for a question: reading them, scoring them and choosing which to keep. Nothing here calls a model."""
