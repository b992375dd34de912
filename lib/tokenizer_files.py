"""Tokenizers from files: a directory, a hub id, tokenizer.json, tokenizer.model, or uploads of these."""

from __future__ import annotations

import base64
import binascii
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lib.errors import CandorError, ModelUnavailable
from lib.imports import IMPORTING
from lib.pieces import make_pieces
from lib.request import Message
from lib.sought import from_hub, is_hub_id, on_disk
from lib.sources import EMBEDDED
from lib.tokenizer import Tokenizer
from lib.vocabulary import Vocabulary, read_vocabulary

MAX_BYTES = 100_000_000  # the largest tokenizer.json there is has some 35 MB
_HUB_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "vocab*",
    "merges.txt",
    "chat_template*",
    "config.json",
    "*.model",
)
_TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")
_BASE_TOKENS = 128_000  # of Llama 3
# How Llama 3 cuts text before merging, and its special tokens, as published with its tokenizer.model.
_LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_NAMED = {
    0: "begin_of_text", 1: "end_of_text", 2: "reserved_special_token_0", 3: "reserved_special_token_1",
    4: "finetune_right_pad_id", 5: "step_id", 6: "start_header_id", 7: "end_header_id", 8: "eom_id", 9: "eot_id",
    10: "python_tag", 11: "image",
}  # fmt: skip


def load_tokenizer(source: str | Path) -> Tokenizer:
    """The tokenizer of "embedded", a directory, a tokenizer.json, a tokenizer.model or a hub id.

    Raises ModelUnavailable.
    """
    if source == EMBEDDED:
        from lib.local import embedded
        from lib.local.gguf import converted

        return _from_directory(converted(embedded.fetch(), embedded.SHA256), embedded.NAME)
    path, is_file, is_directory = on_disk(source)
    if is_directory:
        return _from_directory(path, path.resolve().name)
    if is_file:
        return _from_file(path)
    if is_hub_id(str(source)):
        return _from_directory(from_hub(str(source), _HUB_FILES), str(source))
    raise ModelUnavailable(
        f"There is no tokenizer at {str(source)!r}.",
        "Give a directory, a tokenizer.json, a tokenizer.model, or a hub id of the form owner/name.",
    )


def tokenizer_from_uploads(files: Mapping[str, bytes]) -> Tokenizer:
    """The tokenizer in uploaded files, by name: tokenizer.json or tokenizer.model, and what belongs to it.

    Raises ModelUnavailable.
    """
    if sum(map(len, files.values())) > MAX_BYTES:
        raise ModelUnavailable("These files are too large for a tokenizer.", "Upload the tokenizer's files only.")
    with tempfile.TemporaryDirectory() as place:
        for name, data in files.items():
            (Path(place) / Path(name).name).write_bytes(data)
        main = [name for name in files if Path(name).suffix == ".model"] or [
            name for name in files if "tokenizer_config" not in name and Path(name).suffix == ".json"
        ]
        if not main:
            raise ModelUnavailable(
                "There is no tokenizer among these files.", "Upload tokenizer.json or tokenizer.model."
            )
        if (Path(place) / "tokenizer.json").exists():
            return _from_directory(Path(place), "tokenizer.json")
        return _from_file(Path(place) / Path(main[0]).name)


def _from_file(path: Path) -> Tokenizer:
    if path.stat().st_size > MAX_BYTES:
        raise ModelUnavailable(f"{path.name} is too large for a tokenizer.", "Give its tokenizer.json.")
    if path.suffix == ".json":
        return _from_json(path)
    data = path.read_bytes()
    if _TIKTOKEN_LINE.match(data):
        return _from_tiktoken(data, path)
    return _from_sentencepiece(data, path)


def _from_directory(path: Path, name: str) -> Tokenizer:
    has_fast = (path / "tokenizer.json").exists() or (path / "vocab.json").exists()
    if not has_fast and (path / "tokenizer.model").exists():
        return _from_file(path / "tokenizer.model")
    try:
        with IMPORTING:
            from transformers import AutoTokenizer

            fast = AutoTokenizer.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # transformers raises whatever its parsers raise
        if (path / "tokenizer.json").exists():
            return _from_json(path / "tokenizer.json")
        raise _unreadable(path.name) from error
    return from_transformers(fast, name)


def _from_json(path: Path) -> Tokenizer:
    with IMPORTING:
        from transformers import PreTrainedTokenizerFast

    config = _config(path.parent)
    names = {key: _content(config.get(f"{key}_token")) for key in ("bos", "eos")}
    try:
        fast = PreTrainedTokenizerFast(
            tokenizer_file=str(path), **{f"{key}_token": name for key, name in names.items() if name}
        )
    except BaseException as error:  # the parser is Rust, and its panics are no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise _unreadable(path.name) from error
    if template := _template(path.parent, config):
        fast.chat_template = template
    return from_transformers(fast, path.resolve().parent.name if path.name == "tokenizer.json" else path.stem)


