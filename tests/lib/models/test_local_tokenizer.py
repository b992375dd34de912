"""Every tokenizer of a local model encodes any text as its file says: directories, and GGUF files of each kind."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import ModelUnavailable
from lib.models.local_tokenizer import open_tokenizer
from lib.tokenizers.build import build
from lib.tokenizers.built import Built
from lib.tokenizers.check import PROBES, check, check_markers
from lib.tokenizers.gguf_metadata import check as read_gguf
from lib.tokenizers.gguf_tokenizer import SPLITS, tokenizer_files
from tests.support import tiny

Ids = Callable[[str], list[int]]
_CORPUS = [
    *PROBES,
    *("the quick brown fox jumps over the lazy dog, don't 12345 hello  world\n日本語 é 😀 السلام",) * 20,
]
_MARKERS = ("<|begin|>", "<|end|>", "<｜User｜>")
_USERS = ("<think>", "  ", "đem")
_LLAMA3, _QWEN2 = SPLITS["llama-bpe"], SPLITS["qwen2"]

# Any character, and text that tokenizers treat differently, including markers.
_ODD = st.sampled_from(
    [*_MARKERS, *_USERS, "<s>", "</s>", "<unk>", "\n", "\r\n", " ", "   ", "\t", "\u00a0", "\u3000", "e\u0301",
     "\u200d", "12", "345", "１", "'s", "don't", "▁", "Ġ", "<0x0A>", "日本", "ﬁ", "Å", "ا", "👍🏽", "\ufeff", "\x00"]
)  # fmt: skip
_TEXTS = st.lists(_ODD | st.text(max_size=6), max_size=8).map("".join)


@cache
def _byte_level(split: str | None, composed: bool, whole_words: bool) -> Any:
    """A trained byte-level tokenizer of the tokenizers library, with markers."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    made = Tokenizer(models.BPE(ignore_merges=whole_words))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    first = (
        pre_tokenizers.Digits(individual_digits=True)
        if split is None
        else pre_tokenizers.Split(Regex(split), behavior="isolated")
    )
    made.pre_tokenizer = pre_tokenizers.Sequence([first, last])
    made.decoder = decoders.ByteLevel()
    if composed:
        made.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(_CORPUS, trainer)
    made.add_special_tokens([AddedToken(each, normalized=False) for each in _MARKERS])
    made.add_tokens([AddedToken(each, normalized=False) for each in _USERS])
    return made


@cache
def _sentencepiece(dummy: bool, extra: bool, rule: str = "identity") -> bytes:
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for text in _CORPUS for line in text.splitlines() if line]), model_writer=out,
        vocab_size=500, model_type="bpe", byte_fallback=True, add_dummy_prefix=dummy, normalization_rule_name=rule,
        remove_extra_whitespaces=extra, user_defined_symbols=["<think>", "đem"], minloglevel=2,
    )  # fmt: skip
    return out.getvalue()


def _told_of_bytes(made: Any, pre: str) -> dict[str, Any]:
    """The fields that llama.cpp's converter writes for a byte-level tokenizer."""
    spec = json.loads(made.to_str())
    added = {entry["id"]: entry for entry in spec["added_tokens"]}
    names = {number: name for name, number in made.get_vocab().items()}
    types = [1 if number not in added else 3 if added[number]["special"] else 4 for number in range(len(names))]
    merges = [each if isinstance(each, str) else " ".join(each) for each in spec["model"]["merges"]]
    return {"ggml.model": "gpt2", "ggml.pre": pre, "ggml.tokens": [names[number] for number in range(len(names))],
            "ggml.token_type": types, "ggml.merges": merges, "ggml.eos_token_id": made.token_to_id("<|end|>"),
            "ggml.bos_token_id": made.token_to_id("<|begin|>"), "ggml.add_bos_token": False}  # fmt: skip


