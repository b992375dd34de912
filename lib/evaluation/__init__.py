"""Evaluations: labelled rows, the questions made of them, and whether answers are right."""
