"""Load a model into memory: the embedded model, a directory, a GGUF file or a hub id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.core.sources import EMBEDDED
from lib.engines.local.model_files import (
    OTHER_MODEL,
    check_directory,
    check_shell,
    check_sizes,
    count_elements,
    fingerprint,
    weight_files,
)
from lib.engines.local.position_limits import steady_context
from lib.errors import MissingDependency, ModelUnavailable, OutOfMemory
from lib.import_lock import IMPORTING
from lib.models import embedded
from lib.models.gguf import conversion_warnings, converted, first_line, forget_conversion, is_gguf
from lib.models.hub import from_hub, is_hub_id, on_disk
from lib.models.local_tokenizer import LocalTokenizer, open_tokenizer
from lib.models.memory import available_memory, gigabytes, lacks_memory
from lib.models.weight_reports import first_of, gaps_in, unplaced_in
from lib.tokenizers.vocabulary import Vocabulary

_HUB_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_HUB_DUPLICATES = ("consolidated*", "original/*", "onnx/*")  # the same weights in formats for other programs
_HEADROOM = 300_000_000  # bytes to leave free besides the weights


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to run, with its tokenizer."""

    name: str
    model: Any  # a transformers causal language model
    tokenizer: LocalTokenizer
    vocabulary: Vocabulary  # padded to the model's own size
    context: int | None  # tokens of prompt and answer together; None = no limit
    eos_ids: frozenset[int]  # tokens that end an answer
    warnings: tuple[str, ...]  # shown with every answer
    provenance: tuple[tuple[str, str], ...]  # (name, value): what the scores depend on
    context_note: str = ""  # why `context` is less than the model's own; "" if it is not

    @property
    def device(self) -> Any:
        """The torch device of the weights."""
        return self.model.device

    @property
    def has_chat_template(self) -> bool:
        """Whether chat messages can be rendered."""
        return self.tokenizer.built.template is not None


@dataclass(frozen=True)
class _Files:
    """A model's files on this machine."""

    name: str  # of the model, as shown
    directory: Path  # config.json, tokenizer and safetensors
    warnings: Sequence[str] = ()  # from converting a GGUF file
    foreign: bool = True  # whether they come from outside Candor and need all checks


def load(source: str, *, dtype: str = "float32", device: str = "auto") -> LoadedModel:
    """Load "embedded", the path of a model directory or GGUF file, or a hub id ("HuggingFaceTB/SmolLM2-135M").

    Reads weights from safetensors or GGUF only, and never runs code that comes with a model.

    dtype: name of a torch dtype.
    device: "auto" takes a GPU if there is one, else the CPU.

    Raises ModelUnavailable, MissingDependency or OutOfMemory.
    """
    torch = _torch()
    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise ModelUnavailable(f"A model cannot be loaded as {dtype!r}.", "Use float32, bfloat16 or float16.")
    device = _checked_device(torch, device)
    files = _locate(source)
    try:
        return _load_files(files, dtype, device)
    except ModelUnavailable:
        if not forget_conversion(files.directory):
            raise
    files = _locate(source)  # convert a damaged conversion again, once
    try:
        return _load_files(files, dtype, device)
    except ModelUnavailable:
        forget_conversion(files.directory)
        raise


def _load_files(files: _Files, dtype: str, device: str) -> LoadedModel:
    import torch

    name, directory, kind = files.name, files.directory, getattr(torch, dtype)
    check_directory(directory)
    elements = sum(count_elements(path) for path in weight_files(directory))
    check_sizes(directory, elements)
    if files.foreign:
        check_shell(directory, elements)
    if device == "cpu":
        _check_memory(name, elements, kind.itemsize)
    tokenizer = open_tokenizer(directory, foreign=files.foreign)
    model = _model(name, directory, kind, device)
    vocabulary = tokenizer.built.vocabulary.padded(model.config.get_text_config().vocab_size)
    context, note = steady_context(model.config.get_text_config())
    warnings = list(files.warnings)
    if not vocabulary.exact:
        warnings.append("This tokenizer has an unknown type of decoder; the text of single tokens may be inexact.")
    return LoadedModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        context=context,
        eos_ids=_eos_ids(model, tokenizer),
        warnings=tuple(warnings),
        provenance=_provenance(directory, vocabulary, dtype, device),
        context_note=note,
    )