def _told_of_sentencepiece(data: bytes) -> dict[str, Any]:
    """The fields that llama.cpp's converter writes for a SentencePiece model."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

    model = ModelProto.FromString(data)
    told = {"ggml.model": "llama", "ggml.pre": "default", "ggml.tokens": [each.piece for each in model.pieces],
            "ggml.scores": [float(each.score) for each in model.pieces],
            "ggml.token_type": [int(each.type) for each in model.pieces],
            "ggml.bos_token_id": 1, "ggml.eos_token_id": 2, "ggml.unknown_token_id": 0,
            "ggml.add_space_prefix": bool(model.normalizer_spec.add_dummy_prefix),
            "ggml.remove_extra_whitespaces": bool(model.normalizer_spec.remove_extra_whitespaces)}  # fmt: skip
    if charsmap := model.normalizer_spec.precompiled_charsmap:
        told["ggml.precompiled_charsmap"] = [each - 256 if each > 127 else each for each in charsmap]
    return told


def _from_gguf(folder: Path, told: dict[str, Any]) -> Built:
    """The tokenizer of a GGUF file with these fields."""
    found = read_gguf(str(tiny.make_gguf(folder / "tiny.gguf", tokenizer=told)))
    assert found["warnings"] == []
    made = build(found["files"])
    check(made, found["files"])
    check_markers(made.encode, found["markers"])
    return made


_BYTE_LEVEL = [
    ("llama-bpe", _LLAMA3, False, True),
    ("qwen2", _QWEN2, True, False),
    ("deepseek-r1-qwen", _QWEN2, True, False),
    ("tekken", SPLITS["tekken"], False, True),
    ("gpt-4o", SPLITS["gpt-4o"], False, False),
    ("smollm", None, False, False),
]


@pytest.mark.parametrize(("pre", "split", "composed", "whole"), _BYTE_LEVEL, ids=[each[0] for each in _BYTE_LEVEL])
def test_byte_level_tokenizers_of_gguf_files(
    tmp_path_factory: pytest.TempPathFactory, pre: str, split: str | None, composed: bool, whole: bool
) -> None:
    original = _byte_level(split, composed, whole)
    made = _from_gguf(tmp_path_factory.mktemp("gguf"), _told_of_bytes(original, pre))
    agrees(made, lambda text: list(original.encode(text, add_special_tokens=False).ids))
    assert made.prefix == ()
    assert made.bos == original.token_to_id("<|begin|>")
    special = made.vocabulary.pieces.special
    assert [bool(special[original.token_to_id(each)]) for each in (*_MARKERS, *_USERS)] == [True] * 3 + [False] * 3
    assert made.vocabulary.pieces.text_of(original.token_to_id("đem")) == "đem"


@pytest.mark.parametrize(("pre", "split", "composed", "whole"), _BYTE_LEVEL[:2], ids=["llama", "qwen"])
def test_byte_level_tokenizers_of_directories(pre: str, split: str | None, composed: bool, whole: bool) -> None:
    """Whatever class tokenizer_config.json names."""
    original = _byte_level(split, composed, whole)
    for kind in ("GPT2Tokenizer", "LlamaTokenizer", "Qwen2Tokenizer", "GPTNeoXTokenizer"):
        config = {"tokenizer_class": kind, "bos_token": "<|begin|>", "add_prefix_space": True, "legacy": True}
        files = {"tokenizer.json": original.to_str().encode(), "tokenizer_config.json": json.dumps(config).encode()}
        made = build(files)
        check(made, files)
    agrees(made, lambda text: list(original.encode(text, add_special_tokens=False).ids))


@pytest.mark.parametrize(
    ("dummy", "extra", "rule"),
    [(True, False, "identity"), (False, False, "identity"), (True, True, "identity"), (True, True, "nmt_nfkc")],
)
def test_sentencepiece_tokenizers_of_gguf_files(
    tmp_path_factory: pytest.TempPathFactory, dummy: bool, extra: bool, rule: str
) -> None:
    import sentencepiece

    data = _sentencepiece(dummy, extra, rule)
    made = _from_gguf(tmp_path_factory.mktemp("gguf"), _told_of_sentencepiece(data))
    original = sentencepiece.SentencePieceProcessor(model_proto=data)
    marks = ("<s>", "</s>", "<unk>")  # which SentencePiece itself does not recognize
    for each in (made, build({"tokenizer.model": data})):  # from the GGUF file, and from a directory
        agrees(each, lambda text: list(original.encode(text)), lambda text: not any(mark in text for mark in marks))
    assert made.prefix == (1,)
    assert made.encode("<s>")[-1:] == [1]
    assert (made.bos, made.eos) == (1, 2)


def test_opened_in_a_model_directory(tmp_path: Path) -> None:
    """As the engine opens it, after a child process has read it."""
    import sentencepiece

    data = _sentencepiece(True, False)
    model = sentencepiece.SentencePieceProcessor(model_proto=data)
    (tmp_path / "tokenizer.model").write_bytes(data)
    opened = open_tokenizer(tmp_path, foreign=True)
    for text in [each for each in PROBES if "<s>" not in each]:
        assert opened.ids(text, special=True) == [1, *model.encode(text)]
    (tmp_path / "tokenizer.json").write_text(_byte_level(_QWEN2, True, False).to_str())
    opened = open_tokenizer(tmp_path, foreign=True)
    for text in PROBES:
        assert opened.ids(text, special=True) == list(_byte_level(_QWEN2, True, False).encode(text).ids)


def test_a_leading_space_is_a_separate_token() -> None:
    """As in Llama 2's tokenizer.json, whatever the class in its configuration does with spaces."""
    words = ["<unk>", "<s>", "</s>", "▁", *"helo", "he", "ll", "hell", "hello", "▁hello"]
    merges = [["h", "e"], ["l", "l"], ["he", "ll"], ["hell", "o"], ["▁", "hello"]]
    parts = [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]
    spec = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": parts},
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
        "model": {"type": "BPE", "vocab": {word: number for number, word in enumerate(words)}, "merges": merges},
    }
    config = {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False, "legacy": False}
    files = {"tokenizer.json": json.dumps(spec).encode(), "tokenizer_config.json": json.dumps(config).encode()}
    made = build(files)
    check(made, files)
    assert made.encode("hello") == [12]
    assert made.encode(" hello") == [3, 12]
    assert made.encode("  hello") == [3, 3, 12]


