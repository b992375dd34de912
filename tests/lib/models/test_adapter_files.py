"""Adapter directories as peft writes them: read, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import ModelUnavailable
from lib.models.adapter_files import is_adapter, read_adapter
from tests.support.adapters import LAYER, LLAMA, write_adapter

Q, B_OF_Q = LAYER.format(0, "self_attn.q_proj"), "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"


def refused(directory: Path) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        read_adapter(directory)
    assert caught.value.remedy
    return caught.value.cause


def test_what_an_adapter_says(tmp_path: Path) -> None:
    found = read_adapter(write_adapter(tmp_path, rank=3, lora_alpha=6, base_model_name_or_path="owner/base"))
    assert (found.base, found.revision, found.targets) == ("owner/base", "", ("k_proj", "q_proj", "up_proj"))
    assert found.layers.keys() == LLAMA.keys()
    about = found.layers[LAYER.format(1, "mlp.up_proj")]
    assert (about.rank, about.inputs, about.outputs, about.scale) == (3, 32, 48, 2.0)
    assert found.elements == 2 * 3 * ((32 + 32) + (16 + 32) + (48 + 32))


def test_the_fingerprint_depends_on_both_files(tmp_path: Path) -> None:
    import torch

    changed = {B_OF_Q: torch.ones(32, 2)}
    prints = [
        read_adapter(directory).fingerprint()
        for directory in (
            write_adapter(tmp_path / "one"),
            write_adapter(tmp_path / "again"),
            write_adapter(tmp_path / "alpha", lora_alpha=5),
            write_adapter(tmp_path / "weights", tensors=changed),
        )
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"peft_type": "LOHA"}, "is of the type 'LOHA'"),
        ({"peft_type": None}, "is of the type 'None'"),
        ({"task_type": "SEQ_CLS"}, "was made for SEQ_CLS"),
        ({"bias": "lora_only"}, "has trained biases"),
        ({"lora_bias": True}, "uses trained biases"),
        ({"use_dora": True}, "uses DoRA"),
        ({"modules_to_save": ["lm_head"]}, "uses fully trained layers"),
        ({"trainable_token_indices": [1]}, "uses trained embeddings"),
        ({"layer_replication": [[0, 2]]}, "uses layer_replication"),
        ({"of_next_year": 1}, "uses of_next_year"),
        ({"init_lora_weights": "pissa"}, "began from 'pissa'"),
        ({"r": 0}, "its rank is 0"),
        ({"r": 3}, "has rank 2, but adapter_config.json says 3"),
        ({"r": "2"}, "its rank is 2"),
        ({"r": True}, "its rank is True"),
        ({"lora_alpha": float("nan")}, "its lora_alpha is nan"),
        ({"lora_alpha": 1e300}, "its lora_alpha is 1e+300"),
        ({"lora_alpha": None}, "its lora_alpha is None"),
        ({"rank_pattern": {"q_proj": 3}}, "has rank 2, but adapter_config.json says 3"),
        ({"rank_pattern": ["q_proj"]}, "its patterns cannot be read"),
        ({"rank_pattern": {"(": 3}}, "is no regular expression"),
        ({"rank_pattern": {"(a{99999}){99999}": 3}}, "is no regular expression"),
        ({"base_model_name_or_path": None}, "without its base model"),
        ({"base_model_name_or_path": " "}, "without its base model"),
    ],
)
def test_a_configuration_that_is_refused(tmp_path: Path, config: dict[str, Any], cause: str) -> None:
    assert cause in refused(write_adapter(tmp_path, **config))


@pytest.mark.parametrize(
    ("name", "shape", "cause"),
    [
        (B_OF_Q, None, f"one of the two matrices of {Q} is missing"),
        (B_OF_Q, (32, 3), "has rank 2"),
        (B_OF_Q, (64,), "is no matrix"),
        ("base_model.model.lm_head.weight", (4, 4), "is no change of a linear layer"),
        ("base_model.model.model.embed_tokens.lora_embedding_A", (2, 4), "is no change of a linear layer"),
        (f"base_model.model.{Q}.lora_magnitude_vector", (32,), "is no change of a linear layer"),
        ("x.lora_A.weight", (2, 32), "is no change of a linear layer"),
    ],
)
def test_tensors_that_are_refused(tmp_path: Path, name: str, shape: tuple[int, ...] | None, cause: str) -> None:
    import torch

    tensors = {name: None if shape is None else torch.zeros(shape)}
    assert cause in refused(write_adapter(tmp_path, tensors=tensors))


def test_integers_are_no_weights(tmp_path: Path) -> None:
    import torch

    assert "is no matrix" in refused(write_adapter(tmp_path, tensors={B_OF_Q: torch.zeros(32, 2, dtype=torch.int8)}))


def test_files_that_are_missing_or_damaged(tmp_path: Path) -> None:
    directory = write_adapter(tmp_path)
    config, weights = directory / "adapter_config.json", directory / "adapter_model.safetensors"
    whole = weights.read_bytes()
    for size in (0, 7, 100, len(whole) - 1):
        weights.write_bytes(whole[:size])
        assert "is damaged or incomplete" in refused(directory)
    weights.unlink()
    assert "has no weights" in refused(directory)
    (directory / "adapter_model.bin").write_bytes(b"cposix\nsystem\n")
    assert "is a pickle file" in refused(directory)
    weights.write_bytes(whole)
    for text in ("", "[]", "{", "[" * 100_000, '{"peft_type": "LORA", "x": "' + "x" * 1_000_000 + '"}'):
        config.write_text(text)
        assert "cannot be read" in refused(directory)
    config.unlink()
    assert "without adapter_config.json" in refused(directory)
    assert is_adapter(directory)
    (directory / "config.json").write_text("{}")
    assert not is_adapter(directory)


def test_a_pattern_that_takes_forever(tmp_path: Path) -> None:
    name = "a" * 40
    directory = write_adapter(tmp_path, {name: (4, 4)}, rank_pattern={"(a|aa)+b": 2, "(.*a)*b": 2})
    assert "take too long" in refused(directory)


WORDS = st.text("abz._\\d+*()[]^$|{}0", max_size=12)


@given(st.dictionaries(WORDS, st.integers(-1, 3) | st.none() | st.text(max_size=3), max_size=4), st.booleans())
def test_any_pattern_is_read_or_refused(patterns: dict[str, Any], alphas: bool) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        directory = write_adapter(Path(scratch))
        config = json.loads((directory / "adapter_config.json").read_text())
        config["alpha_pattern" if alphas else "rank_pattern"] = patterns
        (directory / "adapter_config.json").write_text(json.dumps(config))
        try:
            found = read_adapter(directory)
        except ModelUnavailable:
            return
        assert found.layers.keys() == LLAMA.keys()
