"""Load a model into memory: the embedded model, a directory, a GGUF file or a hub id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.engines.local.locating import Files, locate
from lib.engines.local.merging import merge
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
from lib.models.gguf import first_line, forget_conversion
from lib.models.local_tokenizer import LocalTokenizer, open_tokenizer
from lib.models.memory import available_memory, gigabytes, lacks_memory
from lib.models.weight_reports import first_of, gaps_in, unplaced_in
from lib.tokenizers.vocabulary import Vocabulary

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
    tokenizer_directory: Path  # where the tokenizer's files are
    context_note: str = ""  # why `context` is less than the model's own; "" if it is not

    @property
    def device(self) -> Any:
        """The torch device of the weights."""
        return self.model.device

    @property
    def has_chat_template(self) -> bool:
        """Whether chat messages can be rendered."""
        return self.tokenizer.built.template is not None


def load(source: str, *, dtype: str = "float32", device: str = "auto") -> LoadedModel:
    """Load "embedded", "ardenworks", the path of a directory or GGUF file, or a hub id ("HuggingFaceTB/SmolLM2-135M").

    A directory may hold a LoRA adapter, which is merged into its base model.
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
    files = locate(source)
    # What an adapter brings is checked outside `_load_base`: its faults say nothing against a converted base.
    own = None if files.own_tokenizer is None else open_tokenizer(files.own_tokenizer, foreign=True)
    try:
        loaded = _load_base(files, own, dtype, device)
    except ModelUnavailable:
        if not forget_conversion(files.directory):
            raise
        files = locate(source)  # convert a damaged conversion again, once
        try:
            loaded = _load_base(files, own, dtype, device)
        except ModelUnavailable:
            forget_conversion(files.directory)
            raise
    if files.adapter is not None:
        merge(files.adapter, loaded.model)
    return loaded


def _load_base(files: Files, own_tokenizer: LocalTokenizer | None, dtype: str, device: str) -> LoadedModel:
    import torch

    name, directory, kind = files.name, files.directory, getattr(torch, dtype)
    check_directory(directory)
    elements = sum(count_elements(path) for path in weight_files(directory))
    check_sizes(directory, elements)
    if files.foreign:
        check_shell(directory, elements)
    if device == "cpu":
        _check_memory(name, elements, kind.itemsize)
    tokenizer = open_tokenizer(directory, foreign=files.foreign) if own_tokenizer is None else own_tokenizer
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
        provenance=_provenance(files, vocabulary, dtype, device),
        tokenizer_directory=files.own_tokenizer or directory,
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


def _provenance(files: Files, vocabulary: Vocabulary, dtype: str, device: str) -> tuple[tuple[str, str], ...]:
    import torch
    import transformers

    weights, adapter = fingerprint(files.directory), files.adapter
    adapted = () if adapter is None else (("base", weights), ("adapter", adapter.fingerprint()))
    if adapted:  # one fingerprint for both, as "weights" alone says whether two answers come from the same model
        weights = hashlib.sha256("+".join(value for _, value in adapted).encode()).hexdigest()
    return (
        ("engine", "local"),
        ("weights", weights),
        *adapted,
        ("vocabulary", vocabulary.fingerprint),
        ("dtype", dtype),
        ("device", device),
        ("torch", str(torch.__version__)),
        ("transformers", str(transformers.__version__)),
    )
