"""items.jsonl of `candor evaluate-doubts`: graded answers and values with their tokens, for other libraries to score.

Their scores come back as JSON Lines: {"id": …, "name of a method": number, …}, the higher the more confident.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.core.tokens import Tokens
from lib.doubts.graded import Labelled, Level
from lib.errors import BadFile
from lib.segmentation.char_classes import encodable

MOST_BYTES = 500_000_000  # of a file of scores
_MOST_METHODS = 50
_LONGEST_NAME = 100  # characters of a peer's or a method's name
_REMEDY = 'Each line is an object with the id of an item, such as {"id": "…", "perplexity": -0.7}.'


def item(level: Level, place: int, tokens: Tokens, part: str, **about: Any) -> dict[str, Any]:
    """A line of items.jsonl. tokens: what was scored. about: anything else to tell."""
    row: Labelled = level.rows[place]
    return {
        "id": row.item_id,
        "level": level.name,
        "template": row.template,
        "entity": row.entity,
        "part": part,
        "right": row.right,
        **about,
        "tokens": list(_tokens(tokens)),
        "scores": {name: _number(column[place]) for name, column in level.scores.items()},
    }


def _tokens(tokens: Tokens) -> Iterator[dict[str, Any]]:
    texts = tokens.pieces.texts
    for ref, logprob, refs, logprobs in zip(
        tokens.refs.tolist(), tokens.logprobs.tolist(), tokens.top_refs, tokens.top_logprobs, strict=True
    ):
        listed = [
            [texts[each] if each >= 0 else "", _number(value)]
            for each, value in zip(refs.tolist(), logprobs.tolist(), strict=True)
            if not math.isnan(value)
        ]
        yield {"token": texts[ref] if ref >= 0 else "", "logprob": _number(logprob), "top": listed}


def _number(value: float) -> float | None:
    """A number as JSON has it; None for one that is missing or infinite."""
    return round(float(value), 5) if math.isfinite(value) else None


def write_items(items: Iterable[Mapping[str, Any]], file: Path) -> None:
    """Write the lines."""
    with file.open("w", encoding="utf-8", errors="backslashreplace") as lines:
        for each in items:
            lines.write(json.dumps(each, ensure_ascii=False) + "\n")


def peer_scores(text: str) -> tuple[str, dict[str, dict[str, float]]]:
    """Read NAME=FILE: the name, and the scores of each method by item id. Raises BadFile."""
    name, sign, file = text.partition("=")
    if not sign or not name.strip() or not file:
        raise BadFile(f"“{text[:80]}” is not NAME=FILE.", "Give --peer lm-polygraph=scores.jsonl, for example.")
    _check_name(name, "The name of a peer")
    try:
        path = Path(file)
        if path.stat().st_size > MOST_BYTES:
            raise BadFile(f"{file} is too large.", _REMEDY)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a path with NUL
        raise BadFile(f"{file} cannot be read.", _REMEDY) from error
    found: dict[str, dict[str, float]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            for method, value in _scores(line, f"Line {number:,} of {file}"):
                found.setdefault(method, {})[json.loads(line)["id"]] = value
                if len(found) > _MOST_METHODS:
                    raise BadFile(f"{file} has more than {_MOST_METHODS} methods.", _REMEDY)
    return encodable(name.strip()), found


def _check_name(name: str, what: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise BadFile(f"{what} has {len(name):,} characters.", f"Use at most {_LONGEST_NAME}.")


def _scores(line: str, where: str) -> Iterator[tuple[str, float]]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{where} is not JSON.", _REMEDY) from error
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise BadFile(f"{where} has no id.", _REMEDY)
    for method, value in row.items():
        if method == "id" or value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadFile(f"{where}: {method[:80]} is not a number.", _REMEDY)
        _check_name(method, f"{where}: the name of a method")
        try:
            yield encodable(method), float(value)
        except OverflowError as error:
            raise BadFile(f"{where}: {method} is too large a number.", _REMEDY) from error
