"""Paths of JSON values, as "orders[2].price", bounded in length whatever the keys are."""

from __future__ import annotations

import json
import re

from lib.segmentation.char_classes import encodable, marked

_LONGEST_KEY = 60  # characters of a key in a path
_LONGEST = 300  # characters of a path, of which the end is kept
_PLAIN = re.compile(r"[^\W\d][\w-]*")
_LAST_KEY = re.compile(r"""(?:(?:^|\.)(?P<plain>[^\W\d][\w-]*)|\[(?P<quoted>"(?:[^"\\]|\\.)*")\])(?:\[[0-9]*\])*$""")
_NUMBERS = re.compile(r"\[[0-9]+\]")


def inside(path: str, key: str) -> str:
    """The path of a key's value in an object."""
    short = key if len(key) <= _LONGEST_KEY else key[: _LONGEST_KEY - 1] + "…"
    if _PLAIN.fullmatch(short):
        return _bounded(f"{path}.{short}" if path else short)
    return _bounded(f"{path}[{json.dumps(short, ensure_ascii=False)}]")


def item(path: str, number: int) -> str:
    """The path of an array's item, counted from 0."""
    return _bounded(f"{path}[{number}]")


def of_all_items(path: str) -> str:
    """The path with the numbers of items left out, as "orders[].price"."""
    return _NUMBERS.sub("[]", path)


def last_key(path: str) -> str:
    """The key that a path ends with, without the numbers of items after it: "price" of "orders[2].price[0]"."""
    found = _LAST_KEY.search(path)
    if found is None:
        return ""
    return found["plain"] or str(json.loads(found["quoted"]))


def named(path: str) -> str:
    """A path in a sentence."""
    return quoted(path) if path else "the outermost object or array"


def quoted(text: str) -> str:
    """A text in a sentence: in quotes, bounded, with hidden characters as code points."""
    return f"“{marked(encodable(text[:_LONGEST]))}”"


def _bounded(path: str) -> str:
    return path if len(path) <= _LONGEST else "…" + path[1 - _LONGEST :]
