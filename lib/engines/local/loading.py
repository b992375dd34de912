"""From a name to a model in memory: the embedded model, a directory, a GGUF file or a hub id."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.core.sources import EMBEDDED
from lib.engines.local.position_limits import steady_context
from lib.errors import MissingDependency, ModelUnavailable, OutOfMemory
from lib.import_lock import IMPORTING
from lib.models import embedded
from lib.models.gguf import LFS_POINTER, conversion_warnings, converted, first_line, forget_conversion, is_gguf
from lib.models.hub import from_hub, is_hub_id, on_disk
from lib.models.local_tokenizer import LocalTokenizer, open_tokenizer
from lib.models.memory import available_memory, gigabytes, lacks_memory
from lib.models.weight_reports import first_of, gaps_in, unplaced_in
from lib.tokenizers.vocabulary import Vocabulary

log = logging.getLogger(__name__)

_HUB_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
_HUB_DUPLICATES = ("consolidated*", "original/*", "onnx/*")  # the same weights in a form for other programs
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
_HEADROOM = 300_000_000  # bytes left for everything but the weights
# What config.json calls the sizes that decide how much is built.
_WIDTHS = ("hidden_size", "n_embd", "d_model")
_LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
_WORDS = ("vocab_size",)
_ELSEWHERE = ("kernel_config", "transformers_weights")  # what names code or files that are not beside it
_MOST_OTHERS = 100_000_000  # numbers that a model computes when it is built, such as masks
_COUNTS = ("intermediate_size", "n_inner", "num_experts", "num_local_experts", "n_routed_experts")
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to run, with its tokenizer.

    context: tokens it can hold, None where it sets no limit. eos_ids: tokens that end an answer. limited: why it is not
    read up to its whole context, "" where it is.
    """

    name: str
    model: Any
    tokenizer: LocalTokenizer
    vocabulary: Vocabulary
    context: int | None
    eos_ids: frozenset[int]
    warnings: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    limited: str = ""

    @property
    def device(self) -> Any:
        """The torch device that the weights are on."""
        return self.model.device

    @property
    def has_chat_template(self) -> bool:
        """Whether messages can be rendered."""
        return self.tokenizer.built.template is not None


def load(source: str, *, dtype: str = "float32", device: str = "auto") -> LoadedModel:
    """Load "embedded", the path of a model directory or GGUF file, or a hub id ("HuggingFaceTB/SmolLM2-135M").

    dtype: a torch dtype by name. device: "auto" takes a GPU when there is one, else the CPU. Weights are read from
    safetensors or GGUF only; code that comes with a model is never run.

    Raises ModelUnavailable, MissingDependency or OutOfMemory.
    """
    torch = _torch()
    kind = getattr(torch, dtype, None)
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise ModelUnavailable(
            f"{dtype!r} is not a number type to load a model in.", "Use float32, bfloat16 or float16."
        )
    place = _place(torch, device)
    name, directory, extra = _directory(source)
    try:
        return _loaded(name, directory, extra, kind, dtype, place, foreign=source != EMBEDDED)
    except ModelUnavailable:
        if not forget_conversion(directory):
            raise
    name, directory, extra = _directory(source)  # a damaged conversion is made again, once
    try:
        return _loaded(name, directory, extra, kind, dtype, place, foreign=source != EMBEDDED)
    except ModelUnavailable:
        forget_conversion(directory)
        raise


def _loaded(
    name: str, directory: Path, extra: Sequence[str], kind: Any, dtype: str, place: str, *, foreign: bool
) -> LoadedModel:
    _check_weights(directory)
    elements = sum(_elements(path) for path in _weight_files(directory))
    _check_sizes(directory, elements)
    if foreign:
        _check_shell(directory, elements)
    if place == "cpu":
        _check_memory(name, elements, kind.itemsize)
    tokenizer = open_tokenizer(directory, foreign=foreign)
    model = _model(name, directory, kind, place)
    vocabulary = tokenizer.built.vocabulary.padded(model.config.get_text_config().vocab_size)
    context, limited = steady_context(model.config.get_text_config())
    warnings = list(extra)
    if not vocabulary.exact:
        warnings.append("This tokenizer's decoder is of an unknown kind; the text of single tokens may be inexact.")
    return LoadedModel(
        name=name,
        model=model,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        context=context,
        eos_ids=_eos_ids(model, tokenizer),
        warnings=tuple(warnings),
        provenance=_provenance(directory, vocabulary, dtype, place),
        limited=limited,
    )


def _torch() -> Any:
    try:
        with IMPORTING:
            import torch
            import transformers
            from transformers import AutoModelForCausalLM  # noqa: F401 - so that it is there

            # What the first answer imports.
            from lib.engines.local import attention, kv_cache, ragged_decode  # noqa: F401
    except ImportError as error:
        raise MissingDependency(
            f"Running a model on this machine needs {error.name}, which is not installed.",
            "Run `make setup`, or `pip install -r requirements.txt`.",
        ) from error
    transformers.utils.logging.disable_progress_bar()
    return torch


