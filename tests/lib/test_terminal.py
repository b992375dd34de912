"""Lines on a terminal: whatever is in a text, the terminal is told nothing by it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.terminal import one_line, say

TEXTS = st.text(st.characters() | st.sampled_from("\x1b\x07\r\n\x9b\u202e\ud800\u2028"))


@given(TEXTS)
def test_no_control_character_is_left(text: str) -> None:
    shown = one_line(text)
    assert shown.encode().decode() == shown
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]
    assert not {"\u202e", "\u2066", "\u200f"} & set(shown)


def test_plain_text_stays(capsys: pytest.CaptureFixture[str]) -> None:
    say("Größe: 3 × “東京” …")
    say("no\x1b]0;title\x07", error=True)
    said = capsys.readouterr()
    assert said.out == "Größe: 3 × “東京” …\n"
    assert said.err == "no‹U+001B›]0;title‹U+0007›\n"
