"""The folder of a command such as `candor evaluate`: it writes its own files, and leaves those of others alone."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from lib.errors import CandorError, InvalidRequest

REPORT, PAGE, ROWS, STORE = "report.json", "report.html", "rows.csv", "answers.sqlite"
_WRITTEN = "written.json"  # the digests of the files that the command wrote
_OWN = re.compile(r"report\.json|report\.html|rows\.csv|calibration(?:-\d+)?\.json")
_ELSEWHERE = "Move it, or give another folder as --out."


class Folder:
    """Where answers and reports are kept."""

    def __init__(self, path: Path, own: re.Pattern[str] = _OWN) -> None:
        """own: the names of files that the command writes, besides the answers."""
        self.path, self._own = path, own

    def prepare(self, reads: Sequence[str]) -> None:
        """Make the folder, and check that nothing in it would be lost.

        reads: paths of files that the command reads. Raises InvalidRequest.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            inside = [each.name for each in self.path.iterdir()]
        except (OSError, ValueError) as error:  # ValueError: a path with NUL
            why = getattr(error, "strerror", None) or error
            raise InvalidRequest(
                f"The folder {self.path} cannot be used: {why}.", "Give another one as --out."
            ) from error
        if _WRITTEN in inside and not self._written():
            raise InvalidRequest(f"{_WRITTEN} in the output folder is not from this command.", _ELSEWHERE)
        for name in inside:
            if name not in (STORE, _WRITTEN) and not self._own.fullmatch(name):
                continue
            if any(_same(self.path / name, each) for each in reads):
                raise InvalidRequest(
                    f"{name} in the output folder would be read and overwritten.", "Read a copy in another folder."
                )
            if self._own.fullmatch(name) and not self._is_own(name):
                raise InvalidRequest(
                    f"{name} in the output folder is not from this command, or was edited.", _ELSEWHERE
                )
        if STORE in inside and not _is_store(self.path / STORE):
            raise InvalidRequest(f"{STORE} in the output folder is not from Candor.", _ELSEWHERE)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files by name, and remove those of an earlier run that have no successor. Raises CandorError."""
        written = self._written()
        digests = {name: _digest(text.encode("utf-8")) for name, text in files.items()}
        # Before the files, with the earlier digests: whenever it is killed, all files are known to be its own.
        both = {
            name: [*written.get(name, []), *([digests[name]] if name in digests else [])]
            for name in {*written, *digests}
        }
        try:
            self._replace(_WRITTEN, json.dumps(both))
            for name, text in files.items():
                self._replace(name, text)
            for name in written.keys() - files.keys():
                if self._own.fullmatch(name) and self._is_own(name):
                    (self.path / name).unlink(missing_ok=True)
            self._replace(_WRITTEN, json.dumps({name: [digest] for name, digest in sorted(digests.items())}))
        except OSError as error:
            raise CandorError(
                f"The report cannot be written: {error.strerror}.",
                "Correct that, and run the command again. The answers are saved.",
            ) from error

    def _replace(self, name: str, text: str) -> None:
        made = self.path / f".{name}.new"
        made.write_bytes(text.encode("utf-8"))
        made.replace(self.path / name)

    def _is_own(self, name: str) -> bool:
        try:
            return _digest((self.path / name).read_bytes()) in self._written().get(name, ())
        except OSError:
            return False

    def _written(self) -> dict[str, list[str]]:
        """The digests of each file; empty if there are none that can be read."""
        try:
            found = json.loads((self.path / _WRITTEN).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict) or not all(isinstance(each, list) for each in found.values()):
            return {}
        return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _same(path: Path, read: str) -> bool:
    try:
        return path.samefile(read)
    except OSError:
        return False


def _is_store(path: Path) -> bool:
    """Whether a file is a database of Candor, or empty, as after a kill."""
    try:
        if not path.stat().st_size:
            return True
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return not tables or {"runs", "answers"} <= tables
    except sqlite3.OperationalError:  # another process writes; opening it for good will wait, or say so
        return True
    except (OSError, sqlite3.Error):
        return False