def _place(torch: Any, device: str) -> str:
    """The device meant by that name. Raises ModelUnavailable when it is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except Exception as error:  # of any kind, depending on what torch was built with
        raise ModelUnavailable(
            f"There is no device {device!r} on this machine.", "Use cpu, or cuda where there is a GPU."
        ) from error
    return device


def _directory(source: str) -> tuple[str, Path, Sequence[str]]:
    """(name, directory with safetensors, warnings of the conversion)."""
    if source == EMBEDDED:
        directory = embedded.model_directory()
        return embedded.NAME, directory, conversion_warnings(directory)
    if not source.strip():
        raise _nowhere(source)
    path, is_file, is_directory = on_disk(source)
    if is_file:
        named = path.suffix.lower() == ".gguf"
        if not named and not is_gguf(path):
            raise ModelUnavailable(
                f"{path.name} is neither a GGUF file nor a directory.",
                "Give the directory that holds config.json and the safetensors files.",
            )
        directory = converted(path)
        return path.stem if named else path.name, directory, conversion_warnings(directory)
    if is_directory:
        return path.resolve().name, path, ()
    if not is_hub_id(source):
        raise _nowhere(source)
    return source, from_hub(source, _HUB_FILES, without=_HUB_DUPLICATES), ()


def _nowhere(source: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"There is no model at {source!r}.", "Give a directory, a GGUF file, or a hub id of the form owner/name."
    )


def _check_weights(directory: Path) -> None:
    whole = (directory / "config.json").exists()
    if any((directory / name).is_file() for name in _ADAPTER):
        merge = (
            "Merge it into the weights with peft's `merge_and_unload`. Custom Model Import needs merged weights, too."
        )
        if whole:
            raise ModelUnavailable(
                f"A LoRA adapter lies beside the weights in {directory} and is not applied.",
                f"{merge} To score the base model, move the adapter elsewhere.",
            )
        raise ModelUnavailable(f"{directory} contains a LoRA adapter without its base model.", merge)
    if not whole and (files := sorted(directory.glob("*.gguf"))):
        raise ModelUnavailable(
            f"{directory} contains GGUF files, but no config.json.",
            f"Give the path of the file itself, such as {files[0].name}.",
        )
    if not whole:
        raise ModelUnavailable(
            f"{directory} holds no model: there is no config.json in it.",
            "Choose the directory that holds config.json, the tokenizer and *.safetensors. Of a hub repository of GGUF "
            "files, download one and give its path.",
        )
    _check_code(directory)
    if _weight_files(directory):
        return
    if others := sorted(directory.glob("*.safetensors")):
        raise ModelUnavailable(
            f"{directory} contains {others[0].name}, but no model.safetensors.",
            "Rename it to model.safetensors. Weights in several files need their model.safetensors.index.json.",
        )
    if any(any(directory.glob(pattern)) for pattern in _PICKLES):
        raise ModelUnavailable(
            f"{directory} holds its weights as pickle files, which can run code when they are opened.",
            "Convert them to safetensors first (transformers' save_pretrained does).",
        )
    raise ModelUnavailable(f"{directory} holds no weights.", "Add the model's *.safetensors files.")


def _weight_files(directory: Path) -> list[Path]:
    """The files that transformers will read: one, or those that the index names. Raises ModelUnavailable."""
    single, index = directory / "model.safetensors", directory / "model.safetensors.index.json"
    if single.is_file() or not index.is_file():
        return [single] if single.is_file() else []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{index.name} cannot be read.", "Fetch the file again.") from error
    for name in names:
        # Anything else would be a path, or be opened as a pickle.
        if not isinstance(name, str) or Path(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelUnavailable(
                f"{index.name} names {str(name)[:80]!r}, which is no safetensors file beside it.", "Fetch it again."
            )
        if not (directory / name).is_file():
            raise ModelUnavailable(f"{name}, which {index.name} names, is missing.", "Fetch the file.")
    return [directory / name for name in names]


def _check_code(directory: Path) -> None:
    """Refuse a model that only works with Python code of its own."""
    with IMPORTING:
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        kind, own_code = config.get("model_type"), "auto_map" in config
        elsewhere = any(
            key in _ELSEWHERE or ("implementation" in key and "/" in str(value)) for key, value in _settings(config)
        )
    except (OSError, ValueError, AttributeError) as error:
        raise ModelUnavailable(f"The config.json in {directory} cannot be read.", "Fetch the file again.") from error
    if elsewhere:
        raise ModelUnavailable(
            f"The config.json in {directory} names code or weights elsewhere, which are never used here.", _OTHER_MODEL
        )
    if kind not in CONFIG_MAPPING and own_code:
        raise ModelUnavailable(
            f"{directory} holds a model that needs program code of its own, which is never run here.", _OTHER_MODEL
        )
    if kind not in CONFIG_MAPPING:
        raise ModelUnavailable(
            f"transformers knows no model of the type {kind!r} that {directory} holds.", _OTHER_MODEL
        )


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a configuration with its value, those of configurations within it included."""
    for key, value in config.items():
        yield str(key), value
        if isinstance(value, dict):
            yield from _settings(value)


