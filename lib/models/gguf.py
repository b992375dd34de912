"""Conversion of GGUF files to directories of safetensors, which then open in well under a second."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from lib.errors import MissingDependency, ModelUnavailable, OutOfMemory
from lib.import_lock import IMPORTING
from lib.models.gguf_config import settle, unplaced
from lib.models.local_tokenizer import open_tokenizer
from lib.models.memory import available_memory, gigabytes
from lib.models.weight_reports import first_of, gaps_in
from lib.paths import cache_directory, writing_cache
from lib.sandbox.sandbox import MEMORY, Sandbox
from lib.tokenizers.check import check as check_tokenizer
from lib.tokenizers.check import check_markers

_NOTES = "candor.json"
METADATA_SECONDS = 40.0  # CPU seconds to read the metadata; a vocabulary of 262,144 takes 11
_FORMAT = 3  # raise it when the conversion changes, to redo older ones
_ORIGINAL = "Use the model's original directory with safetensors weights."
LFS_POINTER = b"version https://git-lfs.github.com"


class DamagedFile(ModelUnavailable):
    """A file's digest differs from the known one."""


def converted(path: Path, sha256: str | None = None) -> Path:
    """The directory with the safetensors form of a GGUF file, converted on first use or if files in it are missing.

    sha256: the digest the file must have, if it is known. Without one, the file is foreign: a child process reads and
    checks its metadata before anything is built from it.

    Raises ModelUnavailable if the file can't be read, OutOfMemory if memory or disk space is too small.
    """
    try:
        with path.open("rb") as file:
            _check_magic(path, file.read(40))
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"{path.name} can't be read: {error.strerror}.", "Check its permissions.") from error
    if sha256 is not None and digest != sha256:
        raise DamagedFile(
            f"{path} is damaged: its digest is not the expected one.", "Delete it; Candor will download it again."
        )
    target = cache_directory() / "converted" / f"{digest[:32]}-{_FORMAT}"
    if _is_whole(target):
        return target
    with writing_cache(target.parent), FileLock(f"{target}.lock"):
        if not _is_whole(target):
            _remove(target)
            convert(path, target, trusted=sha256 is not None)
    return target


