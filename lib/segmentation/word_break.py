r"""Word boundaries by the default rules of Unicode Standard Annex #29, for a whole text at once.

Implemented here for speed: the map of a long answer needs them again as it grows. numpy evaluates each rule for all
characters at once, whereas the package `uniseg` loops over them in Python. `(?w)\b` of the package `regex` takes ten
times as long and misses some boundaries around combining marks and flags. Tests compare the result with `uniseg`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lib.segmentation.char_classes import Classes, Points

Flags = NDArray[np.bool_]

(
    _CR, _LF, _NEWLINE, _EXTEND, _ZWJ, _FORMAT, _RI, _KATAKANA, _HEBREW, _LETTER, _SINGLE, _DOUBLE, _MID_NUM_LET,
    _MID_LETTER, _MID_NUM, _NUMERIC, _EXTEND_NUM_LET, _SPACE,
) = range(1, 19)  # fmt: skip
_NAMES = (
    "CR LF Newline Extend ZWJ Format Regional_Indicator Katakana Hebrew_Letter ALetter Single_Quote Double_Quote "
    "MidNumLet MidLetter MidNum Numeric ExtendNumLet WSegSpace"
)
_CLASSES = Classes(*(rf"\p{{WB={name}}}" for name in _NAMES.split()))
_PICTOGRAPHS = Classes(r"\p{Extended_Pictographic}")


def word_boundaries(points: Points) -> Flags:
    """bool[n + 1]: whether there is a boundary before each character, and at the end. Comments name the rules."""
    count = len(points)
    boundaries = np.ones(count + 1, bool)
    if count < 2:
        return boundaries
    kinds = _CLASSES.of(points)
    before, after = kinds[:-1], kinds[1:]
    joined = (before == _CR) & (after == _LF)  # WB3
    joined |= (before == _ZWJ) & (_PICTOGRAPHS.of(points[1:]) == 1) if (kinds == _ZWJ).any() else False  # WB3c
    joined |= (before == _SPACE) & (after == _SPACE)  # WB3d
    ignored = np.zeros(count, bool)
    ignored[1:] = np.isin(after, (_EXTEND, _FORMAT, _ZWJ)) & ~np.isin(before, (_CR, _LF, _NEWLINE))  # WB4
    boundaries[1:-1] = ~(joined | ignored[1:])
    shown = np.flatnonzero(~ignored)
    within = _joined(kinds[shown])
    boundaries[shown[1:][within]] = False
    return boundaries


def _joined(kinds: NDArray[np.uint8]) -> Flags:
    """bool[n - 1]: whether two neighbouring characters are joined, by the rules from WB5 on."""
    a, b = kinds[:-1], kinds[1:]
    earlier = np.append(np.zeros(1, np.uint8), a[:-1]) if len(a) else a
    later = np.append(b[1:], np.zeros(1, np.uint8)) if len(b) else b
    letters = np.zeros(32, bool)
    letters[[_HEBREW, _LETTER]] = True
    in_word, in_number, wordy = letters.copy(), np.zeros(32, bool), letters.copy()
    in_word[:], in_number[[_MID_NUM, _MID_NUM_LET, _SINGLE]] = False, True
    in_word[[_MID_LETTER, _MID_NUM_LET, _SINGLE]] = True
    wordy[[_NUMERIC, _KATAKANA]] = True
    joined = letters[a] & letters[b]  # WB5
    joined |= letters[a] & in_word[b] & letters[later]  # WB6
    joined |= letters[earlier] & in_word[a] & letters[b]  # WB7
    joined |= (a == _HEBREW) & (b == _SINGLE)  # WB7a
    joined |= (a == _HEBREW) & (b == _DOUBLE) & (later == _HEBREW)  # WB7b
    joined |= (earlier == _HEBREW) & (a == _DOUBLE) & (b == _HEBREW)  # WB7c
    joined |= (a == _NUMERIC) & ((b == _NUMERIC) | letters[b])  # WB8, WB10
    joined |= letters[a] & (b == _NUMERIC)  # WB9
    joined |= (earlier == _NUMERIC) & in_number[a] & (b == _NUMERIC)  # WB11
    joined |= (a == _NUMERIC) & in_number[b] & (later == _NUMERIC)  # WB12
    joined |= (a == _KATAKANA) & (b == _KATAKANA)  # WB13
    joined |= (wordy[a] | (a == _EXTEND_NUM_LET)) & (b == _EXTEND_NUM_LET)  # WB13a
    joined |= (a == _EXTEND_NUM_LET) & wordy[b]  # WB13b
    if (kinds == _RI).any():
        joined |= _flags(kinds)
    found: Flags = joined
    return found


def _flags(kinds: NDArray[np.uint8]) -> Flags:
    """WB15 and WB16: regional indicators come in pairs."""
    indicator = kinds == _RI
    places = np.arange(len(kinds))
    start = np.maximum.accumulate(np.where(indicator, -1, places)) + 1  # start of the run of indicators
    second = indicator & ((places - start) % 2 == 1)
    found: Flags = second[1:] & indicator[:-1]
    return found
