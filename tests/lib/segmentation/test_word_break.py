from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from uniseg.wordbreak import words

from lib.segmentation.char_classes import Classes, points_of
from lib.segmentation.word_break import word_boundaries
from tests.support.strategies import _SNIPPETS

_LETTERS = list("ab1_'\".,:;-’· \u2007\u00a0\t\n\r\u05d0\u05f4カナ漢\u00ad\u200d\ufe0f🇩👩")
_MIXED = st.lists(
    st.one_of(
        st.sampled_from(_SNIPPETS),
        st.sampled_from([letter for snippet in _SNIPPETS for letter in snippet]),
        st.sampled_from(_LETTERS),
    ),
    max_size=14,
).map("".join)


def boundaries(text: str) -> list[int]:
    return np.flatnonzero(word_boundaries(points_of(text))).tolist()


@given(_MIXED)
@example("3.14 don't e.g. U.S.A. state-of-the-art f_1(x): 1,000;5")
@example('א"ב ג\' ד"')
@example("e\u0301.e\u0301 1\u0301.1")
@example("🇩🇪🇫🇷🇮 👨\u200d👩\u200d👧")
def test_boundaries_are_those_of_the_standard(text: str) -> None:
    assert boundaries(text) == [*np.cumsum([0, *map(len, words(text))]).tolist()]


def test_flags_are_pairs() -> None:
    assert boundaries("🇩🇪🇫🇷🇮 a") == [0, 2, 4, 5, 6, 7]
    assert boundaries("a🇩🇪🇫") == [0, 1, 3, 4]
    assert boundaries("🇩\u200d🇪🇫🇷") == [0, 3, 5]


def test_short_texts() -> None:
    assert boundaries("") == [0]
    assert boundaries("a") == [0, 1]


def test_classes_are_looked_up_page_by_page() -> None:
    classes = Classes(r"\p{Lu}", r"\p{L}", r"\d")
    text = "aB3 éÉāĂ漢😀\U0010ffff\ud800"
    assert classes.of(points_of(text)).tolist() == [2, 1, 3, 0, 2, 1, 2, 1, 2, 0, 0, 0]
    assert classes.of(points_of("")).tolist() == []
