"""Clean up text that was copied from elsewhere and pasted into a form."""

from __future__ import annotations

import re
import unicodedata

AROUND = "\"'`“”‘’„‚«»‹›<>()[]{}*,;"  # characters that often surround a copied value
# Hosts of the AWS console.
CONSOLE = re.compile(r"(?:console|signin)\.(?:aws\.amazon|amazonaws|amazonaws-us-gov)\.|\.console\.", re.IGNORECASE)

_DASHES = re.compile("[\u2010-\u2015\u2212]")


def tidied(text: str, around: str = AROUND) -> str:
    """Normalize compatibility forms and dashes; remove invisible and surrounding characters."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Cs", "Co", "Cn"))
    return _DASHES.sub("-", text).strip().strip(around).strip()
