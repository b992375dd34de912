"""Print lines on a terminal. Texts of files and models may be in them, so nothing in a line is an instruction to it."""

from __future__ import annotations

import sys

from lib.segmentation.char_classes import encodable, marked


def say(line: str, *, error: bool = False) -> None:
    """Print one line, with control characters and line breaks made visible. error: on standard error."""
    print(one_line(line), file=sys.stderr if error else sys.stdout)


def one_line(text: str) -> str:
    """The text with hidden characters as code points, and ↵ and → for line breaks and tabs."""
    return encodable(marked(text)).replace("\r\n", "↵").replace("\r", "↵").replace("\n", "↵").replace("\t", "→")
