"""Loading models. Every failure is a CandorError that names the problem and the next step."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from lib.core.request import Request
from lib.engines.local import loading
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.errors import CandorError, MissingDependency, ModelUnavailable, OutOfMemory
from lib.models.memory import available_memory, gigabytes
from tests.support import tiny

ModelOf = Callable[[str], Path]


@pytest.fixture
def model(random_model: ModelOf, tmp_path: Path) -> Path:
    """A copy of a random model, which the test may damage."""
    return shutil.copytree(random_model("llama"), tmp_path / "small-model")


def _refused(source: object, kind: type[CandorError] = ModelUnavailable, **options: str) -> CandorError:
    with pytest.raises(CandorError) as raised:
        load(str(source), **options)
    assert type(raised.value) is kind
    assert raised.value.cause.endswith(".")
    assert raised.value.remedy.endswith(".")
    return raised.value


def test_a_directory(model: Path) -> None:
    loaded = load(str(model))
    assert loaded.name == "small-model"
    assert loaded.context == 2048
    assert loaded.eos_ids == {tiny.EOS}
    assert not loaded.has_chat_template
    assert loaded.vocabulary.exact
    assert len(loaded.vocabulary) == tiny.VOCABULARY
    assert not loaded.model.training


def test_fingerprints_depend_on_the_weights(model: Path, tmp_path: Path) -> None:
    other = tiny.make_random(tmp_path / "other", "llama", seed=1)
    again = tiny.make_random(tmp_path / "again", "llama")
    prints = [dict(load(str(path)).provenance)["weights"] for path in (model, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_weights_in_several_files(model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    target = tmp_path / "sharded"
    AutoModelForCausalLM.from_pretrained(model).save_pretrained(target, max_shard_size="20KB")
    tiny.make_tokenizer().save_pretrained(target)
    assert len(list(target.glob("*.safetensors"))) > 2
    whole, parts = LocalEngine(load(str(model)), budget=10**9), LocalEngine(load(str(target)), budget=10**9)
    request = Request(prompt="hello", max_tokens=3)
    np.testing.assert_array_equal(
        whole.complete(request)[0].prompt.logprobs, parts.complete(request)[0].prompt.logprobs
    )
    whole.close()
    parts.close()


@pytest.mark.parametrize(
    "source",
    [
        "nonsense",
        "/nowhere/at/all",
        "./nowhere",
        "~nobody-of-that-name/model",
        "a b/c",
        "a/..",
        "owner/x--y",
        "a" * 5000,
        "",
        "model\x00name",
    ],
)
def test_nonsense(source: str) -> None:
    assert "There is no model at" in _refused(source).cause


def test_a_directory_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    error = _refused(tmp_path)
    assert str(tmp_path) in error.cause
    assert "config.json" in error.cause


def test_a_directory_without_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()
    assert "contains no weights" in _refused(model).cause


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "model.ckpt"])
def test_pickled_weights_are_never_opened(model: Path, name: str) -> None:
    (model / "model.safetensors").unlink()
    (model / name).write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    error = _refused(model)
    assert "pickle" in error.cause
    assert "safetensors" in error.remedy


@pytest.mark.parametrize(
    "target", ["weights.dat", "../elsewhere.safetensors", "weights.bin", "/etc/passwd", "a\\\\b", 7]
)
def test_an_index_names_safetensors_files_beside_it_and_nothing_else(
    model: Path, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was opened"))
    (model / "model.safetensors").rename(model / "other.safetensors")
    torch.save({}, model / "weights.dat")
    torch.save({}, model.parent / "elsewhere.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": target}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    error = _refused(model)
    assert "model.safetensors.index.json names" in error.cause


@pytest.mark.parametrize("index", ["{", "[]", '{"weight_map": []}', '{"weight_map": {"a": ["b"]}}'])
def test_an_index_that_cannot_be_read(model: Path, index: str) -> None:
    (model / "model.safetensors").rename(model / "other.safetensors")
    (model / "model.safetensors.index.json").write_text(index)
    assert "index.json" in _refused(model).cause


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_a_configuration_names_no_code_of_the_hub(model: Path, key: str) -> None:
    path = model / "config.json"
    config = json.loads(path.read_text())
    for changed in (config | {key: "owner/kernel"}, config | {"text_config": {key: "owner/kernel:name"}}):
        path.write_text(json.dumps(changed))
        assert "code or weights elsewhere" in _refused(model).cause


def test_a_configuration_that_builds_far_more_than_its_weights(tmp_path: Path) -> None:
    directory = tiny.make_random(tmp_path / "gpt2", "gpt2")
    tiny.make_tokenizer().save_pretrained(directory)
    path = directory / "config.json"
    config = json.loads(path.read_text())
    before = psutil.Process().memory_info().rss
    path.write_text(json.dumps(config | {"n_positions": 10**9}))
    assert "far larger than its weights" in _refused(directory).cause
    assert psutil.Process().memory_info().rss - before < 500_000_000


@pytest.mark.parametrize("keep", [0, 4, 8, 300, 0.5, -1])
def test_weights_that_are_cut_off(model: Path, keep: float) -> None:
    path = model / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    error = _refused(model)
    assert "model.safetensors is damaged or incomplete" in error.cause
    assert "again" in error.remedy


def test_weights_that_lack_a_layer(model: Path) -> None:
    """Transformers would fill the gap with random numbers."""
    from safetensors.torch import load_file, save_file

    path = model / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    error = _refused(model)
    assert "small-model" in error.cause
    assert "model.layers.1.mlp.up_proj.weight is missing or of another size." in error.cause


def test_weights_of_another_size(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    error = _refused(model)
    assert "small-model" in error.cause
    assert "lm_head.weight is missing or of another size, and" in error.cause


@pytest.mark.parametrize("content", ["", "{", "[]", '"text"', "\x00"])
def test_a_config_that_cannot_be_read(model: Path, content: str) -> None:
    (model / "config.json").write_text(content)
    assert "config.json" in _refused(model).cause


def test_an_unknown_kind_of_model(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "model_type": "from-the-future"}))
    error = _refused(model)
    assert "'from-the-future'" in error.cause
    assert "Llama" in error.remedy


@pytest.mark.parametrize("kind", ["own-kind", "llama"])
def test_code_that_comes_with_a_model_is_never_run(model: Path, tmp_path: Path, kind: str) -> None:
    marker = tmp_path / "owned"
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    for name in ("modeling_own.py", "configuration_own.py", "tokenization_own.py"):
        (model / name).write_text(code + "class Own: pass\n")
    own = {
        "AutoConfig": "configuration_own.Own",
        "AutoModelForCausalLM": "modeling_own.Own",
        "AutoTokenizer": ["tokenization_own.Own", "tokenization_own.Own"],
    }
    for name in ("config.json", "tokenizer_config.json"):
        spec = json.loads((model / name).read_text())
        (model / name).write_text(json.dumps({**spec, "model_type": kind, "auto_map": own}))
    if kind == "llama":  # transformers supports it without the code
        load(str(model))
    else:
        assert "its own program code, which Candor never runs" in _refused(model).cause
    assert not marker.exists()


def test_a_tokenizer_that_is_missing_or_damaged(model: Path) -> None:
    (model / "tokenizer.json").write_text('{"version": "1.0"}')
    assert "tokenizer" in _refused(model).cause
    (model / "tokenizer.json").unlink()
    assert "tokenizer" in _refused(model).cause


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "letter.docx"
    path.write_text("Dear all")
    assert "letter.docx is neither" in _refused(path).cause


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_missing_libraries(model: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    error = _refused(model, MissingDependency)
    assert library in error.cause
    assert "make setup" in error.remedy


def test_a_model_that_outgrows_the_memory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "available_memory", lambda: 300_000_000)
    error = _refused(model, OutOfMemory)
    assert "small-model needs about 300 MB" in error.cause
    assert "300 MB are free" in error.cause
    assert "bfloat16" in error.remedy


def test_memory_that_runs_out_while_loading(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fail)
    assert "small-model" in _refused(model, OutOfMemory).cause


@pytest.mark.parametrize("dtype", ["int8", "complex64", "float33", "nn", ""])
def test_an_unknown_dtype(model: Path, dtype: str) -> None:
    error = _refused(model, dtype=dtype)
    assert repr(dtype) in error.cause
    assert "bfloat16" in error.remedy


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_other_dtypes(model: Path, dtype: str) -> None:
    import torch

    assert load(str(model), dtype=dtype).model.dtype == getattr(torch, dtype)


@pytest.mark.parametrize("device", ["cuda", "toaster"])
def test_a_device_that_is_not_there(model: Path, device: str) -> None:
    import torch

    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    assert repr(device) in _refused(model, device=device).cause


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub's address is a local port without a server."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("no_hub")
def test_a_hub_id_without_network() -> None:
    began = time.monotonic()
    error = _refused("somebody/some-model")
    assert time.monotonic() - began < 30
    assert "'somebody/some-model'" in error.cause
    assert "can't be reached" in error.cause
    assert "network" in error.remedy


def test_what_is_downloaded_from_the_hub(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: dict[str, object] = {}

    def download(source: str, **options: object) -> str:
        asked.update(options, source=source)
        return str(model)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert load("somebody/some-model").name == "somebody/some-model"
    assert asked["source"] == "somebody/some-model"
    wanted = list(
        huggingface_hub.utils.filter_repo_objects(
            [
                "model-00001-of-2.safetensors",
                "config.json",
                "tokenizer.json",
                "chat_template.jinja",
                "pytorch_model.bin",
                "consolidated.safetensors",
                "original/params.json",
                "modeling_own.py",
                "onnx/config.json",
            ],
            allow_patterns=asked["allow_patterns"],
            ignore_patterns=asked["ignore_patterns"],
        )
    )
    assert wanted == ["model-00001-of-2.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"]


def test_a_gated_model(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from httpx2 import Request as HttpRequest
    from httpx2 import Response
    from huggingface_hub.errors import GatedRepoError

    def download(*_: object, **__: object) -> None:
        response = Response(403, request=HttpRequest("GET", "https://huggingface.co/x/y"))
        raise GatedRepoError("403 Client Error.\nAccess is restricted.", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    error = _refused("meta-llama/Llama-3")
    assert "'meta-llama/Llama-3'" in error.cause
    assert "hf auth login" in error.remedy


def test_nothing_is_printed(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine = LocalEngine(load(str(model)), budget=10**9)
    engine.complete(Request(prompt="hello", max_tokens=3, n=3))
    engine.close()
    assert capfd.readouterr() == ("", "")


def test_memory_in_words() -> None:
    assert gigabytes(1_234_000_000) == "1.2 GB"
    assert gigabytes(300_000_000) == "300 MB"
    assert available_memory() > 0


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lib.models import memory

    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CGROUP_LIMITS", (tmp_path / "absent", limit))
    limit.write_text("max\n")
    free = available_memory()
    limit.write_text("100000\n")
    assert available_memory() == 0  # this process alone uses more
    limit.write_text(str(10**15))
    assert available_memory() == pytest.approx(free, rel=0.2)
