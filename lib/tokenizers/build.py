"""A tokenizer from the bytes of its files, and of nothing else: no path is opened, no class named in a file is used.

`tokenizer.json` is what the tokenizers library says it is. Shapes and ids are checked before the library reads them, as
it allocates by the largest id. For foreign files this runs in the child process of `lib.sandbox.sandbox`.
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

# Names and the most bytes of each; the largest tokenizer.json there is has some 35 MB. Other files are not read.
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
_MOST_GROWTH = 64  # times that a tokenizer may make a text longer before it cuts it; one letter of Arabic becomes 18
_SPARE_IDS = 1 << 16  # ids without an entry, as where a vocabulary is padded
_MODELS = ("BPE", "WordPiece", "WordLevel", "Unigram")
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
# How the models that come as vocab.json and merges.txt alone cut text before merging, by their class.
_GPT2 = ("GPT2Tokenizer", "RobertaTokenizer", "BartTokenizer", "WhisperTokenizer")
_QWEN2 = ("Qwen2Tokenizer",)
_QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Template:
    """A chat template. source: of Jinja. names: special tokens as templates call them, such as bos_token."""

    source: str
    names: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Built:
    """A tokenizer in this process; the fields are those of `lib.tokenizers.tokenizer.Tokenizer`.

    eos: the id that ends a text, where the files name one. backend: of the tokenizers library, None for other kinds,
    whose `spans` says where in a text each id of `encode` is: (first, end) characters.
    """

    vocabulary: Vocabulary
    encode: Callable[[str], list[int]]
    prefix: tuple[int, ...] = ()
    bos: int | None = None
    eos: int | None = None
    template: Template | None = None
    backend: Any = None
    spans: Callable[[str], list[tuple[int, int]]] | None = None


def build(files: Mapping[str, bytes]) -> Built:
    """The tokenizer in files of the names of `FILES`. Raises ModelUnavailable."""
    config = _object(files.get("tokenizer_config.json"))
    names = _special_names(files, config)
    if "tokenizer.json" in files:
        return _from_json(files["tokenizer.json"], names, _template(files, config, names))
    if "vocab.json" in files and "merges.txt" in files:
        return _from_json(_joined(files, config), names, _template(files, config, names))
    data = files.get("tokenizer.model")
    if data is None:
        raise ModelUnavailable("There is no tokenizer among these files.", "Give tokenizer.json or tokenizer.model.")
    template = _template(files, config, names)
    if _TIKTOKEN_LINE.match(data):
        return _from_tiktoken(data, config, template)
    return _from_sentencepiece(data, files, template)


def from_backend(backend: Any, names: Mapping[str, str], template: Template | None) -> Built:
    """What is needed of a `tokenizers.Tokenizer`. names: of special tokens, as in `Template`."""
    backend.no_truncation()
    backend.no_padding()
    bos, eos = (backend.token_to_id(names[key]) if key in names else None for key in ("bos_token", "eos_token"))
    prefix = list(backend.encode("").ids)
    if eos is not None and prefix[-1:] == [eos] != [bos]:
        del prefix[-1]  # what would end the text; a prompt continues

    def encode(text: str) -> list[int]:
        # The fast form leaves out where in the text each token is, which takes half of the time.
        return list(backend.encode_batch_fast([text], add_special_tokens=False)[0].ids)

    return Built(read_vocabulary(backend), encode, tuple(prefix), bos, eos, template, backend)


def _from_json(data: bytes, names: Mapping[str, str], template: Template | None) -> Built:
    check_spec(_object(data))
    import tokenizers

    try:
        backend = tokenizers.Tokenizer.from_buffer(data)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # the parser is Rust, and its panics are no Exception
        raise _unreadable("tokenizer.json") from error
    return from_backend(backend, names, template)


def check_spec(spec: Any) -> None:
    """Check the shape of a tokenizer.json, and that no id is far beyond its entries. Raises ModelUnavailable."""
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
    """Raise ModelUnavailable where a chain of replacements would make a text far longer. parts: of a sequence."""
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
                "This tokenizer replaces single characters by long texts, which no model's does.",
                "Give the model's own tokenizer.json or tokenizer.model.",
            )


def _growth_of(charsmap: bytes) -> float:
    """How many times longer a compiled map of SentencePiece makes a text at most: its longest replacement, in letters.

    The map is the length of a trie in four bytes, the trie, and the replacements with a zero byte after each.
    """
    replacements = charsmap[4 + int.from_bytes(charsmap[:4], "little") :].split(b"\0")
    return max(1.0, *(len(each.decode("utf-8", "replace")) for each in replacements))


def check_ids(ids: list[Any], entries: int, name: str) -> None:
    """Raise ModelUnavailable where an id is no number, or far beyond the entries. name: of the file."""
    if not all(type(each) is int for each in ids):
        raise _unreadable(name)
    if min(ids, default=0) < -1 or max(ids, default=0) >= min(2 * entries + _SPARE_IDS, _MOST_IDS):
        raise ModelUnavailable(
            f"{name} has token ids far beyond its {entries:,} entries.", "Give the model's own tokenizer.json."
        )


def _is_merge(entry: Any) -> bool:
    return isinstance(entry, str) or (
        isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)
    )


def _joined(files: Mapping[str, bytes], config: Mapping[str, Any]) -> bytes:
    """The tokenizer.json that vocab.json and merges.txt make, where the model's class says how text is cut."""
    kind = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    if kind not in (*_GPT2, *_QWEN2):
        raise ModelUnavailable(
            "vocab.json and merges.txt do not say how this model cuts text into words.", "Add its tokenizer.json."
        )
    vocab = _object(files["vocab.json"])
    lines = files["merges.txt"].decode("utf-8", "replace").splitlines()
    merges = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": kind in _GPT2}
    cut = {"type": "Split", "pattern": {"Regex": _QWEN2_PATTERN}, "behavior": "Isolated", "invert": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    spec = {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": name, **flags}
            for name, number in sorted(_added(files).items(), key=lambda each: each[1])
        ],
        "normalizer": {"type": "NFC"} if kind in _QWEN2 else None,
        "pre_tokenizer": byte_level if kind in _GPT2 else {"type": "Sequence", "pretokenizers": [cut, byte_level]},
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    }
    return json.dumps(spec).encode()


