"""Builds a tokenizer from the bytes of its files alone: opens no path, and loads no class that a file names.

The tokenizers library reads tokenizer.json. Its structure and IDs are checked first, as the library allocates memory by
the largest ID. For foreign files, this runs in the child process of `lib.sandbox.sandbox`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lib.core.pieces import make_pieces
from lib.errors import CandorError, ModelUnavailable
from lib.tokenizers.vocabulary import Vocabulary, read_vocabulary

# Largest size of each file in bytes; the largest known tokenizer.json has about 35 MB. Other files are not read.
FILES = {
    "tokenizer.json": 100_000_000,
    "tokenizer.model": 20_000_000,
    "tokenizer_config.json": 10_000_000,
    "special_tokens_map.json": 1_000_000,
    "added_tokens.json": 5_000_000,
    "vocab.json": 20_000_000,
    "merges.txt": 20_000_000,
    "chat_template.jinja": 1_000_000,
    "chat_template.json": 1_000_000,
}
ANY_OF = ("tokenizer.json", "tokenizer.model", "vocab.json")

_MOST_IDS = 1 << 21  # the largest vocabularies have about a million
_MOST_GROWTH = 64  # how many times longer normalization may make a text; one Arabic letter becomes 18
_SPARE_IDS = 1 << 16  # IDs without an entry, as in a padded vocabulary
_MODELS = ("BPE", "WordPiece", "WordLevel", "Unigram")
_TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")
_BASE_TOKENS = 128_000  # of Llama 3
# Llama 3's pre-tokenizer pattern and special tokens, as published with its tokenizer.model.
_LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_NAMED = {
    0: "begin_of_text", 1: "end_of_text", 2: "reserved_special_token_0", 3: "reserved_special_token_1",
    4: "finetune_right_pad_id", 5: "step_id", 6: "start_header_id", 7: "end_header_id", 8: "eom_id", 9: "eot_id",
    10: "python_tag", 11: "image",
}  # fmt: skip
# Tokenizer classes whose pre-tokenizer is known although vocab.json and merges.txt don't contain it.
_GPT2 = ("GPT2Tokenizer", "RobertaTokenizer", "BartTokenizer", "WhisperTokenizer")
_QWEN2 = ("Qwen2Tokenizer",)
_QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Template:
    """A chat template."""

    source: str  # Jinja
    names: Mapping[str, str]  # special tokens by the template's variables, such as bos_token


@dataclass(frozen=True, eq=False)
class Built:
    """A tokenizer in this process."""

    vocabulary: Vocabulary
    encode: Callable[[str], list[int]]  # IDs of a text; recognises special tokens in it, adds none
    prefix: tuple[int, ...] = ()  # IDs that the model's configuration puts before a raw prompt
    bos: int | None = None  # beginning-of-sequence ID; None if there is none
    eos: int | None = None  # end-of-sequence ID; None if the files name none
    template: Template | None = None
    backend: Any = None  # a `tokenizers.Tokenizer`; None for other kinds, which have `spans`
    spans: Callable[[str], list[tuple[int, int]]] | None = None  # (start, end) in characters of each ID of `encode`


def build(files: Mapping[str, bytes]) -> Built:
    """Build the tokenizer from its files: bytes by the names in `FILES`. Raises ModelUnavailable."""
    config = _object(files.get("tokenizer_config.json"))
    names = _special_names(files, config)
    if "tokenizer.json" in files:
        return _from_json(files["tokenizer.json"], names, _template(files, config, names))
    if "vocab.json" in files and "merges.txt" in files:
        return _from_json(_joined(files, config), names, _template(files, config, names))
    data = files.get("tokenizer.model")
    if data is None:
        raise ModelUnavailable("There is no tokenizer among these files.", "Use tokenizer.json or tokenizer.model.")
    template = _template(files, config, names)
    if _TIKTOKEN_LINE.match(data):
        return _from_tiktoken(data, config, template)
    return _from_sentencepiece(data, files, template)


def from_backend(backend: Any, names: Mapping[str, str], template: Template | None) -> Built:
    """Wrap a `tokenizers.Tokenizer`. names: special tokens, as in `Template`."""
    backend.no_truncation()
    backend.no_padding()
    bos, eos = (backend.token_to_id(names[key]) if key in names else None for key in ("bos_token", "eos_token"))
    prefix = list(backend.encode("").ids)
    if eos is not None and prefix[-1:] == [eos] != [bos]:
        del prefix[-1]  # it would end the text, but a prompt continues

    def encode(text: str) -> list[int]:
        # The fast form skips the offsets, which take half of the time.
        return list(backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    return Built(read_vocabulary(backend), encode, tuple(prefix), bos, eos, template, backend)


def _from_json(data: bytes, names: Mapping[str, str], template: Template | None) -> Built:
    check_spec(_object(data))
    import tokenizers

    try:
        backend = tokenizers.Tokenizer.from_buffer(data)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # the parser is Rust, and its panics are not Exceptions
        raise _unreadable("tokenizer.json") from error
    return from_backend(backend, names, template)


def check_spec(spec: Any) -> None:
    """Check the structure of a tokenizer.json and its IDs. Raises ModelUnavailable."""
    model = spec.get("model") if isinstance(spec, dict) else None
    if not isinstance(model, dict):
        raise _unreadable("tokenizer.json")
    vocab, merges, added = model.get("vocab"), model.get("merges"), spec.get("added_tokens") or []
    kind = model.get("type") or ("Unigram" if isinstance(vocab, list) else "BPE")
    if kind not in _MODELS or not isinstance(vocab, dict | list) or not isinstance(added, list):
        raise _unreadable("tokenizer.json")
    if isinstance(vocab, list) != (kind == "Unigram"):
        raise _unreadable("tokenizer.json")
    if not isinstance(merges, list | None) or not all(map(_is_merge, merges or ())):
        raise _unreadable("tokenizer.json")
    if isinstance(vocab, list):
        if not all(isinstance(each, list) and len(each) == 2 and isinstance(each[0], str) for each in vocab):
            raise _unreadable("tokenizer.json")
        ids: list[Any] = [len(vocab) - 1]
    else:
        ids = list(vocab.values())
    if not all(isinstance(each, dict) and isinstance(each.get("content"), str) for each in added):
        raise _unreadable("tokenizer.json")
    check_ids([*ids, *(each.get("id") for each in added)], len(vocab) + len(added), "tokenizer.json")
    for place, parts in (("normalizer", "normalizers"), ("decoder", "decoders")):
        _check_growth(spec.get(place), parts)


def _check_growth(step: Any, parts: str) -> None:
    """Raise ModelUnavailable if a chain of replacements could make a text far longer.

    parts: the key that lists the steps of a sequence.
    """
    steps, growth = [step], 1.0
    while steps:
        each = steps.pop()
        if not isinstance(each, dict):
            continue
        if isinstance(each.get(parts), list):
            steps += each[parts]
        content, pattern = each.get("content", each.get("prepend")), each.get("pattern")
        if isinstance(content, str):
            replaced = pattern.get("String") if isinstance(pattern, dict) else None
            growth *= max(1.0, len(content) / max(1, len(replaced) if isinstance(replaced, str) else 1))
        if (charsmap := each.get("precompiled_charsmap")) is not None:
            try:
                growth *= _growth_of(base64.b64decode(charsmap))
            except (TypeError, ValueError) as error:
                raise _unreadable("tokenizer.json") from error
        if growth > _MOST_GROWTH:
            raise ModelUnavailable(
                "This tokenizer replaces single characters with long text, which no real model's tokenizer does.",
                "Use the model's own tokenizer.json or tokenizer.model.",
            )


def _growth_of(charsmap: bytes) -> float:
    """How many times longer a compiled SentencePiece map can make a text: its longest replacement, in characters.

    The map is the length of a trie in four bytes, the trie, and the replacements, each ended by a zero byte.
    """
    replacements = charsmap[4 + int.from_bytes(charsmap[:4], "little") :].split(b"\0")
    return max(1.0, *(len(each.decode("utf-8", "replace")) for each in replacements))


def check_ids(ids: list[Any], entries: int, name: str) -> None:
    """Raise ModelUnavailable if an ID is not an integer or far beyond the number of entries. name: of the file."""
    if not all(type(each) is int for each in ids):
        raise _unreadable(name)
    if min(ids, default=0) < -1 or max(ids, default=0) >= min(2 * entries + _SPARE_IDS, _MOST_IDS):
        raise ModelUnavailable(
            f"{name} has token IDs far beyond its {entries:,} entries.", "Use the model's own tokenizer.json."
        )


def _is_merge(entry: Any) -> bool:
    return isinstance(entry, str) or (
        isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)
    )


def _joined(files: Mapping[str, bytes], config: Mapping[str, Any]) -> bytes:
    """The tokenizer.json equivalent of vocab.json and merges.txt, for classes whose pre-tokenizer is known."""
    kind = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    if kind not in (*_GPT2, *_QWEN2):
        raise ModelUnavailable(
            "vocab.json and merges.txt don't say how this model splits text into words.", "Add its tokenizer.json."
        )
    vocab = _object(files["vocab.json"])
    lines = files["merges.txt"].decode("utf-8", "replace").splitlines()
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": kind in _GPT2}
    split = {"type": "Split", "pattern": {"Regex": _QWEN2_PATTERN}, "behavior": "Isolated", "invert": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    spec = {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": name, **flags}
            for name, number in sorted(_added(files).items(), key=lambda each: each[1])
        ],
        "normalizer": {"type": "NFC"} if kind in _QWEN2 else None,
        "pre_tokenizer": byte_level if kind in _GPT2 else {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    }
    return json.dumps(spec).encode()


def _from_tiktoken(data: bytes, config: Mapping[str, Any], template: Template | None) -> Built:
    """A tiktoken file: lines of base64 and rank; see https://github.com/openai/tiktoken."""
    import tiktoken

    try:
        lines = [line.split() for line in data.splitlines() if line.strip()]
        ranks = {base64.b64decode(blob, validate=True): int(rank) for blob, rank in lines}
        if len(ranks) != len(lines) or sorted(ranks.values()) != list(range(len(ranks))):
            raise ValueError("ranks must count from 0")
        specials = _special_ids(config, len(ranks))
        if min(specials.values(), default=len(ranks)) < len(ranks):
            raise ValueError("a special token takes the place of another")
        check_ids(list(specials.values()), len(ranks) + len(specials), "tokenizer_config.json")
        coder = tiktoken.Encoding("model", pat_str=_LLAMA3_PATTERN, mergeable_ranks=ranks, special_tokens=specials)
    except (ValueError, binascii.Error) as error:
        raise _unreadable("tokenizer.model") from error
    blobs = {rank: (blob, False) for blob, rank in ranks.items()}
    blobs |= {number: (name.encode(), True) for name, number in specials.items()}
    vocabulary = Vocabulary(make_pieces([(i, *blobs.get(i, (b"", False))) for i in range(max(blobs, default=-1) + 1)]))
    bos = specials.get("<|begin_of_text|>")

    def encode(text: str) -> list[int]:
        return coder.encode(text, allowed_special="all")

    return Built(vocabulary, encode, () if bos is None else (bos,), bos, None, template)