def from_transformers(fast: Any, name: str) -> Tokenizer:
    """A fast tokenizer of transformers. Raises ModelUnavailable for a slow one."""
    backend = getattr(fast, "backend_tokenizer", None)
    if backend is None:
        raise ModelUnavailable(f"{name} has no fast tokenizer.", "Add the model's tokenizer.json.")
    backend.no_truncation()
    backend.no_padding()
    prefix = list(backend.encode("").ids)
    if fast.eos_token_id is not None and prefix[-1:] == [fast.eos_token_id] != [fast.bos_token_id]:
        del prefix[-1]  # what would end the text; a prompt goes on

    def encode(text: str) -> list[int]:
        # The fast form leaves out where in the text each token stands, which takes half of the time.
        return list(backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    def render(messages: Sequence[Message]) -> str:
        turns = [{"role": each.role, "content": each.content} for each in messages]
        return str(fast.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    return Tokenizer(
        name, read_vocabulary(backend), encode, tuple(prefix), fast.bos_token_id, render if fast.chat_template else None
    )


def _from_tiktoken(data: bytes, path: Path) -> Tokenizer:
    """Lines of base64 and rank; see https://github.com/openai/tiktoken."""
    import tiktoken

    try:
        lines = [line.split() for line in data.splitlines() if line.strip()]
        ranks = {base64.b64decode(blob, validate=True): int(rank) for blob, rank in lines}
        if len(ranks) != len(lines) or sorted(ranks.values()) != list(range(len(ranks))):
            raise ValueError("ranks must count from 0")
        specials = _special_ids(path.parent, len(ranks))
        if min(specials.values(), default=len(ranks)) < len(ranks):
            raise ValueError("a special token takes the place of another")
        coder = tiktoken.Encoding(path.name, pat_str=_LLAMA3_PATTERN, mergeable_ranks=ranks, special_tokens=specials)
    except (ValueError, binascii.Error) as error:
        raise _unreadable(path.name) from error
    blobs = {rank: (blob, False) for blob, rank in ranks.items()}
    blobs |= {number: (name.encode(), True) for name, number in specials.items()}
    vocabulary = Vocabulary(make_pieces([(i, *blobs.get(i, (b"", False))) for i in range(max(blobs, default=-1) + 1)]))
    bos = specials.get("<|begin_of_text|>")
    config = _config(path.parent)

    def encode(text: str) -> list[int]:
        return coder.encode(text, allowed_special="all")

    return Tokenizer(_name(path), vocabulary, encode, () if bos is None else (bos,), bos, _render(path.parent, config))


def _special_ids(directory: Path, base: int) -> dict[str, int]:
    """Names and ids of the special tokens: as tokenizer_config.json lists them, else those that Llama 3 publishes."""
    listed = _config(directory).get("added_tokens_decoder")
    if isinstance(listed, dict) and listed:
        return {str(_content(entry)): int(number) for number, entry in listed.items() if _content(entry)}
    if base != _BASE_TOKENS:
        return {}
    named = [_LLAMA3_NAMED.get(i, f"reserved_special_token_{i - 10}") for i in range(256)]
    return {f"<|{name}|>": base + i for i, name in enumerate(named)}


def _from_sentencepiece(data: bytes, path: Path) -> Tokenizer:
    from sentencepiece import SentencePieceProcessor

    try:
        model = SentencePieceProcessor(model_proto=data)
        size = model.get_piece_size()
    except Exception as error:  # its C++ errors come as RuntimeError or others
        raise _unreadable(path.name) from error
    if size == 0:
        raise _unreadable(path.name)
    entries = []
    for number in range(size):
        piece = model.id_to_piece(number)
        if model.is_byte(number):
            blob = bytes([int(piece[3:5], 16)])
        else:
            blob = piece.replace("▁", " ").encode("utf-8", "surrogatepass")
        entries.append((number, blob, model.is_control(number) or model.is_unknown(number)))
    bos = model.bos_id() if model.bos_id() >= 0 else None

    def encode(text: str) -> list[int]:
        return [int(number) for number in model.encode(text)]

    return Tokenizer(
        _name(path),
        Vocabulary(make_pieces(entries), drops_space=True),
        encode,
        () if bos is None else (bos,),
        bos,
        _render(path.parent, _config(path.parent)),
    )


def _render(directory: Path, config: Mapping[str, Any]) -> Any:
    """The chat template beside a tokenizer.model, if there is one."""
    template = _template(directory, config)
    if template is None:
        return None
    with IMPORTING:
        from transformers.utils.chat_template_utils import render_jinja_template

    names = {key: _content(config.get(f"{key}_token")) or "" for key in ("bos", "eos")}

    def render(messages: Sequence[Message]) -> str:
        turns = [{"role": each.role, "content": each.content} for each in messages]
        texts, _ = render_jinja_template(
            conversations=[turns],
            chat_template=template,
            add_generation_prompt=True,
            bos_token=names["bos"],
            eos_token=names["eos"],
        )
        return str(texts[0])

    return render


def _template(directory: Path, config: Mapping[str, Any]) -> str | None:
    """The chat template: from a file of its own, which takes precedence, else from the configuration."""
    found: Any = config.get("chat_template")
    try:
        if (own := directory / "chat_template.jinja").exists():
            found = own.read_text(encoding="utf-8")
        elif (own := directory / "chat_template.json").exists():
            found = json.loads(own.read_text(encoding="utf-8"))["chat_template"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _config(directory: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((directory / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _content(entry: Any) -> str | None:
    """The text of a token that a configuration names, either as it is or as an object."""
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if isinstance(entry, str) else None


def _name(path: Path) -> str:
    return path.resolve().parent.name or path.name


def _unreadable(name: str) -> CandorError:
    return ModelUnavailable(
        f"{name} cannot be read as a tokenizer.", "Give the model's own tokenizer.json or tokenizer.model."
    )
