"""The output folder: nothing that the command did not write is overwritten, and what is stale goes."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from lib.errors import CandorError, InvalidRequest
from lib.evaluate_folder import Folder
from lib.store.database import open_database

FILES = {"report.json": "{}", "report.html": "<p>é", "rows.csv": "id\r\n1\r\n"}


def written(path: Path, files: Mapping[str, str] = FILES) -> Folder:
    folder = Folder(path)
    folder.prepare([])
    folder.write(files)
    return folder


@pytest.mark.parametrize("name", [*FILES, "calibration.json", "calibration-2.json", "answers.sqlite", "written.json"])
def test_files_of_others_are_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("my own")
    with pytest.raises(InvalidRequest, match=name):
        Folder(tmp_path).prepare([])
    assert (tmp_path / name).read_text() == "my own"


@pytest.mark.parametrize("name", FILES)
def test_an_edited_file_is_left_alone(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path)
    folder.prepare([])
    (tmp_path / name).write_text("edited")
    with pytest.raises(InvalidRequest, match="edited"):
        folder.prepare([])


def test_a_file_that_is_read_is_never_written(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (tmp_path / "link.csv").symlink_to(tmp_path / "rows.csv")
    for read in ("rows.csv", "link.csv", "report.json"):
        with pytest.raises(InvalidRequest, match="would be read and overwritten"):
            folder.prepare(["-", "ready:world", str(tmp_path / read)])


def test_other_files_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("q\n1")
    written(tmp_path).prepare([str(tmp_path / "data.csv")])
    assert (tmp_path / "data.csv").read_text() == "q\n1"
    assert (tmp_path / "report.html").read_bytes() == "<p>é".encode()


def test_what_has_no_successor_goes_unless_it_was_edited(tmp_path: Path) -> None:
    folder = written(tmp_path, FILES | {"calibration-1.json": "1", "calibration-2.json": "2"})
    (tmp_path / "calibration-2.json").write_text("edited")
    folder.write(FILES)
    assert not (tmp_path / "calibration-1.json").exists()
    assert (tmp_path / "calibration-2.json").read_text() == "edited"


def test_stopped_after_any_file_it_still_knows_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = {name: text + " later" for name, text in FILES.items()}
    whole = Path.replace
    for stop in itertools.count():
        path = tmp_path / str(stop)
        folder = written(path)
        left = stop

        def replaced(made: Path, target: Path) -> Path:
            nonlocal left
            if not left:
                raise OSError(28, "No space left on device")
            left -= 1
            return whole(made, target)

        monkeypatch.setattr(Path, "replace", replaced)
        try:
            folder.write(later)
        except CandorError as error:
            assert "No space left" in error.cause  # noqa: PT017 - the loop ends where none is raised
        else:
            break
        finally:
            monkeypatch.undo()
        folder.prepare([])
        folder.write(later)
        assert {name: (path / name).read_bytes().decode() for name in FILES} == later
    assert stop == len(FILES) + 2


def test_the_databases_of_candor_are_known(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (tmp_path / "answers.sqlite").touch()  # as after a kill
    folder.prepare([])
    open_database(f"sqlite:///{tmp_path / 'answers.sqlite'}").close()
    folder.prepare([])
    (tmp_path / "answers.sqlite").unlink()
    with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as other:
        other.execute("CREATE TABLE mine (x)")
    with pytest.raises(InvalidRequest, match="not from Candor"):
        folder.prepare([])


@pytest.mark.parametrize("content", ["", "[]", '{"report.json": 1}', "[" * 50_000])
def test_a_damaged_list_of_files_is_no_licence(content: str, tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "written.json").write_text(content)
    with pytest.raises(InvalidRequest, match=r"written\.json"):
        Folder(tmp_path).prepare([])


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps(FILES))
    with pytest.raises(InvalidRequest, match="cannot be used"):
        Folder(tmp_path / "file").prepare([])