def _from_tiktoken(data: bytes, config: Mapping[str, Any], template: Template | None) -> Built:
    """Lines of base64 and rank; see https://github.com/openai/tiktoken."""
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
    """Names and ids of the special tokens: as tokenizer_config.json lists them, else those that Llama 3 publishes."""
    listed = config.get("added_tokens_decoder")
    if isinstance(listed, dict) and listed:
        return {str(_content(entry)): int(number) for number, entry in listed.items() if _content(entry)}
    if base != _BASE_TOKENS:
        return {}
    named = [_LLAMA3_NAMED.get(i, f"reserved_special_token_{i - 10}") for i in range(256)]
    return {f"<|{name}|>": base + i for i, name in enumerate(named)}


def _from_sentencepiece(data: bytes, files: Mapping[str, bytes], template: Template | None) -> Built:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from sentencepiece import SentencePieceProcessor
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    try:
        normalizer = ModelProto.FromString(data).normalizer_spec
    except DecodeError as error:
        raise _unreadable("tokenizer.model") from error
    charsmap = base64.b64encode(normalizer.precompiled_charsmap)
    _check_growth({"precompiled_charsmap": charsmap}, "")
    try:
        model = SentencePieceProcessor(model_proto=data)
        size = model.get_piece_size()
    except Exception as error:  # its C++ errors come as RuntimeError or others
        raise _unreadable("tokenizer.model") from error
    if size == 0:
        raise _unreadable("tokenizer.model")
    entries: dict[int, tuple[bytes, bool]] = {}
    for number in range(size):
        piece = model.id_to_piece(number)
        if model.is_byte(number):
            blob = bytes([int(piece[3:5], 16)])
        else:
            blob = piece.replace("▁", " ").encode("utf-8", "surrogatepass")
        entries[number] = blob, model.is_control(number) or model.is_unknown(number)
    marks = {model.id_to_piece(number): number for number in range(size) if model.is_control(number)}
    marks |= _added(files)
    check_ids(list(marks.values()), size + len(marks), "added_tokens.json")
    entries |= {number: (name.encode("utf-8", "replace"), True) for name, number in marks.items()}
    bos, eos = (number if number >= 0 else None for number in (model.bos_id(), model.eos_id()))
    # The model itself reads no marks in a text: a template's "<s>" would be three ordinary pieces.
    parts = re.compile("|".join(map(re.escape, sorted(filter(None, marks), key=len, reverse=True))) or r"(?!)")

    def found(text: str) -> list[tuple[int, int, int]]:
        """(id, first, end) of every token of a text, in characters."""
        tokens: list[tuple[int, int, int]] = []
        here = 0
        for match in [*parts.finditer(text), None]:
            first, end = (match.start(), match.end()) if match else (len(text), len(text))
            if text[here:first]:
                part = model.encode(text[here:first], out_type="offset_mapping")
                places = zip(part["ids"], part["offsets"], strict=True)
                tokens += [(int(number), here + begin, here + stop) for number, (begin, stop) in places]
            if match:
                tokens.append((marks[match[0]], first, end))
            here = end
        return tokens

    def encode(text: str) -> list[int]:
        return [number for number, _, _ in found(text)]

    def spans(text: str) -> list[tuple[int, int]]:
        return [(first, end) for _, first, end in found(text)]

    pieces = make_pieces([(number, *entries.get(number, (b"", False))) for number in range(max(entries) + 1)])
    adds_bos = _object(files.get("tokenizer_config.json")).get("add_bos_token") is not False
    prefix = (bos,) if bos is not None and adds_bos else ()
    return Built(Vocabulary(pieces, drops_space=True), encode, prefix, bos, eos, template, spans=spans)


def _added(files: Mapping[str, bytes]) -> dict[str, int]:
    """Tokens beside a vocabulary, as added_tokens.json and tokenizer_config.json list them: ids by name."""
    found = {name: number for name, number in _object(files.get("added_tokens.json")).items() if type(number) is int}
    listed = _object(files.get("tokenizer_config.json")).get("added_tokens_decoder")
    for number, entry in listed.items() if isinstance(listed, dict) else ():
        if (name := _content(entry)) is not None and number.isdecimal() and len(number) < 10:
            found[name] = int(number)
    return found


def _special_names(files: Mapping[str, bytes], config: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens by what templates call them: bos_token, eos_token and the like."""
    listed = {**_object(files.get("special_tokens_map.json")), **config}
    return {
        key: name
        for key, entry in listed.items()
        if key.endswith("_token") and len(key) < 40 and (name := _content(entry)) is not None
    }


def _template(files: Mapping[str, bytes], config: Mapping[str, Any], names: Mapping[str, str]) -> Template | None:
    """The chat template: from a file of its own, which takes precedence, else from the configuration."""
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
    """A JSON object; an empty one for what is none."""
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _content(entry: Any) -> str | None:
    """The text of a token that a configuration names, either as it is or as an object."""
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if isinstance(entry, str) else None


def _unreadable(name: str) -> CandorError:
    return ModelUnavailable(
        f"{name} cannot be read as a tokenizer.", "Give the model's own tokenizer.json or tokenizer.model."
    )
