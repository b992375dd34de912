"""Runs as a file to pass on: JSON with the columns in base64, described in docs/runs.md.

A file is read as a whole before anything of it is saved, saved in one transaction, and believed in nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, update

from lib.access.visitor import MOST_IMPORTED, Visitor
from lib.core.columnar import pack, unpack
from lib.core.completion import Completion
from lib.core.serialization import pack_completion, unpack_completion
from lib.errors import BadFile
from lib.paths import without_directories
from lib.segmentation.char_classes import encodable, plain
from lib.store.plan_codec import without_places
from lib.store.runs import (
    EARLIEST,
    LATEST,
    MOST_MODEL,
    MOST_NOTE,
    MOST_TAG,
    MOST_TAGS,
    MOST_TITLE,
    STATES,
    Answer,
    Known,
    Run,
    Runs,
    check_room,
    completed,
    digest_of,
    known,
    number_of,
    packed,
    set_tags,
    write,
)
from lib.store.schema import RUNS

FORMAT, VERSION = "candor-runs", 1
MOST_BYTES = 200_000_000  # of a file; what it holds takes less than its base64
_FORMER_PAGES = {"compare": "prompts"}
_LONGEST = {
    "title": MOST_TITLE,
    "note": MOST_NOTE,
    "model": MOST_MODEL,
    "source": 10_000,
    "page": 40,
    "version": 40,
    "parent": 64,
}
_MOST_DETAILS = 4_000_000  # characters of JSON, which has the prompts
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
# Everything between quotes. A text that does not end reaches to the end of the file: this takes one pass over any file.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_OF_A_TEXT = 8  # what a text counts for among the brackets and commas, which take most of the memory
_DAMAGED = "Export it again from where it came; a file that was changed by hand cannot be read."


@dataclass(frozen=True)
class Imported:
    """What came of a file: ids of the runs that were added, and of those that were there already."""

    added: tuple[str, ...]
    known: tuple[str, ...]


def export_runs(runs: Runs, run_ids: Iterable[str], *, by: Visitor) -> Iterator[str]:
    """The file's text, piece by piece; runs that are gone, or not the visitor's to list, are left out.

    Those whose answers are damaged are listed in it as unreadable. Raises StoreUnavailable.
    """
    head = json.dumps({"format": FORMAT, "version": VERSION})
    yield head[:-1] + ', "runs": ['
    between = "\n"
    unreadable: list[str] = []
    for run_id in run_ids:
        try:
            opened = runs.open(run_id)
            if opened is None or not by.lists(opened[0].owner, shared=opened[0].shared):
                continue
            described = json.dumps(_described(*opened, by=by), allow_nan=False)
        except (BadFile, ValueError):  # of numbers that JSON has not
            unreadable.append(run_id)
            continue
        yield between + described
        between = ",\n"
    yield f'\n], "unreadable": {json.dumps(unreadable)}}}\n'


def exported_size(run: Run) -> int:
    """About how many bytes of a file a run takes."""
    return 2_000 + 3 * run.bytes  # numbers that are not deflated, four signs for three bytes


def import_runs(runs: Runs, data: bytes, *, by: Visitor) -> Imported:
    """Save the runs of a file as the visitor's. Those that are there already, as they are in the file, stay as one.

    Where others reach the server, each run gets an id of the visitor's own, the same one every time; elsewhere only
    one whose id is taken by another run. One that was removed and not yet erased is brought back.

    Raises BadFile when it holds no runs, a part of them is damaged, or it is too large, StoreFull where there is no
    room for all, StoreUnavailable; then none is added.
    """
    limit = MOST_BYTES if by.alone else MOST_IMPORTED
    wholes = [packed(replace(run, owner=by.owner), answers) for run, answers in read_runs(data, limit)]
    added: list[str] = []
    there: list[str] = []
    with runs.database.writing() as connection:
        check_room(connection, by.owner, sum(each.bytes for each in wholes))
        ids = {} if by.alone else {each.run.id: _own_id(connection, each.run) for each in wholes}
        for whole in wholes:
            state, run = _there(connection, _as_own(whole.run, ids))
            if state == "removed":
                own = RUNS.c.id == run.id, RUNS.c.owner == by.owner
                connection.execute(update(RUNS).where(*own).values(removed=None))
            elif state == "":
                write(connection, replace(whole, run=run))
                set_tags(connection, number_of(connection, run.id), run.tags)
            (there if state == "kept" else added).append(run.id)
    return Imported(tuple(added), tuple(there))


def _as_own(run: Run, ids: Mapping[str, str]) -> Run:
    """The run under its id here. ids: of the file's runs, none where the visitor is alone and they stay.

    So a visitor's file names no run of another, neither by its id nor by its parent's.
    """
    return replace(run, id=ids[run.id], parent=ids.get(run.parent, "")) if ids else run


def _own_id(connection: Connection, run: Run) -> str:
    """The run's own id where that is the visitor's already, else one made of it."""
    found = known(connection, run.id)
    return run.id if found is not None and _is_of(found, run) else _derived(run)


def _is_of(found: Known, run: Run) -> bool:
    """Whether what is saved is this very run of the same owner."""
    return found.owner == run.owner and found.digest in ("", run.digest)  # "": not over yet


def _derived(run: Run) -> str:
    return hashlib.sha256(f"{run.id} {run.digest} {run.owner}".encode()).hexdigest()[:32]


def _there(connection: Connection, run: Run) -> tuple[str, Run]:
    """Whether a run is "kept", "removed" or "" (neither), under its own id or, where that is another's, a new one."""
    found = known(connection, run.id)
    if found is not None and not _is_of(found, run):
        run = replace(run, id=_derived(run))
        found = known(connection, run.id)
        if found is not None and found.owner != run.owner:
            return "", replace(run, id=secrets.token_urlsafe(16))
    if found is None:
        return "", run
    return "removed" if found.removed else "kept", run


