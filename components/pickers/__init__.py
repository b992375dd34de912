"""Choosing a model and a tokenizer, and what the model can do."""
