"""The whole values that fields of a JSON answer can have, from the user or a JSON schema, and their probabilities."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from lib.core.pieces import Ints
from lib.core.tokens import Tokens
from lib.doubts.spread import MOST_TEXTS, Spread, Texts, spread
from lib.errors import InvalidRequest
from lib.formatting import beginning
from lib.json_answers.paths import inside, last_key, of_all_items
from lib.segmentation.char_classes import marked

# The values of fields, by path. "orders[].status" is of all items, "status" any field of that name, and ".status" only
# that of the outermost object.
Choices = Mapping[str, Sequence[str]]

MOST_RESOLVED = 1_000  # fields of an answer; those after them have no spread
_LONGEST = 1_000  # characters of a value
_MOST_STEPS = 10_000  # places of a schema
_DEEPEST = 40  # places of a schema inside each other, references included
_AFTER_A_VALUE = ",}] \t\r\n"


def whole_values(choices: Choices) -> dict[str, tuple[str, ...]]:
    """The choices, checked. Values that are not texts are taken as JSON writes them. Raises InvalidRequest."""
    found = {}
    for path, values in choices.items():
        if isinstance(values, str):
            raise InvalidRequest(f"The values of the field {_shown(path)} are not a list.", "Give a list of values.")
        texts = tuple(map(_as_text, values))
        if not 0 < len(texts) <= MOST_TEXTS:
            raise InvalidRequest(f"The field {_shown(path)} has {len(texts):,} values.", f"Give 1 to {MOST_TEXTS}.")
        if len(set(texts)) < len(texts):
            raise InvalidRequest(f"The field {_shown(path)} has a value twice.", "Remove one of them.")
        if any(len(each) > _LONGEST for each in texts):
            raise InvalidRequest(
                f"A value of the field {_shown(path)} is too long.", f"Use at most {_LONGEST:,} characters."
            )
        found[path] = texts
    return found


def values_at(path: str, choices: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The values that the field at a path can have; none if they are not known. The most exact path counts."""
    if not choices:
        return ()
    every = of_all_items(path)
    found = (choices[each] for each in (f".{path}", path, every, last_key(path)) if each and each in choices)
    return next(found, ())


def spread_of(tokens: Tokens, rows: Ints, choices: tuple[str, ...], before: str, *, quoted: bool) -> Spread:
    """How the probability at a value's tokens divides among the values that it can have.

    rows: the answer's tokens from the value's first. before: what that spells before the value. quoted: whether it is
    a string, whose closing quote sets "yes" apart from "yes, but".
    """
    if quoted:
        return spread(tokens, rows, Texts(_in_quotes(choices), before))
    return spread(tokens, rows, Texts(choices, before, ends=_AFTER_A_VALUE.__contains__))


@lru_cache(maxsize=64)
def _in_quotes(choices: tuple[str, ...]) -> tuple[str, ...]:
    """The choices as JSON strings, without the opening quote."""
    return tuple(json.dumps(each, ensure_ascii=False)[1:] for each in choices)


def choices_in(schema: Any) -> dict[str, tuple[str, ...]]:
    """The values that a JSON schema allows by `enum` and `const`, by path. What it does not understand is left out.

    A field of the outermost object has a path like ".status", as a schema says nothing about others of its name.
    References are followed inside the schema only, and to a bounded depth.
    """
    found: dict[str, dict[str, None]] = {}
    for path, part in _parts(schema):
        values = part.get("enum", [part["const"]] if "const" in part else [])
        if isinstance(values, list) and values:
            found.setdefault(path, {}).update(dict.fromkeys(map(_as_text, values)))
    return {
        f".{path}" if _is_bare(path) else path: tuple(values)
        for path, values in found.items()
        if len(values) <= MOST_TEXTS and all(len(each) <= _LONGEST for each in values)
    }


def _is_bare(path: str) -> bool:
    return bool(path) and last_key(path) == path


def _parts(schema: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(path, part) of each place of a schema."""
    waiting: deque[tuple[str, Any, int]] = deque([("", schema, 0)])  # outer places first, as inner ones may not end
    for _ in range(_MOST_STEPS):
        if not waiting:
            return
        path, part, depth = waiting.popleft()
        if not isinstance(part, Mapping) or depth > _DEEPEST:
            continue
        yield path, part
        inner: list[tuple[str, Any]] = []
        if isinstance(properties := part.get("properties"), Mapping):
            inner += [(inside(path, str(key)), each) for key, each in properties.items()]
        if "items" in part:
            inner.append((f"{path}[]", part["items"]))
        for name in ("anyOf", "oneOf", "allOf"):
            if isinstance(several := part.get(name), list):
                inner += [(path, each) for each in several]
        if isinstance(reference := part.get("$ref"), str):
            inner.append((path, _referred(schema, reference)))
        room = max(_MOST_STEPS - len(waiting), 0)
        waiting += [(where, each, depth + 1) for where, each in inner[:room]]


def _referred(schema: Any, reference: str) -> Any:
    """The part of a schema that a reference such as "#/$defs/status" is to; None if there is none."""
    if not reference.startswith("#"):
        return None
    part = schema
    for name in reference.split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        part = part.get(key) if isinstance(part, Mapping) else None
    return part


def _shown(path: str) -> str:
    return marked(beginning(path, 80))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
