"""JSON answers by their fields: where each value is, and how confident the model was of it."""