def read_runs(data: bytes, limit: int = MOST_BYTES) -> Iterator[tuple[Run, tuple[Answer, ...]]]:
    """The runs in a file of at most `limit` bytes. Raises BadFile."""
    if len(data) > limit:
        raise BadFile(
            f"The file has {len(data) / 1e6:,.0f} MB; at most {limit / 1e6:,.0f} MB are read.",
            "Export fewer runs at a time.",
        )
    if len(data) - sum(each.end() - each.start() - _OF_A_TEXT for each in _TEXT.finditer(data)) > limit // 4:
        raise BadFile("The file has far more lists and objects than runs have.", _DAMAGED)
    try:
        document = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadFile("The file is not JSON, or it is cut off.", _DAMAGED) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BadFile(
            "The file holds no runs of Candor.", "A response of Bedrock is opened in Explore, as a saved response."
        )
    version = document.get("version")
    if type(version) is not int or version > VERSION:
        raise BadFile(f"The file has version {version}; this Candor reads up to {VERSION}.", "Update Candor.")
    described_runs = document.get("runs")
    if not isinstance(described_runs, list):
        raise BadFile("The file has no list of runs.", _DAMAGED)
    for number, described in enumerate(described_runs, start=1):
        try:
            yield _run(described)
        except Exception as error:  # whatever damaged columns make numpy or a score raise
            why = error.cause if isinstance(error, BadFile) else "something in it is missing or of another kind."
            raise BadFile(f"Run {number} of the file cannot be read: {why}", _DAMAGED) from error


def _described(run: Run, answers: Iterable[Answer], *, by: Visitor) -> dict[str, Any]:
    def said(error: tuple[str, str] | None) -> list[str] | None:
        # What an error says of the server's directories is not for those who only visit it.
        return None if error is None else [part if by.alone else without_directories(part) for part in error]

    names = ("id", "page", "model", "source", "title", "note", "tags", "parent", "details", "state", "error", "version")
    plain = {name: getattr(run, name) for name in (*names, "seconds")}
    return plain | {
        "error": said(run.error),
        "created_microseconds": run.created,
        "answers": [
            {"error": said(each.error), "completion": None if each.completion is None else _columns(each.completion)}
            for each in answers
        ],
    }


def _columns(completion: Completion) -> dict[str, Any]:
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


def _run(described: Any) -> tuple[Run, tuple[Answer, ...]]:
    if not isinstance(described, dict):
        raise TypeError("a run is an object")
    run_id, state = _of(described, "id", str), _of(described, "state", str)
    if not _ID.fullmatch(run_id) or state not in STATES:
        raise ValueError("no id, or no state, of a run")
    answers = tuple(_answer(each) for each in _of(described, "answers", list))
    seconds = described["seconds"]
    texts: dict[str, Any] = {name: _short(_of(described, name, str), most) for name, most in _LONGEST.items()}
    texts["page"] = _FORMER_PAGES.get(texts["page"], texts["page"])
    run = Run(
        id=run_id,
        **texts,
        tags=tuple(_short(tag, MOST_TAG) for tag in _of(described, "tags", list)[:MOST_TAGS]),
        details=_details(described),
        state=state,
        error=_error(described["error"]),
        created=_time(_of(described, "created_microseconds", int)),
        seconds=None if seconds is None else _seconds(seconds),
    )
    return replace(completed(run, answers), digest=digest_of(answers)), answers


def _details(described: Any) -> dict[str, Any]:
    found = _of(described, "details", dict)
    if len(json.dumps(found)) > _MOST_DETAILS:
        raise ValueError("the details are too long")
    return without_places(found)


def _answer(described: Any) -> Answer:
    error = _error(_of(described, "error", list, type(None)))
    completion = _of(described, "completion", dict, type(None))
    if completion is None:
        return Answer(None, error)
    columns = {name: _column(column) for name, column in _of(completion, "columns", dict).items()}
    return Answer(unpack_completion(pack("completion", _encodable(_of(completion, "meta", dict)), columns)), error)


def _encodable(value: Any) -> Any:
    """JSON whose texts everything takes."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(key): _encodable(each) for key, each in value.items()}
    return [_encodable(each) for each in value] if isinstance(value, list | tuple) else value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _column(described: Mapping[str, Any]) -> Any:
    dtype, shape = np.dtype("<" + _of(described, "dtype", str)), _of(described, "shape", list)
    raw = base64.b64decode(_of(described, "base64", str), validate=True)
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError("a shape is a list of lengths")
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(raw):  # before numpy takes any memory
        raise ValueError("a column has more or less than its shape says")
    return np.frombuffer(raw, dtype).reshape(shape)


def _of(described: Any, name: str, *kinds: type) -> Any:
    value = described[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise TypeError(f"{name} is of another kind")
    return value


def _short(text: Any, most: int) -> str:
    if not isinstance(text, str) or len(text) > most:
        raise ValueError("a text is too long, or none")
    return plain(text)


def _error(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    cause, remedy = value
    return _short(cause, 10_000), _short(remedy, 10_000)


def _time(value: int) -> int:
    if not EARLIEST <= value <= LATEST:
        raise ValueError("no time between the years 1970 and 9999")
    return value


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1e12:
        raise ValueError("no duration")
    return float(value)
