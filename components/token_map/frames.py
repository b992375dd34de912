"""Frames: the bytes the browser half of the token map reads, and the constants both halves share."""

from __future__ import annotations

import json
from typing import Any

from lib.display.scales import COLOURS, OUTSIDE, SCALES, UNSCORED, UNSURE, Scale
from lib.display.token_map_part import UNKNOWN


def _described(scale: Scale) -> dict[str, Any]:
    names = ("name", "label", "unit", "words", "edges", "rising", "whole", "explanation", "reason")
    return {name: getattr(scale, name) for name in names}


# Sent with every frame that starts a text.
SHARED = {
    "scales": [_described(scale) for scale in SCALES],
    "colours": COLOURS,
    "unsure": UNSURE,
    "outside": OUTSIDE,
    "unscored": UNSCORED,
    "unknown": UNKNOWN,
}


def framed(options: dict[str, Any], blob: bytes) -> bytes:
    """A u32 length, that many bytes of JSON, then the blob. Bytes at the top level cost the server least."""
    head = json.dumps(options).encode()
    return b"".join([len(head).to_bytes(4, "little"), head, blob])
