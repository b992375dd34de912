"""Regular expressions that users write, compiled in bounded memory and time. Every such pattern is compiled here."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import regex

from lib.errors import InvalidPattern

LONGEST_PATTERN = 500  # characters
MOST_REPEATS = 1_000  # the product of all bounds of repeats
_MOST_COPIES = 50_000  # characters of the pattern times its repeats: about 30 MB and 0.1 s at worst
_KEPT = 32  # compiled patterns

_VERBOSE = regex.compile(r"\(\?[A-Za-z0-9-]*x")
_REPEAT = regex.compile(r"\{(?=[\d,]*\d)(\d{0,9})\d*(?:,(\d{0,9})\d*)?\}")


def compiled(pattern: str) -> Any:
    """The compiled pattern. Raises InvalidPattern if it is invalid, too long, or expands to too much."""
    _check(pattern)
    try:
        return _compiled(pattern)
    except regex.error as error:
        where = "" if error.pos is None else f" at character {error.pos + 1}"
        raise InvalidPattern(f"Invalid regular expression: {error.msg}{where}.", "Correct it.") from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise InvalidPattern("The pattern is too large.", "Simplify it.") from error


def _check(pattern: str) -> None:
    """Raise InvalidPattern for a pattern that may take too much time or memory to compile."""
    if len(pattern) > LONGEST_PATTERN:
        raise InvalidPattern(f"The pattern is longer than {LONGEST_PATTERN} characters.", "Use a shorter one.")
    if _VERBOSE.search(pattern):  # white space and comments could hide a repeat
        raise InvalidPattern("The pattern turns on verbose mode.", "Remove the x from (?x).")
    repeats = [max(1, *(int(each) for each in found.group(1, 2) if each)) for found in _REPEAT.finditer(pattern)]
    copies = math.prod(repeats)  # the compiler expands repeats; nested ones multiply
    if copies > MOST_REPEATS or copies * len(pattern) > _MOST_COPIES:
        most = min(MOST_REPEATS, _MOST_COPIES // len(pattern))
        raise InvalidPattern(
            f"The pattern repeats something {copies:,} times.",
            f"Keep the product of all {{…}} at {most:,} or less, or use * or +.",
        )


@lru_cache(_KEPT)  # the cache of `regex` keeps hundreds, whatever their size
def _compiled(pattern: str) -> Any:
    return regex.compile(pattern, regex.V1, cache_pattern=False)
