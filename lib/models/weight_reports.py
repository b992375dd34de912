"""transformers' report on loaded weights: which were missing, and which had no place in the model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Tables and masks that a model computes itself, and parts that don't affect the scores of text: those for images and
# audio, value heads from reinforcement learning, heads that predict several tokens ahead.
_IDLE = re.compile(
    r"(^|\.)(inv_freq|cos_cached|sin_cached|masked_bias|position_ids|causal_mask)$|\.(attn|attention)\.(bias|masked_bias)$"
    r"|(^|\.)(vision\w*|visual|audio\w*|multi_modal_projector|mm_projector|image_newline|v_head|mtp\w*|nextn\w*)\."
)


def gaps_in(report: Mapping[str, Any]) -> list[str]:
    """Names of weights that are missing or of the wrong size; transformers fills them with random numbers."""
    return sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})


def unplaced_in(report: Mapping[str, Any]) -> list[str]:
    """Names of weights that the model has no place for and that would have changed its scores."""
    return sorted(key for key in report["unexpected_keys"] if not _IDLE.search(key))


def first_of(names: Sequence[str]) -> str:
    """The first name and the number of others: "a and 2 more"."""
    return names[0][:120] + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
