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
from lib.imports import IMPORTING
from lib.local.memory import available_memory, gigabytes
from lib.paths import cache_directory

_NOTES = "candor.json"
_FORMAT = 1  # raise it when the conversion changes, so that older ones are made again
_GPT2_LIKE = {"default", "gpt-2", "gpt2"}  # what transformers builds when it is told nothing


def converted(path: Path, sha256: str | None = None) -> Path:
    """The directory with the safetensors form of a GGUF file, made on first use.

    sha256: the digest the file must have, where it is known.

    Raises ModelUnavailable for a file that cannot be read, OutOfMemory where memory or disk would not hold it.
    """
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelUnavailable(f"{path.name} is not a GGUF file.", "Choose a GGUF file or a model directory.")
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and digest != sha256:
        raise ModelUnavailable(
            f"{path} is damaged: its digest is not the expected one.", "Delete the file; it will be fetched again."
        )
    target = cache_directory() / "converted" / f"{digest[:32]}-{_FORMAT}"
    if (target / _NOTES).exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not (target / _NOTES).exists():
            _convert(path, target)
    return target


def conversion_warnings(directory: Path) -> tuple[str, ...]:
    """What the conversion that made this directory warned of; nothing for any other directory."""
    notes = directory / _NOTES
    return tuple(json.loads(notes.read_text())["warnings"]) if notes.exists() else ()


def _convert(path: Path, target: Path) -> None:
    with IMPORTING:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    gguf = _gguf()
    try:
        reader = gguf.GGUFReader(path)
        weights = sum(int(tensor.n_elements) for tensor in reader.tensors) * 4
        pre = _text_field(reader, "tokenizer.ggml.pre")
        kind = _text_field(reader, "tokenizer.ggml.model")
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise ModelUnavailable(f"{path.name} is damaged or cut off.", "Fetch the file again.") from error
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
    except (ValueError, KeyError, NotImplementedError, OSError) as error:
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
        (partial / _NOTES).write_text(json.dumps({"source": path.name, "warnings": warnings}))
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


def _gguf() -> Any:
    """The library that reads GGUF files; transformers wants accelerate beside it. Raises MissingDependency."""
    try:
        import accelerate  # noqa: F401
        import gguf
    except ImportError as error:
        raise MissingDependency(
            f"Reading GGUF files needs {error.name}, which is not installed.",
            "Run `make setup`, or `pip install -r requirements.txt`.",
        ) from error
    return gguf


def _text_field(reader: Any, name: str) -> str | None:
    field = reader.get_field(name)
    return None if field is None else str(field.contents())


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
