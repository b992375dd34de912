"""A text in spans, each shaded by a difference of logprobs on one diverging scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.shell.component_assets import component
from lib import formatting
from lib.display.diverging_scale import STEPS, legend, steps
from lib.segmentation.char_classes import marked

_mount = component(
    "difference_map", Path(__file__).parent / "browser", js="difference_map.js", css="difference_map.css"
)


def difference_map(
    texts: Sequence[str],
    differences: NDArray[np.float64],
    *,
    around: Sequence[str],
    ends: tuple[str, str],
    label: str,
    key: str,
) -> None:
    """Draw the text with its spans.

    texts: the m spans.
    differences: float64[m], nats, one per span.
    around: m + 1 unscored texts, before, between and after the spans.
    ends: what the lower and the upper end of the scale mean.
    label: the map's name for screen readers.
    """
    _mount(
        key=key,
        data={
            "texts": list(map(marked, texts)),
            "around": list(map(marked, around)),
            "steps": steps(differences).tolist(),
            "tips": [f"{formatting.signed(float(each), 3)} nats" for each in differences],
            "legend": list(legend()),
            "most": STEPS,
            "less": ends[0],
            "more": ends[1],
            "label": label,
        },
    )
