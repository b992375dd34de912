"""Escape foreign text for Streamlit's markdown: prompts, answers, names, errors of other programs.

Streamlit's markdown does more than CommonMark: it turns addresses into links, `:material/…:` into icons, names between
colons into emoji and `->` into arrows, and it has coloured text, badges and formulas. It finds some of these after the
markdown has been parsed, where a backslash has no effect. So every character with a possible meaning gets a backslash,
and characters that have a meaning only next to another one are separated by an element without content.
"""

from __future__ import annotations

import re

from lib.segmentation.char_classes import plain

_SIGN = re.compile(r"[!-/:-@\[-`{-~]")
_APART = frozenset(":/.@-<>~=&")
_NOTHING = ":small[]"  # an element without content
BREAK = "\\\n"  # ends a line within a paragraph
_BREAK = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SEVERAL = re.compile("  +")
_BLANK = re.compile(r"\s+")
# Control characters that show nothing, or reverse the order of the text after them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")


def as_text(text: str) -> str:
    """Markdown that shows any text literally, as one line without leading or trailing whitespace."""
    return _signs_kept(_BLANK.sub(" ", text).strip())


def bold(text: str) -> str:
    """Markdown that shows any text literally, as one line in bold; "" for whitespace."""
    made = as_text(text)
    return f"**{made}**" if made else ""


def as_lines(text: str) -> str:
    """Markdown that shows any text literally, with its line breaks and spaces."""
    lines = _BREAK.split(text)
    return BREAK.join(_signs_kept(_blanks_kept(line, first=not at)) or _NOTHING for at, line in enumerate(lines))


def _blanks_kept(line: str, *, first: bool) -> str:
    kept = _SEVERAL.sub(lambda found: "\u00a0" * (len(found[0]) - 1) + " ", line.expandtabs(4))
    return kept if first or not kept.startswith(" ") else "\u00a0" + kept[1:]


def _signs_kept(text: str) -> str:
    text = _CONTROL.sub("\ufffd", plain(text))
    return _SIGN.sub(lambda found: f"{_NOTHING if found[0] in _APART else ''}\\{found[0]}", text)
