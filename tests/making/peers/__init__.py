"""Scores by other libraries of the same answers, each in an environment of its own."""
