"""Tokenizers from every kind of file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from lib.core.request import Message, Request
from lib.core.tokens import TokenKind
from lib.errors import ModelUnavailable
from lib.models.tokenizer_files import load_tokenizer, tokenizer_from_uploads
from lib.tokenizers.built import Template
from lib.tokenizers.chat_templates import render, writes_date
from lib.wire.saved_responses import completions_of, read_saved
from tests.lib.wire.test_saved_responses import LLAMA3, llama3
from tests.support import tiny
from tests.support.paths import CASES

TEXT = "  The café — 世界 😀\n\tx1234 <|eot_id|>"


def test_llama3s_published_vocabulary() -> None:
    found = llama3()
    assert len(found.vocabulary) == 128_256
    assert found.prefix == (128_000,)
    ids = found.encode(TEXT)
    assert found.vocabulary.pieces.select(np.array(ids, np.int32)).data.tobytes() == TEXT.encode()
    assert ids[-1] == 128_009
    assert found.vocabulary.pieces.text_of(128_004) == "<|finetune_right_pad_id|>"
    assert bool(found.vocabulary.pieces.special[128_009])


def test_special_tokens_as_the_configuration_lists_them(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(LLAMA3.read_bytes())
    listed = {"128000": {"content": "<|start|>"}, "128001": {"content": "<|stop|>"}}
    config = {"added_tokens_decoder": listed, "chat_template": "{{ bos_token }}{{ messages[0].content }}"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": "<|start|>"}))
    found = load_tokenizer(tmp_path)
    assert found.encode("<|stop|>") == [128_001]
    assert found.prompt_text(Request(messages=(Message("user", "hi"),))) == "<|start|>hi"


def test_tokenizer_json_alone_and_in_its_directory(tmp_path: Path) -> None:
    tiny.make_tokenizer(bos=True, chat=tiny.CHAT).save_pretrained(tmp_path)
    for source in (tmp_path, tmp_path / "tokenizer.json"):
        found = load_tokenizer(source)
        assert found.prefix == (tiny.BOS,)
        assert found.encode("é<s>") == [0xC3, 0xA9, tiny.BOS]
        assert found.prompt_text(Request(messages=(Message("user", "x"),))) == "<|user|>user:x\n>"
    (alone := tmp_path / "other.json").write_bytes((tmp_path / "tokenizer.json").read_bytes())
    assert load_tokenizer(alone).encode("a") == [97]


def test_sentencepiece(tmp_path: Path) -> None:
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    lines = ["the quick brown fox", "over the lazy dog", "café and 世界"] * 20
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=330, byte_fallback=True, minloglevel=2,
        hard_vocab_limit=False, model_type="bpe",
    )  # fmt: skip
    (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
    found = load_tokenizer(tmp_path)
    assert found.prefix == (1,)
    ids = found.encode("the fox 😀")
    assert found.vocabulary.pieces.select(np.array(ids, np.int32)).data.tobytes() == " the fox 😀".encode()
    assert len(found.names["the"]) == 2 or len(found.names["fox"]) >= 1


def test_uploads() -> None:
    found = tokenizer_from_uploads({"folder/tokenizer.model": LLAMA3.read_bytes()})
    assert found.encode("The") == [791]
    for files in ({}, {"tokenizer_config.json": b"{}"}, {"notes.txt": b"x"}):
        with pytest.raises(ModelUnavailable, match="no tokenizer among"):
            tokenizer_from_uploads(files)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"not json"),
        ("tokenizer.json", b"[" * 10_000),
        ("tokenizer.model", b""),
        ("tokenizer.model", b"\x00\x01\x02"),
        ("tokenizer.model", b"!!!! 0\n"),
        ("tokenizer.model", b"YQ== 0\nYg== 7\n"),
        ("tokenizer.model", b"YQ== 0\nYQ== 1\n"),
    ],
)
def test_files_that_are_not_tokenizers(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    for source in (tmp_path / name, tmp_path):
        with pytest.raises(ModelUnavailable):
            load_tokenizer(source)
    with pytest.raises(ModelUnavailable):
        tokenizer_from_uploads({name: data})


@pytest.mark.parametrize("source", ["/nowhere", "~nobody/x", "a" * 5000, "no such thing", "\0"])
def test_a_missing_source(source: str) -> None:
    with pytest.raises(ModelUnavailable, match="no tokenizer at"):
        load_tokenizer(source)


def test_tokenizer_json_decides() -> None:
    """Whatever class the configuration names, even if it splits digits, spaces and line breaks differently."""
    found = load_tokenizer(CASES / "01a-gpt2class-digits")
    assert found.encode("x =  12") == [120, 32, 61, 257, 49, 50]
    (done,) = completions_of(read_saved((CASES / "01a-reply.json").read_bytes()), found)
    assert (done.prompt.ids.tolist(), done.warnings) == ([120, 32, 61, 257, 49, 50], ())


def test_tokenizer_json_decides_on_a_leading_space() -> None:
    """As in Llama 2, where "hello" and " hello" are different tokens."""
    spec = json.loads((CASES / "01a-gpt2class-digits" / "tokenizer.json").read_bytes())
    vocabulary = {"<unk>": 0, "<s>": 1, "▁": 2, "h": 3, "e": 4, "l": 5, "o": 6, "▁h": 7, "▁he": 8, "▁hel": 9}
    vocabulary |= {"▁hell": 10, "▁hello": 11}
    merges = [["▁", "h"], ["▁h", "e"], ["▁he", "l"], ["▁hel", "l"], ["▁hell", "o"]]
    prepend = {"type": "Prepend", "prepend": "▁"}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    spec |= {
        "added_tokens": [],
        "pre_tokenizer": None,
        "normalizer": {"type": "Sequence", "normalizers": [prepend, replace]},
        "decoder": {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges, "unk_token": "<unk>"},
    }
    files = {"tokenizer.json": json.dumps(spec).encode()}
    config = {"tokenizer_class": "LlamaTokenizer", "add_prefix_space": False, "legacy": False}
    for beside in ({}, {"tokenizer_config.json": json.dumps(config).encode()}):
        found = tokenizer_from_uploads(files | beside)
        assert found.encode("hello") == [11]
        assert found.encode(" hello") == [2, 11]


def test_a_sentencepiece_model_with_added_tokens() -> None:
    found = load_tokenizer(CASES / "08-spm-with-added-tokens")
    uploaded = {path.name: path.read_bytes() for path in (CASES / "08-spm-with-added-tokens").iterdir()}
    for tokenizer in (found, tokenizer_from_uploads(uploaded)):
        (done,) = completions_of(read_saved((CASES / "08-reply.json").read_bytes()), tokenizer)
        assert (done.text, done.warnings) == ("hello hello", ())
        assert done.generated.ids.tolist() == [358, 358, 359]
        assert done.generated.kinds.tolist() == [TokenKind.TEXT, TokenKind.TEXT, TokenKind.STOP]
        assert done.pieces.text_of(int(done.generated.refs[-1])) == "<|im_end|>"
        assert done.pieces.text_of(int(done.prompt.refs[-1])) == " hello"
        ids = tokenizer.encode("<|im_start|>user\nhello<|im_end|>")
        assert ids[0] == 360
        assert ids[-1] == 359


def test_named_chat_templates() -> None:
    found = load_tokenizer(CASES / "17-templates-as-list")
    uploaded = {path.name: path.read_bytes() for path in (CASES / "17-templates-as-list").iterdir()}
    for tokenizer in (found, tokenizer_from_uploads(uploaded)):
        (done,) = completions_of(read_saved((CASES / "17-reply.json").read_bytes()), tokenizer)
        assert done.chosen_by.startswith("prompt: tokens")
        assert done.warnings == ()


def test_a_template_that_writes_the_date_uses_the_day_of_the_response() -> None:
    found = load_tokenizer(CASES / "22-dated-template")
    (done,) = completions_of(read_saved((CASES / "22-reply-of-2025-01-01.json").read_bytes()), found)
    assert len(done.prompt) == 56
    assert done.chosen_by.startswith("prompt: tokens")
    assert done.warnings == ()
    assert found.render_on is not None
    turns = [Message("user", "hi")]
    assert "Today is 31 December 1999." in found.render_on(turns, "1999-12-31")
    undated = json.loads((CASES / "22-reply-of-2025-01-01.json").read_bytes())
    undated["response"]["created"] = 10**30
    (done,) = completions_of(read_saved(json.dumps(undated).encode()), found)
    assert any("inserts the date" in each for each in done.warnings)


def test_the_date_of_a_server_without_a_clock() -> None:
    """Llama 3's template writes a fixed date if the server gives it no clock."""
    source = (
        "{% if strftime_now is defined %}{% set day = strftime_now('%d %b %Y') %}{% else %}"
        "{% set day = '26 Jul 2024' %}{% endif %}{{ day }} {{ messages[0].content }}"
    )
    template = Template(source, {})
    turns = [{"role": "user", "content": "a"}]
    assert render(template, turns, "") == "26 Jul 2024 a"
    assert render(template, turns, "2025-01-01") == "01 Jan 2025 a"
    assert writes_date(template)


