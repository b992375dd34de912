"""Export runs to a file, and import them from one.

A file is read completely before anything is saved, and saved in one transaction.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from sqlalchemy import Connection, update

from lib.access.visitor import MOST_IMPORTED, Visitor
from lib.errors import BadFile
from lib.store.answer_rows import PackedRun, pack_run, write_run
from lib.store.archive_format import FORMAT, MOST_BYTES, VERSION, describe_run, read_runs
from lib.store.quota import check_room
from lib.store.run import Known, Run
from lib.store.run_rows import known, set_tags
from lib.store.runs import Runs
from lib.store.schema import RUNS


@dataclass(frozen=True)
class Imported:
    """The outcome of an import: ids of runs."""

    added: tuple[str, ...]  # new, or brought back
    known: tuple[str, ...]  # already saved


class _Presence(Enum):
    """Whether a run of a file is in the store."""

    ABSENT = auto()
    REMOVED = auto()  # but not yet erased
    SAVED = auto()


def export_runs(runs: Runs, run_ids: Iterable[str], *, by: Visitor) -> Iterator[str]:
    """The text of the file, in chunks. Runs that are gone, or not in the visitor's lists, are left out.

    Runs with damaged answers are listed as unreadable. Raises StoreUnavailable.
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
            described = json.dumps(describe_run(*opened, with_paths=by.alone), allow_nan=False)
        except (BadFile, ValueError):  # ValueError: a number that JSON cannot represent
            unreadable.append(run_id)
            continue
        yield between + described
        between = ",\n"
    yield f'\n], "unreadable": {json.dumps(unreadable)}}}\n'


def exported_size(run: Run) -> int:
    """An estimate of the bytes that a run takes in a file."""
    return 2_000 + 3 * run.bytes  # columns are not compressed, and base64 takes four characters for three bytes


def import_runs(runs: Runs, data: bytes, *, by: Visitor) -> Imported:
    """Save the runs of a file as the visitor's; those that are already saved unchanged are not added again.

    Where others reach the server, each run gets an id of the visitor's own, the same one every time. Otherwise only a
    run whose id belongs to a different run gets a new id. A run that was removed and not yet erased is brought back.

    Raises BadFile if the file is too large, damaged or has no runs, StoreFull if there is no room for all of them, and
    StoreUnavailable. In each case nothing is added.
    """
    limit = MOST_BYTES if by.alone else MOST_IMPORTED
    packed = [pack_run(replace(run, owner=by.owner), answers) for run, answers in read_runs(data, limit)]
    added: list[str] = []
    saved: list[str] = []
    with runs.database.writing() as connection:
        check_room(connection, by.owner, sum(each.bytes for each in packed))
        ids = {} if by.alone else {each.run.id: _own_id(connection, each.run) for each in packed}
        for each in packed:
            presence, run = _look_up(connection, _as_own(each.run, ids))
            (saved if presence is _Presence.SAVED else added).append(run.id)
            _save(connection, presence, replace(each, run=run), runs.clock())
    return Imported(tuple(added), tuple(saved))


def _save(connection: Connection, presence: _Presence, packed: PackedRun, now: int) -> None:
    run = packed.run
    if presence is _Presence.REMOVED:
        own = RUNS.c.id == run.id, RUNS.c.owner == run.owner
        connection.execute(update(RUNS).where(*own).values(removed=None))
    elif presence is _Presence.ABSENT:
        set_tags(connection, write_run(connection, packed, now), run.tags)


def _as_own(run: Run, ids: Mapping[str, str]) -> Run:
    """The run with its id and its parent's id translated, so that a file cannot name runs of other visitors.

    ids: new ids of the runs in the file; empty if the visitor is alone and they stay.
    """
    return replace(run, id=ids[run.id], parent=ids.get(run.parent, "")) if ids else run


def _own_id(connection: Connection, run: Run) -> str:
    """The run's own id if the visitor already has it, else one derived from the run."""
    found = known(connection, run.id)
    return run.id if found is not None and _is_same(found, run) else _derived_id(run)


def _is_same(found: Known, run: Run) -> bool:
    """Whether the saved run is this run of the same owner."""
    return found.owner == run.owner and found.digest in ("", run.digest)  # "": still being written


def _derived_id(run: Run) -> str:
    return hashlib.sha256(f"{run.id} {run.digest} {run.owner}".encode()).hexdigest()[:32]


def _look_up(connection: Connection, run: Run) -> tuple[_Presence, Run]:
    """Whether a run is saved, and the run with the id to save it under: a new one if another run has its own."""
    found = known(connection, run.id)
    if found is not None and not _is_same(found, run):
        run = replace(run, id=_derived_id(run))
        found = known(connection, run.id)
        if found is not None and found.owner != run.owner:
            return _Presence.ABSENT, replace(run, id=secrets.token_urlsafe(16))
    if found is None:
        return _Presence.ABSENT, run
    return _Presence.REMOVED if found.removed else _Presence.SAVED, run
