"""Tokenizers from files: vocabularies, chat templates, and checks against the libraries they are made for."""
