"""Files of what was measured of models: those of this machine, and those that ship with Candor."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from lib.errors import BadFile
from lib.paths import data_directory

T = TypeVar("T")
Dated = tuple[int, Path]  # nanoseconds of the last change, and the file


class Measurements(Generic[T]):
    """One kind of measurement.

    name: of the folder in the data directory.
    read: makes a measurement of the bytes of a file, of which it gets at most `most_bytes` + 1. Raises BadFile.
    shipped: the folder of those that ship with Candor.
    """

    def __init__(self, name: str, read: Callable[[bytes], T], most_bytes: int, shipped: Path) -> None:
        self._name, self._parse, self._most_bytes, self._shipped_folder = name, read, most_bytes, shipped
        self._known: dict[Dated, T] = {}
        self._shipped: tuple[T, ...] | None = None

    def keep(self, file: str, values: Mapping[str, Any]) -> Path:
        """Write a measurement where pages on this machine look for it. Raises OSError."""
        folder = data_directory() / self._name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{file}.json"
        made = path.with_suffix(".new")
        made.write_text(json.dumps(values), encoding="utf-8")
        made.replace(path)
        return path

    def files(self) -> Iterator[Dated]:
        """The files of this machine, in any order."""
        for each in (data_directory() / self._name).glob("*.json"):
            with suppress(OSError):
                about = each.stat()
                if stat.S_ISREG(about.st_mode):  # a pipe would be waited for
                    yield about.st_mtime_ns, each

    def read(self, files: list[Dated]) -> tuple[T, ...]:
        """The measurements in files, each of which is read once; those that cannot be read are left out."""
        known = {}
        for each in files:
            with suppress(OSError, BadFile):
                known[each] = self._known[each] if each in self._known else self._opened(each[1])
        self._known = known
        return tuple(known.values())

    def shipped(self) -> tuple[T, ...]:
        """The measurements that ship with Candor."""
        if self._shipped is None:
            self._shipped = tuple(
                self._parse(each.read_bytes()) for each in sorted(self._shipped_folder.glob("*.json"))
            )
        return self._shipped

    def _opened(self, path: Path) -> T:
        with path.open("rb") as file:
            return self._parse(file.read(self._most_bytes + 1))
