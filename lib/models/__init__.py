"""How a model is found, fetched and checked before an engine loads it."""
