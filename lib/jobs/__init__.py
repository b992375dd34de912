"""Asking, as work that belongs to the process and not to a page."""
