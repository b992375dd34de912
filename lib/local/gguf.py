"""GGUF files: converted once to a directory of safetensors, which then opens in well under a second."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from filelock import FileLock

from lib.errors import MissingDependency, ModelUnavailable, OutOfMemory
from lib.foreign.sandbox import MEMORY, Sandbox
from lib.imports import IMPORTING
from lib.local.memory import available_memory, gigabytes
from lib.paths import cache_directory, writing_cache

_NOTES = "candor.json"
_READING = 20.0  # seconds of processor time for what a file says of itself; a large vocabulary takes some three
_FORMAT = 2  # raise it when the conversion changes, so that older ones are made again
_GPT2_LIKE = {"default", "gpt-2", "gpt2"}  # what transformers builds when it is told nothing


class DamagedFile(ModelUnavailable):
    """A file whose digest is known has another one."""


def converted(path: Path, sha256: str | None = None) -> Path:
    """The directory with the safetensors form of a GGUF file, made on first use, and again where files of it are gone.

    sha256: the digest the file must have, where it is known. A file without one is foreign: a child process reads what
    it says of itself before anything is built from it.

    Raises ModelUnavailable for a file that cannot be read, OutOfMemory where memory or disk would not hold it.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ModelUnavailable(f"{path.name} is not a GGUF file.", "Choose a GGUF file or a model directory.")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"{path.name} cannot be read: {error.strerror}.", "Check its permissions.") from error
    if sha256 is not None and digest != sha256:
        raise DamagedFile(
            f"{path} is damaged: its digest is not the expected one.", "Delete the file; it will be fetched again."
        )
    target = cache_directory() / "converted" / f"{digest[:32]}-{_FORMAT}"
    if _is_whole(target):
        return target
    with writing_cache(target.parent), FileLock(f"{target}.lock"):
        if not _is_whole(target):
            _remove(target)
            _convert(path, target, trusted=sha256 is not None)
    return target


def forget_conversion(directory: Path) -> bool:
    """Delete a conversion that turned out damaged, so that it is made again. False for any other directory."""
    if directory.parent != cache_directory() / "converted" or not (directory / _NOTES).exists():
        return False
    with writing_cache(directory.parent), FileLock(f"{directory}.lock"):
        _remove(directory)
    return True


def conversion_warnings(directory: Path) -> tuple[str, ...]:
    """What the conversion that made this directory warned of; nothing for any other directory."""
    return tuple(map(str, _notes(directory).get("warnings", ())))


def _notes(directory: Path) -> dict[str, Any]:
    """What `_convert` noted; empty where there is nothing to read."""
    try:
        found = json.loads((directory / _NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_whole(directory: Path) -> bool:
    """Whether every file is there in its size."""
    sizes = _notes(directory).get("sizes")
    return isinstance(sizes, dict) and bool(sizes) and sizes == _sizes(directory)


def _sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(directory.iterdir()) if path.name != _NOTES}


def _remove(directory: Path) -> None:
    """Out of sight at once, as another process may look at it, then gone."""
    if not directory.exists():
        return
    with tempfile.TemporaryDirectory(dir=directory.parent, ignore_cleanup_errors=True) as scratch:
        directory.replace(Path(scratch) / "model")


def _convert(path: Path, target: Path, *, trusted: bool) -> None:
    with IMPORTING:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    _check_library()
    told = _checked(path, trusted=trusted)
    weights, pre, kind = int(told["elements"]) * 4, told["pre"], told["kind"]
    _check_room(path, target, weights)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            path.parent,
            gguf_file=path.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            trust_remote_code=False,
        )
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # of any kind, and the tokenizers library panics with what is no Exception
        raise ModelUnavailable(
            f"transformers cannot convert {path.name}: {first_line(error)}",
            "Use the model's original directory with safetensors weights.",
        ) from error
    warnings = set_pre_tokenizer(tokenizer, kind, pre)
    model.hf_quantizer = None  # the weights are plain numbers now; saving refuses while this says otherwise
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        partial = Path(scratch) / "model"
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        notes = {"source": path.name, "warnings": warnings, "sizes": _sizes(partial)}
        (partial / _NOTES).write_text(json.dumps(notes), encoding="utf-8")
        partial.replace(target)


def set_pre_tokenizer(tokenizer: Any, kind: str | None, pre: str | None) -> list[str]:
    """Give a byte-level tokenizer the splitting its file names, where transformers does not; returns warnings.

    A wrong split changes token boundaries and with them every score, silently.
    """
    from tokenizers import pre_tokenizers

    with IMPORTING:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    if kind != "gpt2" or pre in GGUF_PRE_TOKENIZER_SPLITS or pre in _GPT2_LIKE:
        return []
    if pre == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        return []
    named = f"The file's pre-tokenizer {pre!r} is not known here" if pre else "The file does not name its pre-tokenizer"
    return [f"{named}; text may be split wrongly and scores be off."]


def first_line(error: BaseException) -> str:
    """The first line of an error's text, to end a sentence of our own with."""
    return (str(error).strip().split("\n")[0] or type(error).__name__).rstrip(".") + "."


def _check_library() -> None:
    """The library that reads GGUF files; transformers wants accelerate beside it. Raises MissingDependency."""
    try:
        import accelerate  # noqa: F401
        import gguf  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"Reading GGUF files needs {error.name}, which is not installed.",
            "Run `make setup`, or `pip install -r requirements.txt`.",
        ) from error


def _checked(path: Path, *, trusted: bool) -> Any:
    """What the file says of itself, see `lib.foreign.gguf.check`. A foreign file is read in a child process first."""
    if trusted:
        from lib.foreign.gguf import check

        return check(str(path))
    what, remedy = f"The GGUF file {path.name}", "Fetch the file again."
    # The reader maps the file, which counts as memory too.
    memory = 2 * MEMORY + path.stat().st_size
    sandbox = Sandbox("gguf", str(path.resolve()), what=what, remedy=remedy, memory=memory)
    try:
        return sandbox.open(seconds=_READING)
    finally:
        sandbox.close()


def _check_room(path: Path, target: Path, weights: int) -> None:
    if weights * 1.3 > available_memory():
        raise OutOfMemory(
            f"Converting {path.name} needs about {gigabytes(weights * 1.3)} of memory; "
            f"{gigabytes(available_memory())} are free.",
            "Choose a smaller model, or convert it on a larger machine.",
        )
    if weights * 1.1 > shutil.disk_usage(target.parent).free:
        raise OutOfMemory(
            f"Converting {path.name} needs {gigabytes(weights)} of disk space in {target.parent}.",
            "Free some space, or set CANDOR_CACHE to a larger disk.",
        )
