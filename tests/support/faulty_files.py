"""File systems that cannot do all that SQLite asks of them: its own layer for files, of which some functions fail."""

from __future__ import annotations

import _sqlite3
import contextlib
import ctypes
import sqlite3
from collections.abc import Iterator
from typing import Any

_LIBRARY = ctypes.CDLL(_sqlite3.__file__)  # brings along the library that it was linked with
_FIND = _LIBRARY.sqlite3_vfs_find
_FIND.restype = ctypes.c_void_p
_METHODS = [
    *("xClose", "xRead", "xWrite", "xTruncate", "xSync", "xFileSize", "xLock", "xUnlock", "xCheckReservedLock"),
    *("xFileControl", "xSectorSize", "xDeviceCharacteristics", "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap"),
    *("xFetch", "xUnfetch"),
]
_OPENS = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)
_KEPT: list[Any] = []  # what files that a failed test left open still point to
_LOG = 0x80000  # the flag with which a write-ahead log is opened


class _Methods(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int), *((name, ctypes.c_void_p) for name in _METHODS)]


class _Layer(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("version", "size", "longest")),
        *((name, ctypes.c_void_p) for name in ("next", "name", "data", "open")),
        *((f"other{number}", ctypes.c_void_p) for number in range(15)),
    ]


# What fails, by what it is like: (function, error, only of the log).
FAULTS = {
    "no shared memory": ("xShmMap", sqlite3.SQLITE_IOERR_SHMMAP, False),
    "no file for the shared memory": ("xShmMap", sqlite3.SQLITE_CANTOPEN, False),
    "locking protocol": ("xShmLock", sqlite3.SQLITE_PROTOCOL, False),
    "the first write to the log fails": ("xWrite", sqlite3.SQLITE_IOERR_WRITE, True),
    "no log at all": ("", 0, False),
    "no locks": ("xLock", sqlite3.SQLITE_IOERR_LOCK, False),
}


@contextlib.contextmanager
def failing(fault: str) -> Iterator[None]:
    """Until the end of the block, SQLite opens files as on such a file system. All have to be closed by then."""
    name, code, of_log = FAULTS[fault]
    usual = _Layer.from_address(_FIND(None))
    layer, label = _Layer.from_buffer_copy(usual), ctypes.create_string_buffer(b"faulty")
    layer.next, layer.name = None, ctypes.addressof(label)
    fails = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: code)  # the arguments stay where they are: the caller clears them
    opens_usually = _OPENS(usual.open)

    def opens(this: int, path: int, file: int, flags: int, got: Any) -> int:
        result = int(opens_usually(this, path, file, flags, got))
        methods = ctypes.c_void_p.from_address(file)
        if result == sqlite3.SQLITE_OK and methods.value and (not of_log or flags & _LOG):
            own = _Methods.from_buffer_copy(_Methods.from_address(methods.value))
            if name:
                setattr(own, name, ctypes.cast(fails, ctypes.c_void_p))
            else:
                own.version = 1  # from before there were logs
            _KEPT.append(own)
            methods.value = ctypes.addressof(own)
        return result

    opener = _OPENS(opens)
    layer.open = ctypes.cast(opener, ctypes.c_void_p)
    _KEPT.extend((layer, label, fails, opener))
    assert _LIBRARY.sqlite3_vfs_register(ctypes.byref(layer), 1) == sqlite3.SQLITE_OK
    try:
        yield
    finally:
        _LIBRARY.sqlite3_vfs_unregister(ctypes.byref(layer))
        _LIBRARY.sqlite3_vfs_register(ctypes.c_void_p(ctypes.addressof(usual)), 1)
