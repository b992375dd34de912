"""Visitors, and what they may do."""
