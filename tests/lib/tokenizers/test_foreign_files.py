"""Foreign tokenizers and templates are data: they open no path, run no code and can't end the process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from lib.core.request import Message, Request
from lib.errors import ModelUnavailable
from lib.models.tokenizer_files import foreign_tokenizer, load_tokenizer, tokenizer_from_uploads
from lib.sandbox.sandbox import Sandbox
from lib.tokenizers.build import build
from tests.support import tiny

SECRET = "AKIA-the-operators-key"


def _spec(**model: Any) -> dict[str, Any]:
    return {"version": "1.0", "added_tokens": [], "model": model}


def _files(spec: Any, **others: Any) -> dict[str, bytes]:
    files = {"tokenizer.json": json.dumps(spec).encode()}
    return files | {f"{name}.json": json.dumps(data).encode() for name, data in others.items()}


WORDS = {"[UNK]": 0, "a": 1, "b": 2}
KINDS = ("WordPiece", "BPE", "WordLevel", "Unigram")
CLASSES = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MPNetTokenizer", "GPT2Tokenizer", "T5Tokenizer")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["vocab", "merges"])
def test_no_field_of_a_tokenizer_is_used_as_a_path(kind: str, field: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(f"[UNK]\n{SECRET}\n")
    model = {"type": kind, "vocab": WORDS, "merges": [], "unk_token": "[UNK]"} | {field: str(secret)}
    # Half of them, the others with the other field: a process starts for each.
    for name in CLASSES[KINDS.index(kind) % 2 ^ (field == "merges") :: 2]:
        with pytest.raises(ModelUnavailable):
            tokenizer_from_uploads(_files(_spec(**model), tokenizer_config={"tokenizer_class": name}))


def test_only_the_known_files_are_read(tmp_path: Path) -> None:
    """A configuration that names other files or code changes nothing."""
    own = _files(_spec(type="WordLevel", vocab=WORDS, unk_token="[UNK]"))
    (tmp_path / "tokenization_own.py").write_text("raise SystemExit('code was run')")
    config = {
        "auto_map": {"AutoTokenizer": ["tokenization_own.Own", None]},
        "tokenizer_class": "Own",
        "vocab_file": "/etc/passwd",
        "tokenizer_file": "/etc/passwd",
        "name_or_path": "/etc",
    }
    for name, data in (own | {"tokenizer_config.json": json.dumps(config).encode()}).items():
        (tmp_path / name).write_bytes(data)
    for found in (load_tokenizer(tmp_path), tokenizer_from_uploads(own | {"../../x.py": b"", "tokenizer.py": b"x"})):
        assert found.encode("b") == [2]
        assert len(found.vocabulary) == 3


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (_spec(type="BPE", vocab={"a": 4_294_967_294}, merges=[]), "far beyond its 1 entries"),
        (_spec(type="WordLevel", vocab={"a": 0, "b": 70_000}, unk_token="a"), "far beyond its 2 entries"),
        (_spec(type="BPE", vocab={"a": -5}, merges=[]), "far beyond"),
        (_spec(type="BPE", vocab={"a": 1.5}, merges=[]), "cannot be read"),
        (_spec(type="BPE", vocab={"a": True}, merges=[]), "cannot be read"),
        (_spec(type="BPE", vocab=WORDS, merges=[["a"]]), "cannot be read"),
        (_spec(type="BPE", vocab=WORDS, merges={"a": "b"}), "cannot be read"),
        (_spec(type="Unigram", vocab=WORDS), "cannot be read"),
        (_spec(type="Unigram", vocab=[["a"]]), "cannot be read"),
        (_spec(type="Own", vocab=WORDS), "cannot be read"),
        (_spec(type=["BPE"], vocab=WORDS), "cannot be read"),
        (_spec(type="BPE", vocab=WORDS, merges=[]) | {"added_tokens": {"id": 1}}, "cannot be read"),
        (_spec(type="BPE", vocab=WORDS, merges=[]) | {"added_tokens": [{"id": 10**9, "content": "x"}]}, "far beyond"),
        ([], "cannot be read"),
    ],
)
def test_shapes_and_ids_are_checked_before_the_library_reads_them(spec: Any, told: str) -> None:
    with pytest.raises(ModelUnavailable, match=told):
        build(_files(spec))


def _template_processor() -> dict[str, Any]:
    """The library panics while it encodes: the token to add has no ID."""
    piece = {"SpecialToken": {"id": "[X]", "type_id": 0}}
    single = [piece, {"Sequence": {"id": "A", "type_id": 0}}]
    return {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": {}}


@pytest.mark.parametrize(
    "parts",
    [
        {"post_processor": _template_processor()},
        {
            "pre_tokenizer": {
                "type": "Split",
                "pattern": {"Regex": r"(x+x+)+y|(.*a){30}"},
                "behavior": "Isolated",
                "invert": False,
            }
        },
    ],
)
def test_panics_of_native_code_are_errors_with_a_remedy(parts: Mapping[str, Any]) -> None:
    spec = _spec(type="WordLevel", vocab=WORDS, unk_token="[UNK]") | dict(parts)
    with pytest.raises(ModelUnavailable) as raised:
        tokenizer_from_uploads(_files(spec)).encode("x" * 3000)
    assert raised.value.cause.endswith(".")
    assert raised.value.remedy.endswith(".")


def test_a_child_that_aborts_is_an_error_and_the_next_call_restarts_it() -> None:
    found = foreign_tokenizer(_files(_spec(type="WordLevel", vocab=WORDS, unk_token="[UNK]")), "words")
    for child in psutil.Process().children():
        child.kill()
        child.wait()
    assert found.encode("a") == [1]


def test_a_text_that_a_tokenizer_makes_huge_is_contained_in_the_child() -> None:
    """Each letter becomes a thousand, six times in a row."""
    grow = [{"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}] * 6
    spec = _spec(type="WordLevel", vocab=WORDS, unk_token="[UNK]")
    found = tokenizer_from_uploads(_files(spec | {"normalizer": None}))
    assert found.encode("a") == [1]
    with pytest.raises(ModelUnavailable):
        tokenizer_from_uploads(_files(spec | {"normalizer": {"type": "Sequence", "normalizers": grow}})).encode("a")


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 3000000000 }}",
        "{% set x = namespace(a='a' * 1000) %}{% for i in range(99999) %}{% set x.a = x.a + x.a %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% include '/etc/passwd' %}",
        "{{ cycler.__init__.__globals__.os.environ }}",
        "{{ raise_exception('no') }}",
        "{% if %}",
    ],
)
def test_a_chat_template_takes_neither_memory_nor_time_nor_secrets(source: str) -> None:
    sandbox = Sandbox("template", {"source": source, "names": {}}, what="The template", remedy="Use a raw prompt.")
    began = time.monotonic()
    with pytest.raises(ModelUnavailable) as raised:
        sandbox.call("render", [{"role": "user", "content": "hi"}], seconds=2.0)
    sandbox.close()
    assert raised.value.remedy == "Use a raw prompt."
    assert "root:" not in raised.value.cause
    assert time.monotonic() - began < 30.0


def test_invalid_unicode_is_refused() -> None:
    source = {"source": "\ud800 {{ bos_token }}", "names": {}}
    sandbox = Sandbox("template", source, what="The template", remedy="Use a raw prompt.")
    with pytest.raises(ModelUnavailable, match="not valid Unicode"):
        sandbox.open()
    sandbox.close()


def test_a_chat_renders_as_in_this_process() -> None:
    tokenizer = tiny.make_tokenizer()
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    config = {"chat_template": tiny.CHAT, "bos_token": "<s>"}
    found = tokenizer_from_uploads(_files(spec, tokenizer_config=config))
    assert found.prompt_text(Request(messages=(Message("user", "hi"),))) == "<|user|>user:hi\n>"
    assert found.encode("<|user|>é") == [tiny.USER, 0xC3, 0xA9]


def test_the_child_has_no_environment_and_opens_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("CANDOR_STORE", SECRET)
    sandbox = Sandbox("template", {"source": "x", "names": {}}, what="It", remedy="Stop.")
    sandbox.open()
    (child,) = [each for each in psutil.Process().children() if "template" in each.cmdline()]
    assert SECRET not in str(child.environ())
    assert not {"HOME", "PATH", "AWS_SECRET_ACCESS_KEY"} & set(child.environ())
    assert child.rlimit(psutil.RLIMIT_FSIZE)[1] == 0
    assert child.rlimit(psutil.RLIMIT_AS)[1] == 2_000_000_000
    assert child.rlimit(psutil.RLIMIT_NOFILE)[1] <= 8
    sandbox.close()


def test_idle_children_are_few_and_end_with_their_owner() -> None:
    before = {each.pid for each in psutil.Process().children()}
    spec = _spec(type="WordLevel", vocab=WORDS, unk_token="[UNK]")
    several = [foreign_tokenizer(_files(spec), f"words {number}") for number in range(7)]
    assert len({each.pid for each in psutil.Process().children()} - before) <= 4
    assert [found.encode("b") for found in several] == [[2]] * 7, "those that were ended start again"


def test_many_threads_share_one_tokenizer() -> None:
    found = foreign_tokenizer(_files(_spec(type="WordLevel", vocab=WORDS, unk_token="[UNK]")), "words")
    wrong: list[object] = []

    def work(text: str, ids: list[int]) -> None:
        wrong.extend(ids for _ in range(50) if found.encode(text) != ids)

    threads = [threading.Thread(target=work, args=each) for each in (("a", [1]), ("b", [2]), ("c", [0])) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_files_that_are_too_large_are_named(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(100_000_001)
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json has 100,000,001 bytes"):
        load_tokenizer(tmp_path)
    with pytest.raises(ModelUnavailable, match=r"merges\.txt has 20,000,001 bytes"):
        tokenizer_from_uploads(_files(_spec(type="BPE", vocab=WORDS)) | {"merges.txt": b"x" * 20_000_001})