def _check_shell(directory: Path, elements: int) -> None:
    """Refuse a configuration that builds far more than there are weights, by building it without memory."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            shell = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception:  # loading it says what is wrong, in words
        log.debug("the shell of a model cannot be built", exc_info=True)
        return
    weights = sum(each.numel() for each in shell.parameters())
    others = sum(each.numel() for each in shell.buffers())
    if max(weights, others - _MOST_OTHERS) > 16 * elements:
        raise _too_large(directory)


def _check_sizes(directory: Path, elements: int) -> None:
    """Refuse a configuration of far more weights than there are: what is missing would be allocated."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    inner = config.get("text_config")
    sizes = {**config, **inner} if isinstance(inner, dict) else config
    width, layers, vocabulary = (
        next((sizes[key] for key in keys if type(sizes.get(key)) is int), 1) for keys in (_WIDTHS, _LAYERS, _WORDS)
    )
    most = max((value for key, value in sizes.items() if key in _COUNTS and type(value) is int), default=0)
    # Packed weights hold several numbers in one element.
    if max(width * vocabulary, width * layers, most) > 16 * elements:
        raise _too_large(directory)


def _too_large(directory: Path) -> ModelUnavailable:
    return ModelUnavailable(
        f"The config.json in {directory} describes a model far larger than its weights.", "Fetch the files again."
    )


def _check_memory(name: str, elements: int, itemsize: int) -> None:
    needed = elements * itemsize + _HEADROOM
    if needed > (free := available_memory()):
        raise OutOfMemory(
            f"{name} needs about {gigabytes(needed)} of memory; {gigabytes(free)} are free.",
            "Choose a smaller model, load it as bfloat16, or free some memory.",
        )


def _elements(path: Path) -> int:
    """The number of weights in a safetensors file, from its header."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(len(LFS_POINTER))
            if start == LFS_POINTER:
                raise ModelUnavailable(
                    f"{path.name} is a Git LFS pointer, not the file itself.", "Run `git lfs pull` in its directory."
                )
            length = int.from_bytes(start[:8], "little")
            file.seek(8)
            header = json.loads(file.read(min(length, size)))
        spans = [(entry["data_offsets"], entry["dtype"]) for key, entry in header.items() if key != "__metadata__"]
        if 8 + length + max((end for (_, end), _ in spans), default=0) > size:
            raise ValueError("the file ends before its last weight")
        return sum((end - start) // _SIZES.get(dtype, 1) for (start, end), dtype in spans)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{path.name} is damaged or cut off.", "Fetch the file again.") from error


def _model(name: str, directory: Path, dtype: Any, device: str) -> Any:
    from transformers import AutoModelForCausalLM

    from lib.engines.local.attention import use_fast_attention
    from lib.engines.local.small_batch_matmul import use_skinny_products

    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            directory,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are in the report
        )
        model = model.to(device).eval()
    except Exception as error:  # transformers raises whatever its parsers raise
        if lacks_memory(error):
            raise OutOfMemory(f"There is not enough memory to load {name}.", "Choose a smaller model.") from error
        raise ModelUnavailable(f"{name} cannot be loaded: {first_line(error)}", _OTHER_MODEL) from error
    if gaps := gaps_in(report):
        raise ModelUnavailable(
            f"The weights of {name} do not fit its configuration: {gaps[0]} is missing or of another size"
            + (f", and {len(gaps) - 1} more." if len(gaps) > 1 else "."),
            "Fetch the directory again, and check that it holds a causal language model.",
        )
    if unplaced := unplaced_in(report):
        raise ModelUnavailable(
            f"The files of {name} contain weights that its config.json doesn't use: {first_of(unplaced)}.",
            "Check that config.json belongs to these weights and that every adapter is merged.",
        )
    use_skinny_products(model)
    use_fast_attention(model)
    return model


_OTHER_MODEL = "Choose a causal language model that transformers knows, such as Llama, Mistral or Qwen."


def _eos_ids(model: Any, tokenizer: LocalTokenizer) -> frozenset[int]:
    named = getattr(model.generation_config, "eos_token_id", None)
    ids = [] if named is None else [named] if isinstance(named, int) else list(named)
    return frozenset([*ids, *([] if tokenizer.eos is None else [tokenizer.eos])])


def _provenance(directory: Path, vocabulary: Vocabulary, dtype: str, device: str) -> tuple[tuple[str, str], ...]:
    import torch
    import transformers

    return (
        ("engine", "local"),
        ("weights", _fingerprint(directory)),
        ("vocabulary", vocabulary.fingerprint),
        ("dtype", dtype),
        ("device", device),
        ("torch", str(torch.__version__)),
        ("transformers", str(transformers.__version__)),
    )


def _fingerprint(directory: Path) -> str:
    """SHA-256 over the configuration, the weight files' headers and sizes, and a sample of each file's weights."""
    import hashlib

    digest = hashlib.sha256((directory / "config.json").read_bytes())
    for path in _weight_files(directory):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            digest.update(file.read(min(length, 10_000_000)))
            middle = path.stat().st_size // 2
            file.seek(middle)
            digest.update(file.read(1_000_000))
        digest.update(str(path.stat().st_size).encode())
    return digest.hexdigest()