def is_gguf(path: Path) -> bool:
    """Whether a file has the magic bytes of GGUF, whatever its name. Raises ModelUnavailable if it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"GGUF"
    except OSError as error:
        raise ModelUnavailable(f"{path.name} can't be read: {error.strerror}.", "Check its permissions.") from error


def _check_magic(path: Path, head: bytes) -> None:
    if head.startswith(LFS_POINTER):
        raise ModelUnavailable(f"{path.name} is a Git LFS pointer, not the file itself.", "Run `git lfs pull` there.")
    if head[:4] in (b"lmgg", b"tjgg", b"fmgg", b"algg"):
        raise ModelUnavailable(
            f"{path.name} is in the old GGML format, which current tools don't read.", "Get the model as a GGUF file."
        )
    if head[:4] != b"GGUF":
        raise ModelUnavailable(f"{path.name} is not a GGUF file.", "Choose a GGUF file or a model directory.")


def forget_conversion(directory: Path) -> bool:
    """Delete a damaged conversion, so that it is redone. Returns False for any other directory."""
    if directory.parent != cache_directory() / "converted" or not (directory / _NOTES).exists():
        return False
    with writing_cache(directory.parent), FileLock(f"{directory}.lock"):
        _remove(directory)
    return True


def conversion_warnings(directory: Path) -> tuple[str, ...]:
    """Warnings of the conversion that made this directory; none for any other directory."""
    return tuple(map(str, _notes(directory).get("warnings", ())))


def _notes(directory: Path) -> dict[str, Any]:
    """The notes that `convert` wrote; empty if there are none."""
    try:
        found = json.loads((directory / _NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_whole(directory: Path) -> bool:
    """Whether every file is there with its size."""
    sizes = _notes(directory).get("sizes")
    return isinstance(sizes, dict) and bool(sizes) and sizes == file_sizes(directory)


def file_sizes(directory: Path) -> dict[str, int]:
    """Bytes of each file in a conversion but the notes, by name."""
    return {path.name: path.stat().st_size for path in sorted(directory.iterdir()) if path.name != _NOTES}


def _remove(directory: Path) -> None:
    """Delete a directory, moving it away first so that no other process sees half of it."""
    if not directory.exists():
        return
    with tempfile.TemporaryDirectory(dir=directory.parent, ignore_cleanup_errors=True) as scratch:
        directory.replace(Path(scratch) / "model")


def convert(path: Path, target: Path, *, trusted: bool) -> None:
    """Convert a GGUF file to a directory that must not exist yet. Raises ModelUnavailable and OutOfMemory.

    trusted: read the file in this process.
    """
    _check_library()
    metadata = _checked(path, trusted=trusted)
    _check_room(path, target, int(metadata["elements"]) * 4)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        partial = Path(scratch) / "model"
        partial.mkdir()
        for name, data in metadata["files"].items():
            (partial / name).write_bytes(data)
        tokenizer = open_tokenizer(partial, foreign=not trusted).built
        check_tokenizer(tokenizer, metadata["files"])
        check_markers(tokenizer.encode, metadata["markers"])
        model, warnings = _loaded(path, Path(scratch) / "file", metadata)
        model.hf_quantizer = None  # the weights are dequantized, but saving is refused while this is set
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        if metadata["ends"]:
            model.generation_config.eos_token_id = list(metadata["ends"])
        model.save_pretrained(partial)
        notes = {"source": path.name, "warnings": warnings, "sizes": file_sizes(partial)}
        (partial / _NOTES).write_text(json.dumps(notes), encoding="utf-8")
        partial.replace(target)


def _loaded(path: Path, directory: Path, metadata: Mapping[str, Any]) -> tuple[Any, list[str]]:
    """(model in float32, warnings). directory: a new one. Raises ModelUnavailable if any weight is left out."""
    with IMPORTING:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig

    # transformers goes by the file's suffix, and reads other files beside it: link it under a known name, alone.
    directory.mkdir()
    (directory / "model.gguf").symlink_to(path.resolve())
    try:
        config = AutoConfig.from_pretrained(directory, gguf_file="model.gguf", trust_remote_code=False)
        warnings = [*metadata["warnings"], *settle(config, metadata)]
        model, report = AutoModelForCausalLM.from_pretrained(
            directory,
            config=config,
            gguf_file="model.gguf",
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report
        )
        left = unplaced(model, metadata["architecture"], metadata["tensors"], report)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{path.name} can't be converted. {error.cause}", error.remedy) from error
    except BaseException as error:  # panics of the tokenizers library are not Exceptions
        raise ModelUnavailable(f"transformers can't convert {path.name}: {first_line(error)}", _ORIGINAL) from error
    if gaps := gaps_in(report):
        raise ModelUnavailable(
            f"{path.name} is not a complete model. Missing or of the wrong size: {first_of(gaps)}.", _ORIGINAL
        )
    if left:
        raise ModelUnavailable(
            f"{path.name} contains weights that Candor can't read from GGUF files: {first_of(left)}.", _ORIGINAL
        )
    return model, warnings


def first_line(error: BaseException) -> str:
    """The first line of an error's text, ready to end a sentence."""
    return (str(error).strip().split("\n")[0] or type(error).__name__).rstrip(".") + "."


def _check_library() -> None:
    """Raise MissingDependency without gguf, which reads the files, or accelerate, which transformers needs for it."""
    try:
        import accelerate  # noqa: F401
        import gguf  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"Reading GGUF files needs {error.name}, which is not installed.",
            "Run `make setup`, or `pip install -r requirements.txt`.",
        ) from error


def _checked(path: Path, *, trusted: bool) -> Any:
    """The file's metadata, see `lib.tokenizers.gguf_metadata.check`. A child process reads a foreign file."""
    if trusted:
        from lib.tokenizers.gguf_metadata import check

        return check(str(path))
    what, remedy = f"The GGUF file {path.name}", "Download the file again."
    # The reader maps the file, which counts as memory too.
    memory = 2 * MEMORY + path.stat().st_size
    sandbox = Sandbox("gguf", str(path.absolute()), what=what, remedy=remedy, memory=memory)
    try:
        return sandbox.open(seconds=METADATA_SECONDS)
    finally:
        sandbox.close()


def _check_room(path: Path, target: Path, weights: int) -> None:
    if weights * 1.3 > available_memory():
        raise OutOfMemory(
            f"Converting {path.name} needs about {gigabytes(weights * 1.3)} of memory; "
            f"{gigabytes(available_memory())} is free.",
            "Choose a smaller model, or convert it on a larger machine.",
        )
    if weights * 1.1 > shutil.disk_usage(target.parent).free:
        raise OutOfMemory(
            f"Converting {path.name} needs {gigabytes(weights)} of disk space in {target.parent}.",
            "Free some space, or set CANDOR_CACHE to a larger disk.",
        )