def _special_ids(config: Mapping[str, Any], base: int) -> dict[str, int]:
    """IDs of the special tokens by name: from tokenizer_config.json, else as Llama 3 publishes them."""
    listed = config.get("added_tokens_decoder")
    if isinstance(listed, dict) and listed:
        return {str(_content(entry)): int(number) for number, entry in listed.items() if _content(entry)}
    if base != _BASE_TOKENS:
        return {}
    named = [_LLAMA3_NAMED.get(i, f"reserved_special_token_{i - 10}") for i in range(256)]
    return {f"<|{name}|>": base + i for i, name in enumerate(named)}


def _from_sentencepiece(data: bytes, files: Mapping[str, bytes], template: Template | None) -> Built:
    model = _sentencepiece_model(data)
    size = model.get_piece_size()
    entries = {number: _sentencepiece_entry(model, number) for number in range(size)}
    marks = {model.id_to_piece(number): number for number in range(size) if model.is_control(number)}
    marks |= _added(files)
    check_ids(list(marks.values()), size + len(marks), "added_tokens.json")
    entries |= {number: (name.encode("utf-8", "replace"), True) for name, number in marks.items()}
    pieces = make_pieces([(number, *entries.get(number, (b"", False))) for number in range(max(entries) + 1)])
    bos, eos = (number if number >= 0 else None for number in (model.bos_id(), model.eos_id()))
    adds_bos = _object(files.get("tokenizer_config.json")).get("add_bos_token") is not False
    prefix = (bos,) if bos is not None and adds_bos else ()
    coder = _MarkedSentencePiece(model, marks)
    vocabulary = Vocabulary(pieces, drops_space=True)
    return Built(vocabulary, coder.encode, prefix, bos, eos, template, spans=coder.spans)


