"""The tuned sibling of the embedded model: a LoRA adapter that ships with Candor.

Trained on the catalogue of Ardenworks, an invented maker of household goods; `tests/making/tuned_model.py` makes it.
"""

from __future__ import annotations

from pathlib import Path

NAME = "Ardenworks-tuned SmolLM2-135M"  # begins unlike the base's name: lists cut names short
DIRECTORY = Path(__file__).parent / "ardenworks"
