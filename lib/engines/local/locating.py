"""Find a model's files: the embedded model's, a directory, a GGUF file, a hub id, or an adapter with its base model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lib.core.sources import EMBEDDED, TUNED
from lib.errors import ModelUnavailable
from lib.models import embedded, tuned
from lib.models.adapter_files import CONFIG, Adapter, is_adapter, read_adapter
from lib.models.gguf import conversion_warnings, converted, is_gguf
from lib.models.hub import from_hub, is_hub_id, on_disk
from lib.tokenizers.build import ANY_OF

_HUB_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_HUB_DUPLICATES = ("consolidated*", "original/*", "onnx/*")  # the same weights in formats for other programs
_QUANTIZED = (
    f"The adapter was trained on {embedded.HUB_ID}. It is merged into the embedded copy, whose weights are quantized "
    "to about four bits, so scores differ slightly."
)


@dataclass(frozen=True)
class Files:
    """A model's files on this machine."""

    name: str  # of the model, as shown
    directory: Path  # config.json, tokenizer and safetensors
    warnings: Sequence[str] = ()  # from converting a GGUF file, or about an adapter's base
    foreign: bool = True  # whether they come from outside Candor and need all checks
    adapter: Adapter | None = None  # to merge into the weights
    own_tokenizer: Path | None = None  # the adapter's directory if it has a tokenizer, which is always foreign


def locate(source: str) -> Files:
    """Find, download or convert a model's files. Raises ModelUnavailable."""
    if source == TUNED.path:
        return replace(_with_base(tuned.DIRECTORY), name=tuned.NAME)
    found = _locate_any(source)
    if not is_adapter(found.directory):
        return found
    return replace(_with_base(found.directory), name=found.name)


def _locate_any(source: str) -> Files:
    """The files that a source names, which may be those of an adapter."""
    if source == EMBEDDED.path:
        directory = embedded.model_directory()
        return Files(embedded.NAME, directory, conversion_warnings(directory), foreign=False)
    if not source.strip():
        raise _nowhere(source)
    path, is_file, is_directory = on_disk(source)
    if is_file:
        has_suffix = path.suffix.lower() == ".gguf"
        if not has_suffix and not is_gguf(path):
            raise ModelUnavailable(
                f"{path.name} is neither a GGUF file nor a directory.",
                "Enter the directory with config.json and the safetensors files.",
            )
        directory = converted(path)
        return Files(path.stem if has_suffix else path.name, directory, conversion_warnings(directory))
    if is_directory:
        return Files(path.resolve().name, path)
    if not is_hub_id(source):
        raise _nowhere(source)
    return Files(source, from_hub(source, _HUB_FILES, without=_HUB_DUPLICATES))


def _with_base(directory: Path) -> Files:
    """The base model of an adapter, with the adapter. Raises ModelUnavailable."""
    adapter = read_adapter(directory)
    base = _base_of(adapter)
    if base.directory.resolve() == directory.resolve() or is_adapter(base.directory):
        raise ModelUnavailable(
            f"{directory} contains a LoRA adapter without its base model: {CONFIG} names "
            f"{adapter.base[:200]}, which is an adapter, too.",
            "Enter the base model's directory or hub id there as base_model_name_or_path. Custom Model Import needs "
            "merged weights.",
        )
    own = directory if any((directory / name).is_file() for name in ANY_OF) else None
    return replace(base, warnings=(*base.warnings, *_doubts(adapter)), adapter=adapter, own_tokenizer=own)


def _base_of(adapter: Adapter) -> Files:
    if adapter.base in (EMBEDDED.path, embedded.HUB_ID):
        return _locate_any(EMBEDDED.path)
    if adapter.base.replace("\\", "/").startswith("//"):  # Windows would connect to the host of that name
        raise ModelUnavailable(
            f"The adapter in {adapter.directory} names a base model on another host.",
            f"Copy the base model here, and enter its directory in {CONFIG} as base_model_name_or_path.",
        )
    # Relative to the adapter, or, as peft has it, to where the process runs.
    beside, is_file, is_directory = on_disk(adapter.directory / adapter.base)
    try:
        return _locate_any(str(beside) if is_file or is_directory else adapter.base)
    except ModelUnavailable as error:
        raise ModelUnavailable(
            f"The base model of the adapter in {adapter.directory} cannot be used: {error.cause}",
            f"{CONFIG} names it as base_model_name_or_path; enter a directory or hub id there. {error.remedy}",
        ) from error


def _doubts(adapter: Adapter) -> tuple[str, ...]:
    """What may differ between the base model that is used and the one that the adapter was trained on."""
    if adapter.base == embedded.HUB_ID:
        return (_QUANTIZED,)
    if adapter.revision and is_hub_id(adapter.base):
        return (f"The adapter was trained on revision {adapter.revision[:80]} of its base; the current one is used.",)
    return ()


def _nowhere(source: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"There is no model at {source!r}.", "Enter a directory, a GGUF file, or a hub id of the form owner/name."
    )