def test_the_readings_of_a_prompt() -> None:
    found = llama3()
    plain = found.encode("The fox")
    assert found.readings(Request(prompt="The fox")) == [[128_000, *plain], plain]
    marked = found.readings(Request(prompt="<|begin_of_text|>The fox"))
    assert [128_000, 128_000, *plain] in marked
    assert [128_000, *plain] in marked


def test_a_tokenizer_that_the_hub_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from httpx2 import Request as HttpRequest
    from httpx2 import Response
    from huggingface_hub.errors import GatedRepoError

    def download(*_: object, **__: object) -> None:
        response = Response(403, request=HttpRequest("GET", "https://huggingface.co/x/y"))
        raise GatedRepoError("403 Client Error.\nAccess is restricted.", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelUnavailable, match="'meta-llama/Llama-3'") as raised:
        load_tokenizer("meta-llama/Llama-3")
    assert "hf auth login" in raised.value.remedy


@pytest.mark.parametrize(
    ("stated", "expected"),
    [(8192, 8192), (int(1e30), None), (0, None), (-5, None), (True, None), (1e30, None), ("8192", None), (None, None)],
)
def test_the_context_is_what_the_configuration_states(tmp_path: Path, stated: object, expected: int | None) -> None:
    (tmp_path / "tokenizer.model").write_bytes(LLAMA3.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": stated}))
    assert load_tokenizer(tmp_path).context == expected
