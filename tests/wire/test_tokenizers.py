"""Tokenizers from every kind of file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from lib.errors import ModelUnavailable
from lib.request import Message, Request
from lib.tokenizer_files import load_tokenizer, tokenizer_from_uploads
from tests.local import tiny
from tests.wire.test_saved import LLAMA3, llama3

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
def test_what_is_no_tokenizer(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    for source in (tmp_path / name, tmp_path):
        with pytest.raises(ModelUnavailable):
            load_tokenizer(source)
    with pytest.raises(ModelUnavailable):
        tokenizer_from_uploads({name: data})


@pytest.mark.parametrize("source", ["/nowhere", "~nobody/x", "a" * 5000, "no such thing", "\0"])
def test_nothing_there(source: str) -> None:
    with pytest.raises(ModelUnavailable, match="no tokenizer at"):
        load_tokenizer(source)


def test_the_reading_that_a_model_has() -> None:
    found = llama3()
    plain = found.encode("The fox")
    assert found.readings(Request(prompt="The fox")) == [[128_000, *plain], plain]
    marked = found.readings(Request(prompt="<|begin_of_text|>The fox"))
    assert [128_000, 128_000, *plain] in marked
    assert [128_000, *plain] in marked


def test_a_tokenizer_that_the_hub_does_not_give_out(monkeypatch: pytest.MonkeyPatch) -> None:
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
