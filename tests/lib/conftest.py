"""Hypothesis finds the same examples on every run; HYPOTHESIS_PROFILE=search looks for new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("repeat", max_examples=50, derandomize=True, database=None, **_CALM)
settings.register_profile("quick", max_examples=10, derandomize=True, database=None, **_CALM)  # for `make check`
settings.register_profile("search", max_examples=1000, **_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))
