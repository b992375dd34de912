"""LoRA adapters in the weights of their base models: as peft merges them, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from lib.core.request import Request
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import load
from lib.engines.local.merging import merge
from lib.errors import ModelUnavailable
from lib.models import embedded
from lib.models.adapter_files import read_adapter
from tests.support import tiny
from tests.support.adapters import LAYER, LLAMA, PEFT, sine_model, write_adapter

Q = LAYER.format(0, "self_attn.q_proj")
B_OF_Q = f"base_model.model.{Q}.lora_B.weight"


@pytest.mark.parametrize("kind", sorted(each.name for each in PEFT.iterdir()))
def test_the_merged_weights_are_those_of_peft(kind: str) -> None:
    architecture = "gpt2" if kind == "transposed" else "llama"
    model, before = sine_model(architecture), sine_model(architecture).state_dict()
    expected = load_file(PEFT / kind / "merged.safetensors")
    merge(read_adapter(PEFT / kind), model)
    for name, weights in model.state_dict().items():
        if name in expected:
            assert not torch.equal(weights, before[name])
            torch.testing.assert_close(weights, expected[name], rtol=1e-6, atol=1e-6)
        else:
            assert torch.equal(weights, before[name])


@settings(max_examples=20)
@given(st.integers(1, 5), st.floats(0.1, 30), st.booleans(), st.integers(0, 2**31))
def test_merged_layers_give_what_both_paths_give_together(rank: int, alpha: float, root: bool, seed: int) -> None:
    import tempfile

    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with tempfile.TemporaryDirectory() as scratch:
        directory = write_adapter(Path(scratch), rank=rank, lora_alpha=alpha, use_rslora=root)
        tensors = load_file(directory / "adapter_model.safetensors")
        model, base = _SHELL, _SHELL_WEIGHTS
        model.load_state_dict(base)
        merge(read_adapter(directory), model)
    for name in LLAMA:
        a, b = (tensors[f"base_model.model.{name}.lora_{side}.weight"].double() for side in "AB")
        scale = alpha / (rank**0.5 if root else rank)
        both = x @ base[f"{name}.weight"].double().T + scale * ((x @ a.T) @ b.T)
        merged = x @ model.get_submodule(name).weight.double().T
        torch.testing.assert_close(merged, both, rtol=1e-4, atol=1e-3)


_SHELL = sine_model("llama")
_SHELL_WEIGHTS = {name: each.clone() for name, each in _SHELL.state_dict().items()}


def refused(adapter: Path, architecture: str = "llama", **changes: Any) -> str:
    model = sine_model(architecture)
    for name, value in changes.items():
        setattr(model, name, value)
    with pytest.raises(ModelUnavailable) as caught:
        merge(read_adapter(adapter), model)
    assert caught.value.remedy
    return caught.value.cause


def test_a_base_that_does_not_match(tmp_path: Path) -> None:
    deeper = LLAMA | {LAYER.format(2, "self_attn.q_proj"): (32, 32)}
    shallower = {name: size for name, size in LLAMA.items() if ".1." not in name}
    wider = {name: (outputs, 64) for name, (outputs, _) in LLAMA.items()}
    norm = {"model.norm": (32, 32)}
    for number, (layers, why) in enumerate(
        [
            (deeper, "it has no linear layer model.layers.2.self_attn.q_proj"),
            (shallower, "the adapter has nothing for its layer model.layers.1"),
            (wider, "is 48 × 32, and the adapter's is 48 × 64"),
            (norm, "it has no linear layer model.norm"),
        ]
    ):
        cause = refused(write_adapter(tmp_path / str(number), layers))
        assert "does not fit its base model embedded" in cause
        assert why in cause
    assert "it has no linear layer" in refused(tmp_path / "0", "gpt2")


def test_an_adapter_larger_than_its_base(tmp_path: Path) -> None:
    assert "larger than the model" in refused(write_adapter(tmp_path, rank=3_000))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    directory = write_adapter(tmp_path, tensors={B_OF_Q: torch.full((32, 2), value)}, lora_alpha=1000)
    assert "are not finite" in refused(directory)


def test_a_head_that_is_the_embeddings_too(tmp_path: Path) -> None:
    model = sine_model("llama")
    model.lm_head.weight = model.model.embed_tokens.weight
    adapter = read_adapter(write_adapter(tmp_path, {"lm_head": (tiny.VOCABULARY, 32)}))
    with pytest.raises(ModelUnavailable, match="whose weights are the embeddings, too"):
        merge(adapter, model)


# Directories that load as models


def scores(source: Path) -> np.ndarray[Any, Any]:
    engine = LocalEngine(load(str(source)), budget=10**9)
    try:
        return engine.complete(Request(prompt="abcdef", max_tokens=0))[0].prompt.logprobs[1:]
    finally:
        engine.close()


@pytest.mark.parametrize("relative", [False, True])
def test_an_adapter_loads_as_its_base_with_the_change(
    random_model: Callable[[str], Path], tmp_path: Path, relative: bool
) -> None:
    base = shutil.copytree(random_model("llama"), tmp_path / "base")
    named = "../base" if relative else str(base)
    adapter = write_adapter(tmp_path / "mine", base_model_name_or_path=named)
    loaded, plain = load(str(adapter)), load(str(base))
    assert (loaded.name, loaded.warnings) == ("mine", plain.warnings)
    expected = load(str(base))
    merge(read_adapter(adapter), expected.model)
    for ours, theirs in zip(loaded.model.parameters(), expected.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not np.array_equal(scores(adapter), scores(base))
    ours, theirs = dict(loaded.provenance), dict(plain.provenance)
    assert ours["weights"] != theirs["weights"] == ours["base"]
    assert len(ours["weights"]) == len(ours["adapter"]) == 64


def test_an_adapter_of_zeros_changes_nothing(random_model: Callable[[str], Path], tmp_path: Path) -> None:
    base = random_model("llama")
    nothing = {f"base_model.model.{name}.lora_B.weight": torch.zeros(size[0], 2) for name, size in LLAMA.items()}
    adapter = write_adapter(tmp_path / "zero", tensors=nothing, base_model_name_or_path=str(base))
    np.testing.assert_array_equal(scores(adapter), scores(base))


def test_an_adapter_of_a_gguf_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_CACHE", str(tmp_path / "cache"))
    path = tiny.make_gguf(tmp_path / "base.gguf")
    adapter = write_adapter(tmp_path / "mine", base_model_name_or_path="../base.gguf")
    assert not np.array_equal(scores(adapter), scores(path))


def test_an_adapter_with_a_tokenizer_of_its_own(random_model: Callable[[str], Path], tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "mine", base_model_name_or_path=str(random_model("llama")))
    assert not load(str(adapter)).has_chat_template
    tiny.make_tokenizer(chat=tiny.CHAT).save_pretrained(adapter)
    assert load(str(adapter)).has_chat_template


def cause_of(source: Path) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load(str(source))
    assert caught.value.remedy
    return caught.value.cause


def test_an_adapter_of_an_adapter(random_model: Callable[[str], Path], tmp_path: Path) -> None:
    first = write_adapter(tmp_path / "first", base_model_name_or_path=str(random_model("llama")))
    for name, base in {"second": str(first), "own": "."}.items():
        assert "which is an adapter, too" in cause_of(write_adapter(tmp_path / name, base_model_name_or_path=base))


def test_a_base_that_cannot_be_used(random_model: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    full = shutil.copytree(random_model("llama"), tmp_path / "full")
    write_adapter(full)
    bases = {"../nowhere": "There is no model at", "../empty": "contains no model", "../full": "beside the weights",
        "//host/share": "on another host", r"\\host\share": "on another host"}  # fmt: skip
    for number, (base, why) in enumerate(bases.items()):
        assert why in cause_of(write_adapter(tmp_path / f"adapter{number}", base_model_name_or_path=base))


def test_a_converted_base_survives_a_bad_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_CACHE", str(tmp_path / "cache"))
    tiny.make_gguf(tmp_path / "base.gguf")
    adapter = write_adapter(tmp_path / "mine", base_model_name_or_path="../base.gguf")
    load(str(adapter))
    (weights,) = (tmp_path / "cache" / "converted").glob("*/model.safetensors")
    made = weights.stat().st_ino
    write_adapter(adapter, {"elsewhere": (4, 4)}, base_model_name_or_path="../base.gguf")
    assert "does not fit" in cause_of(adapter)
    assert weights.stat().st_ino == made


@pytest.mark.model
def test_the_original_of_the_embedded_model_counts_as_it(tmp_path: Path) -> None:
    layers = {f"model.layers.{number}.self_attn.v_proj": (192, 576) for number in range(30)}
    adapter = write_adapter(tmp_path, layers, base_model_name_or_path=embedded.HUB_ID)
    (warning,) = load(str(adapter)).warnings
    assert "quantized" in warning


def test_settings_are_those_that_peft_writes() -> None:
    """A new version's settings are refused unless they are known: those of the reference all are."""
    for directory in PEFT.iterdir():
        assert json.loads((directory / "adapter_config.json").read_text())["peft_version"] == "0.21.2"
        read_adapter(directory)