def agrees(made: Built, original: Ids, asked: Callable[[str], bool] = lambda _: True) -> None:
    """Assert that a tokenizer gives the same IDs as another for every text that `asked` accepts."""

    @settings(max_examples=150, deadline=None, database=None)
    @given(_TEXTS.filter(asked))
    def same(text: str) -> None:
        assert made.encode(text) == original(text)

    same()
    for text in filter(asked, PROBES):
        assert made.encode(text) == original(text)


def test_the_names_of_pre_tokenizers_mean_what_transformers_says() -> None:
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    assert SPLITS == GGUF_PRE_TOKENIZER_SPLITS


# The meaning of a file's fields


def _told(**changes: Any) -> dict[str, Any]:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "ab", "▁ab", "<x>"]
    types = [2, 3, 3, *[6] * 256, *[1] * 5, 4]
    scores = [0.0] * 259 + [-1.0, -2.0, -3.0, -4.0, -5.0, 0.0]
    return {"model": "llama", "tokens": tokens, "token_type": types, "scores": scores, **changes}


def _ids(text: str, **changes: Any) -> list[int]:
    files, _ = tokenizer_files(_told(**changes))
    made = build(files)
    return [*made.prefix, *made.encode(text)]


def test_defaults_of_a_sentencepiece_vocabulary() -> None:
    assert _ids("ab<x>ab") == [1, 263, 264, 262]
    assert _ids("ab", add_bos_token=False) == [263]
    assert _ids("ab", add_space_prefix=False) == [1, 262]
    assert _ids(" a  b ", remove_extra_whitespaces=True) == _ids("a b")


