"""Files of measurements: kept, read once until they change, and nothing that would be waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lib.errors import BadFile
from lib.measurements import Measurements


def test_files_are_read_once_until_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_DATA", str(tmp_path / "data"))
    read: list[bytes] = []

    def parse(data: bytes) -> bytes:
        read.append(data)
        if b"bad" in data:
            raise BadFile("No.", "Write another.")
        return data

    files = Measurements("kind", parse, 12, tmp_path / "none")
    assert files.read(sorted(files.files())) == ()
    first = files.keep("a", {"n": 1})
    files.keep("b", {"n": "bad"})
    os.mkfifo(first.with_name("pipe.json"))
    assert [path.name for _, path in sorted(files.files(), key=lambda each: each[1])] == ["a.json", "b.json"]
    assert files.read(sorted(files.files())) == (b'{"n": 1}',)
    assert files.read([each for each in files.files() if each[1] == first]) == (b'{"n": 1}',)
    assert read.count(b'{"n": 1}') == 1
    os.utime(files.keep("a", {"n": 2222222222}), (1, 1))
    assert files.read([each for each in files.files() if each[1] == first]) == (b'{"n": 2222222',), (
        "one byte beyond the most"
    )
    assert files.shipped() == ()
