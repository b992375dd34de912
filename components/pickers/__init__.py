"""Choosing a model and a tokenizer."""
