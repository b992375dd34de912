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
    less: str,
    more: str,
    label: str,
    key: str,
) -> None:
    """Draw it.

    texts: of the spans. differences: float64[m], nats. around: text before, between and after them that nothing is
    said of, m + 1. less, more: what the two ends of the scale mean. label: what a screen reader calls it.
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
            "less": less,
            "more": more,
            "label": label,
        },
    )