def test_scores_that_the_writer_did_not_know() -> None:
    """All are equal, so the order of the IDs is that of the merges."""
    assert _ids("ab", scores=[0.0] * 3 + [-1000.0] * 262) == _ids("ab")


def test_tokens_that_no_text_matches() -> None:
    told = _told()
    tokens = [*told["tokens"], "ab", "", "ab"]
    assert _ids(
        "ab", tokens=tokens, token_type=[*told["token_type"], 1, 1, 5], scores=[*told["scores"], -9.0, 0.0, 0.0]
    ) == [1, 263]


@pytest.mark.parametrize("number", [0xFFFFFFFF, -1])
def test_an_id_that_means_none(number: int) -> None:
    assert _ids("ab", bos_token_id=number) == [263]


@pytest.mark.parametrize("key", ["bos_token_id", "eos_token_id", "eot_token_id"])
def test_an_id_beyond_the_vocabulary(tmp_path: Path, key: str) -> None:
    told = tiny.gguf_bytes("qwen2") | {f"ggml.{key}": 256}
    with pytest.raises(
        ModelUnavailable, match=rf"odd\.gguf: The file's {key} is 256, but its vocabulary has 256 tokens"
    ):
        read_gguf(str(tiny.make_gguf(tmp_path / "odd.gguf", tokenizer=told)))


@pytest.mark.parametrize("kind", ["rwkv", "bert", "t5", None])
def test_an_unsupported_kind(kind: str | None) -> None:
    with pytest.raises(ModelUnavailable, match="can't read from GGUF files") as raised:
        tokenizer_files(_told(model=kind))
    assert "original directory" in raised.value.remedy


def test_no_vocabulary_at_all() -> None:
    with pytest.raises(ModelUnavailable, match="contains no vocabulary"):
        tokenizer_files({"model": "none"})


def test_llama_3_begins_with_bos_unless_its_file_says_otherwise() -> None:
    told = {
        key.removeprefix("ggml."): value
        for key, value in _told_of_bytes(_byte_level(_LLAMA3, False, True), "llama-bpe").items()
    }
    del told["add_bos_token"]
    assert build(tokenizer_files(told)[0]).prefix == (told["bos_token_id"],)
    assert build(tokenizer_files(told | {"pre": "qwen2"})[0]).prefix == ()
    assert build(tokenizer_files(told | {"add_bos_token": False})[0]).prefix == ()


def test_the_end_of_a_turn_ends_an_answer(tmp_path: Path) -> None:
    told = tiny.gguf_bytes("qwen2") | {"ggml.eot_token_id": 5}
    assert read_gguf(str(tiny.make_gguf(tmp_path / "tiny.gguf", tokenizer=told)))["ends"] == [0, 5]


# The check itself


def test_a_tokenizer_that_differs_from_its_file_is_refused() -> None:
    files = {"tokenizer.json": _byte_level(_QWEN2, True, False).to_str().encode()}
    other = build({"tokenizer.json": _byte_level(_LLAMA3, False, True).to_str().encode()})
    check(build(files), files)
    with pytest.raises(ModelUnavailable, match="differently from its file"):
        check(other, files)
    data = {"tokenizer.model": _sentencepiece(True, False)}
    check(build(data), data)
    with pytest.raises(ModelUnavailable, match="differently from its file"):
        check(build({"tokenizer.model": _sentencepiece(False, False)}), data)


def test_a_marker_that_is_split_is_refused() -> None:
    made = build({"tokenizer.json": _byte_level(_QWEN2, True, False).to_str().encode()})
    with pytest.raises(ModelUnavailable, match=r"'<\|x\|>' doesn't encode to its ID 7"):
        check_markers(made.encode, {"<|x|>": 7})