def _torch() -> Any:
    try:
        with IMPORTING:
            import torch
            import transformers
            from transformers import AutoModelForCausalLM  # noqa: F401 - so that a missing part shows now

            # Modules that the first answer would otherwise import.
            from lib.engines.local import attention, kv_cache, ragged_decode  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"Running a model on this machine needs {error.name}, which is not installed.",
            "Run `make setup`, or `pip install -r requirements.txt`.",
        ) from error
    transformers.utils.logging.disable_progress_bar()
    return torch


def _checked_device(torch: Any, device: str) -> str:
    """The torch device for a name. Raises ModelUnavailable if this machine does not have it."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except Exception as error:  # its type depends on how torch was built
        raise ModelUnavailable(
            f"This machine has no device {device!r}.", "Use cpu, or cuda on a machine with a GPU."
        ) from error
    return device


def _locate(source: str) -> _Files:
    """Find, download or convert a model's files. Raises ModelUnavailable."""
    if source == EMBEDDED.path:
        directory = embedded.model_directory()
        return _Files(embedded.NAME, directory, conversion_warnings(directory), foreign=False)
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
        return _Files(path.stem if has_suffix else path.name, directory, conversion_warnings(directory))
    if is_directory:
        return _Files(path.resolve().name, path)
    if not is_hub_id(source):
        raise _nowhere(source)
    return _Files(source, from_hub(source, _HUB_FILES, without=_HUB_DUPLICATES))


def _nowhere(source: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"There is no model at {source!r}.", "Enter a directory, a GGUF file, or a hub id of the form owner/name."
    )


def _check_memory(name: str, elements: int, itemsize: int) -> None:
    needed = elements * itemsize + _HEADROOM
    if needed > (free := available_memory()):
        raise OutOfMemory(
            f"{name} needs about {gigabytes(needed)} of memory; {gigabytes(free)} are free.",
            "Choose a smaller model, load it as bfloat16, or free some memory.",
        )


def _model(name: str, directory: Path, dtype: Any, device: str) -> Any:
    """Load the weights; refuse them if they don't fit config.json exactly."""
    from transformers import AutoModelForCausalLM

    from lib.engines.local.attention import use_fast_attention

    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are listed in the report
        )
        model = model.to(device).eval()
    except Exception as error:  # transformers passes on whatever its parsers raise
        if lacks_memory(error):
            raise OutOfMemory(f"There is not enough memory to load {name}.", "Choose a smaller model.") from error
        raise ModelUnavailable(f"{name} cannot be loaded: {first_line(error)}", OTHER_MODEL) from error
    _check_report(name, report)
    use_fast_attention(model)
    return model


def _check_report(name: str, report: Any) -> None:
    """Refuse gaps, which transformers fills with random numbers, and weights without a place, which it ignores."""
    if gaps := gaps_in(report):
        raise ModelUnavailable(
            f"The weights of {name} do not fit its configuration: {gaps[0]} is missing or of another size"
            + (f", and {len(gaps) - 1} more." if len(gaps) > 1 else "."),
            "Download the directory again, and check that it contains a causal language model.",
        )
    if unplaced := unplaced_in(report):
        raise ModelUnavailable(
            f"The files of {name} contain weights that its config.json doesn't use: {first_of(unplaced)}.",
            "Check that config.json belongs to these weights and that every adapter is merged.",
        )


def _eos_ids(model: Any, tokenizer: LocalTokenizer) -> frozenset[int]:
    named = getattr(model.generation_config, "eos_token_id", None)
    ids = [] if named is None else [named] if isinstance(named, int) else list(named)
    return frozenset([*ids, *([] if tokenizer.eos is None else [tokenizer.eos])])


def _provenance(directory: Path, vocabulary: Vocabulary, dtype: str, device: str) -> tuple[tuple[str, str], ...]:
    import torch
    import transformers

    return (
        ("engine", "local"),
        ("weights", fingerprint(directory)),
        ("vocabulary", vocabulary.fingerprint),
        ("dtype", dtype),
        ("device", device),
        ("torch", str(torch.__version__)),
        ("transformers", str(transformers.__version__)),
    )