def _sentencepiece_model(data: bytes) -> Any:
    """The model, checked before it is built. Raises ModelUnavailable."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from sentencepiece import SentencePieceProcessor
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    try:
        normalizer = ModelProto.FromString(data).normalizer_spec
    except DecodeError as error:
        raise _unreadable("tokenizer.model") from error
    _check_growth({"precompiled_charsmap": base64.b64encode(normalizer.precompiled_charsmap)}, "")
    try:
        model = SentencePieceProcessor(model_proto=data)
        size = model.get_piece_size()
    except Exception as error:  # its C++ errors arrive as RuntimeError or others
        raise _unreadable("tokenizer.model") from error
    if size == 0:
        raise _unreadable("tokenizer.model")
    return model


def _sentencepiece_entry(model: Any, number: int) -> tuple[bytes, bool]:
    """(bytes, is special) of a piece."""
    piece = model.id_to_piece(number)
    if model.is_byte(number):
        blob = bytes([int(piece[3:5], 16)])
    else:
        blob = piece.replace("▁", " ").encode("utf-8", "surrogatepass")
    return blob, model.is_control(number) or model.is_unknown(number)


class _MarkedSentencePiece:
    """Encodes text with marks in it, which SentencePiece itself would split: "<s>" into three ordinary pieces."""

    def __init__(self, model: Any, marks: Mapping[str, int]) -> None:
        """marks: IDs by name."""
        self._model, self._marks = model, marks
        longest_first = sorted(filter(None, marks), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def encode(self, text: str) -> list[int]:
        """IDs of a text."""
        return [number for number, _, _ in self._tokens(text)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """(start, end) in characters of each ID of `encode`."""
        return [(start, end) for _, start, end in self._tokens(text)]

    def _tokens(self, text: str) -> list[tuple[int, int, int]]:
        tokens: list[tuple[int, int, int]] = []
        here = 0
        for match in [*self._pattern.finditer(text), None]:
            start, end = match.span() if match else (len(text), len(text))
            if text[here:start]:
                part = self._model.encode(text[here:start], out_type="offset_mapping")
                offsets = zip(part["ids"], part["offsets"], strict=True)
                tokens += [(int(number), here + first, here + last) for number, (first, last) in offsets]
            if match:
                tokens.append((self._marks[match[0]], start, end))
            here = end
        return tokens


def _added(files: Mapping[str, bytes]) -> dict[str, int]:
    """Tokens added to a vocabulary by added_tokens.json and tokenizer_config.json: IDs by name."""
    found = {name: number for name, number in _object(files.get("added_tokens.json")).items() if type(number) is int}
    listed = _object(files.get("tokenizer_config.json")).get("added_tokens_decoder")
    for number, entry in listed.items() if isinstance(listed, dict) else ():
        if (name := _content(entry)) is not None and number.isdecimal() and len(number) < 10:
            found[name] = int(number)
    return found


def _special_names(files: Mapping[str, bytes], config: Mapping[str, Any]) -> dict[str, str]:
    """Special tokens by their variables in templates: bos_token, eos_token and the like."""
    listed = {**_object(files.get("special_tokens_map.json")), **config}
    return {
        key: name
        for key, entry in listed.items()
        if key.endswith("_token") and len(key) < 40 and (name := _content(entry)) is not None
    }


def _template(files: Mapping[str, bytes], config: Mapping[str, Any], names: Mapping[str, str]) -> Template | None:
    """The chat template: from its own file, which takes precedence, or from the configuration."""
    found: Any = config.get("chat_template")
    if own := files.get("chat_template.jinja"):
        found = own.decode("utf-8", "replace")
    elif own := files.get("chat_template.json"):
        found = _object(own).get("chat_template")
    if isinstance(found, list):  # several, by name
        by_name = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}
        found = by_name.get("default")
    return Template(found, dict(names)) if isinstance(found, str) else None


def _object(data: bytes | None) -> Mapping[str, Any]:
    """Parse a JSON object; empty if the data isn't one."""
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _content(entry: Any) -> str | None:
    """The text of a token in a configuration, which is a string or an object with "content"."""
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if isinstance(entry, str) else None


def _unreadable(name: str) -> CandorError:
    return ModelUnavailable(
        f"{name} cannot be read as a tokenizer.", "Use the model's own tokenizer.json or tokenizer.model."
    )
