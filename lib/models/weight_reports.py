"""What transformers says of weights that it has loaded: those that were missing, and those that it had no place for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Tables and masks that a model makes itself, and parts that the scores of texts never reach: those for pictures and
# sounds, a value head of reinforcement learning, heads that predict several tokens ahead.
_IDLE = re.compile(
    r"(^|\.)(inv_freq|cos_cached|sin_cached|masked_bias|position_ids|causal_mask)$|\.(attn|attention)\.(bias|masked_bias)$"
    r"|(^|\.)(vision\w*|visual|audio\w*|multi_modal_projector|mm_projector|image_newline|v_head|mtp\w*|nextn\w*)\."
)


def gaps_in(report: Mapping[str, Any]) -> list[str]:
    """The weights that are missing or of another size, which transformers fills with random numbers."""
    return sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})


def unplaced_in(report: Mapping[str, Any]) -> list[str]:
    """The weights in the files that the model has no place for, and that would have changed its scores."""
    return sorted(key for key in report["unexpected_keys"] if not _IDLE.search(key))


def first_of(names: Sequence[str]) -> str:
    """The first name, and how many more there are."""
    return names[0][:120] + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")
