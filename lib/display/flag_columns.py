"""Flags as the columns that the browser's half of the token map reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lib.core.columnar import pack
from lib.display.flags import Flags
from lib.display.token_map_columns import text_columns
from lib.display.token_map_view import TokenMapView

MOST_ALTERNATIVES = 5  # that are sent of a term
LONGEST = 200  # characters that are sent of an alternative


def packed_flags(view: TokenMapView, flags: Flags) -> bytes:
    """The flags of a view in the columnar format, sorted by place.

    Per term: first and last (its cells, the last one excluded), score, sudden (1 for a sudden drop), and listed (its
    number of alternatives).
    Per alternative: its text and probability. Terms that begin before the view's base are left out. Raises
    ValueError for rows that the answer does not have.
    """
    first, last = cells_of(view, flags)
    shown = np.flatnonzero(first >= 0)
    shown = shown[np.lexsort((last[shown], first[shown]))]
    lists = [flags.alternatives[row][:MOST_ALTERNATIVES] for row in shown.tolist()]
    texts = [_sendable(text) for listed in lists for text, _ in listed]
    clear, strong = flags.severities
    meta = {
        "presets": [[name, float(value)] for name, value in flags.presets.items()],
        "threshold": float(flags.threshold),
        "clear": float(clear),
        "strong": float(strong),
        "unit": flags.unit,
        "scale": flags.scale,
    }
    return pack(
        "flags",
        meta,
        {
            "first": first[shown].astype(np.uint32),
            "last": last[shown].astype(np.uint32),
            "score": flags.scores[shown].astype(np.float32),
            "sudden": (np.zeros(len(flags), bool) if flags.sudden is None else flags.sudden)[shown].astype(np.uint8),
            "listed": np.array([len(listed) for listed in lists], np.uint8),
            **text_columns("text", texts),
            "probability": _probabilities(lists),
        },
    )


def cells_of(view: TokenMapView, flags: Flags) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """int64[m], int64[m]: the first cell of each term and the one after its last; −1 if it begins before the base.

    A cell that a term covers in part belongs to it. Raises ValueError for rows that the answer does not have.
    """
    begin, end = flags.first.astype(np.int64), flags.last.astype(np.int64)
    if ((begin < 0) | (end <= begin) | (end > len(view.completion.generated))).any():
        raise ValueError("flags must cover at least one token each, all of them in the answer")
    before = len(view.completion.prompt) - view.base  # tokens of the view before the answer's first; negative: after
    first = np.searchsorted(view.first, begin + before, side="right") - 1
    last = np.searchsorted(view.first, end + before, side="left")
    return np.where(begin + before < 0, -1, first), last


def _sendable(text: str) -> str:
    r"""A text without lone surrogates: bytes that are no UTF-8 are shown as ``\xNN``."""
    try:
        data = text[:LONGEST].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        data = text[:LONGEST].encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace")


def _probabilities(lists: Sequence[Sequence[tuple[str, float]]]) -> NDArray[np.float32]:
    return np.array([probability for listed in lists for _, probability in listed], np.float32)
