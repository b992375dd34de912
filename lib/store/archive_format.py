"""The JSON format of exported runs (docs/runs.md): written from runs, and read without trusting anything."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from lib.core.columnar import pack, unpack
from lib.core.completion import Completion
from lib.core.serialization import pack_completion, unpack_completion
from lib.errors import BadFile
from lib.paths import without_directories
from lib.segmentation.char_classes import encodable, plain
from lib.store.foreign_sources import without_places
from lib.store.run import (
    EARLIEST,
    LATEST,
    MAX_MODEL,
    MAX_NOTE,
    MAX_TAG,
    MAX_TAGS,
    MAX_TITLE,
    STORED_STATES,
    Answer,
    Run,
    RunState,
    completed,
)

FORMAT, VERSION = "candor-runs", 1
MOST_BYTES = 200_000_000  # of a file; the data inside is smaller than its base64
_FORMER_PAGES = {"compare": "prompts"}
_MAX_TEXTS = {  # characters
    "title": MAX_TITLE,
    "note": MAX_NOTE,
    "model": MAX_MODEL,
    "source": 10_000,
    "page": 40,
    "version": 40,
    "parent": 64,
}
_MAX_DETAILS = 4_000_000  # characters of JSON, which includes the prompts
_MAX_ERROR = 10_000  # characters of a cause or a remedy
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
# Everything between quotes. An unterminated string reaches to the end of the file, so one pass is enough for any file.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_STRING_WEIGHT = 8  # bytes that a string counts for beside brackets and commas, which take most of the memory
_DAMAGED = "Export it again from its source; a file that was edited by hand cannot be read."


def describe_run(run: Run, answers: Iterable[Answer], *, with_paths: bool) -> dict[str, Any]:
    """A run and its answers as a JSON object. with_paths: whether error texts may name directories of the server."""

    def shown(error: tuple[str, str] | None) -> list[str] | None:
        return None if error is None else [part if with_paths else without_directories(part) for part in error]

    names = ("id", "page", "model", "source", "title", "note", "tags", "parent", "details", "state", "error", "version")
    values = {name: getattr(run, name) for name in (*names, "seconds")}
    return values | {
        "error": shown(run.error),
        "created_microseconds": run.created,
        "answers": [
            {
                "error": shown(each.error),
                "completion": None if each.completion is None else _describe_completion(each.completion),
            }
            for each in answers
        ],
    }


def _describe_completion(completion: Completion) -> dict[str, Any]:
    meta, columns = unpack(pack_completion(completion), "completion")
    return {
        "meta": meta,
        "columns": {
            name: {
                "dtype": column.dtype.str[1:],
                "shape": list(column.shape),
                "base64": base64.b64encode(column.tobytes()).decode(),
            }
            for name, column in columns.items()
        },
    }


def read_runs(data: bytes, limit: int = MOST_BYTES) -> Iterator[tuple[Run, tuple[Answer, ...]]]:
    """The runs in a file of at most `limit` bytes. Raises BadFile."""
    for number, described in enumerate(_described_runs(data, limit), start=1):
        try:
            yield _run(described)
        except Exception as error:  # damaged columns make numpy or a score raise anything
            why = error.cause if isinstance(error, BadFile) else "a value is missing or has the wrong type."
            raise BadFile(f"Run {number} of the file cannot be read: {why}", _DAMAGED) from error


def _described_runs(data: bytes, limit: int) -> list[Any]:
    """The JSON objects of the runs in a file. Raises BadFile."""
    if len(data) > limit:
        raise BadFile(
            f"The file has {len(data) / 1e6:,.0f} MB; at most {limit / 1e6:,.0f} MB can be imported.",
            "Export fewer runs at a time.",
        )
    if len(data) - sum(each.end() - each.start() - _STRING_WEIGHT for each in _STRING.finditer(data)) > limit // 4:
        raise BadFile("The file has far more lists and objects than runs need.", _DAMAGED)
    try:
        document = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadFile("The file is not JSON, or it is truncated.", _DAMAGED) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadFile(
            "The file contains no Candor runs.", "To open a response of Bedrock, use a saved response in Explore."
        )
    version = document.get("version")
    if type(version) is not int or version > VERSION:
        raise BadFile(f"The file has version {version}; this Candor reads up to {VERSION}.", "Update Candor.")
    runs = document.get("runs")
    if not isinstance(runs, list):
        raise BadFile("The file has no list of runs.", _DAMAGED)
    return runs


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _run(described: Any) -> tuple[Run, tuple[Answer, ...]]:
    if not isinstance(described, dict):
        raise TypeError("a run must be an object")
    run_id, state = _value(described, "id", str), _value(described, "state", str)
    if not _ID.fullmatch(run_id) or state not in STORED_STATES:
        raise ValueError("the id or the state is invalid")
    answers = tuple(_answer(each) for each in _value(described, "answers", list))
    seconds = described["seconds"]
    texts: dict[str, Any] = {name: _text(_value(described, name, str), most) for name, most in _MAX_TEXTS.items()}
    texts["page"] = _FORMER_PAGES.get(texts["page"], texts["page"])
    run = Run(
        id=run_id,
        **texts,
        tags=tuple(_text(tag, MAX_TAG) for tag in _value(described, "tags", list)[:MAX_TAGS]),
        details=_details(described),
        state=RunState(state),
        error=_error(described["error"]),
        created=_time(_value(described, "created_microseconds", int)),
        seconds=None if seconds is None else _seconds(seconds),
    )
    return completed(run, answers), answers


def _details(described: Any) -> dict[str, Any]:
    found = _value(described, "details", dict)
    if len(json.dumps(found)) > _MAX_DETAILS:
        raise ValueError("the details are too long")
    return without_places(found)


def _answer(described: Any) -> Answer:
    error = _error(_value(described, "error", list, type(None)))
    completion = _value(described, "completion", dict, type(None))
    if completion is None:
        return Answer(None, error)
    columns = {name: _column(column) for name, column in _value(completion, "columns", dict).items()}
    meta = encodable_json(_value(completion, "meta", dict))
    return Answer(unpack_completion(pack("completion", meta, columns)), error)


def encodable_json(value: Any) -> Any:
    """A JSON value with lone surrogates replaced, so that every text can be encoded."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(key): encodable_json(each) for key, each in value.items()}
    return [encodable_json(each) for each in value] if isinstance(value, list | tuple) else value


def _column(described: Mapping[str, Any]) -> Any:
    dtype, shape = np.dtype("<" + _value(described, "dtype", str)), _value(described, "shape", list)
    raw = base64.b64decode(_value(described, "base64", str), validate=True)
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("a shape must be a list of lengths")
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(raw):  # before numpy allocates anything
        raise ValueError("the size of a column does not match its shape")
    return np.frombuffer(raw, dtype).reshape(shape)


def _value(described: Any, name: str, *kinds: type) -> Any:
    value = described[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise TypeError(f"{name} has the wrong type")
    return value


def _text(text: Any, limit: int) -> str:
    if not isinstance(text, str) or len(text) > limit:
        raise ValueError("a text is too long or missing")
    return plain(text)


def _error(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    cause, remedy = value
    return _text(cause, _MAX_ERROR), _text(remedy, _MAX_ERROR)


def _time(value: int) -> int:
    if not EARLIEST <= value <= LATEST:
        raise ValueError("a time must be in the years 1970 to 9999")
    return value


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1e12:
        raise ValueError("the duration is invalid")
    return float(value)
