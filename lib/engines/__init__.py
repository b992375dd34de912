"""Engines: what answers a request with a completion."""
