"""Model files as found in practice: parts, scaled positions, adapters, odd names. Each is read or refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.core.request import Request
from lib.core.stream import fold
from lib.engines.local.engine import LocalEngine
from lib.engines.local.loading import LoadedModel, load
from lib.engines.local.prompts import encode
from lib.errors import ModelUnavailable, TooLong
from lib.models.gguf import converted
from tests.support import tiny
from tests.support.browser import ROOT

CASES = ROOT / "tests" / "data" / "cases"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test; returns its directory of conversions."""
    monkeypatch.setenv("CANDOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "converted"


@pytest.fixture
def model(random_model: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a random model, which the test may damage."""
    return shutil.copytree(random_model("llama"), tmp_path / "small-model")


@dataclass(frozen=True)
class Plain:
    """The model of `tiny.make_gguf` without further settings."""

    directory: Path  # its conversion
    scores: np.ndarray  # of `_scores`


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    directory = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CANDOR_CACHE", str(directory / "cache"))
        path = tiny.make_gguf(directory / "tiny.gguf")
        return Plain(converted(path), _scores(path))


def _refused(path: Path) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable) as raised:
        load(str(path))
    return raised.value


def _none_left(cache: Path) -> bool:
    return not [each for each in cache.glob("*") if each.is_dir()]


def _scores(source: object, prompt: str = "abcdefghijklmnopqrstuvwxyz") -> np.ndarray:
    loaded = source if isinstance(source, LoadedModel) else load(str(source))
    engine = LocalEngine(loaded, budget=10**9)
    try:
        return engine.complete(Request(prompt=prompt, max_tokens=0))[0].prompt.logprobs[1:]
    finally:
        engine.close()


def _frequencies(loaded: LoadedModel) -> np.ndarray:
    """The rotary frequencies that a pass of a few tokens uses."""
    _scores(loaded)
    return np.asarray(loaded.model.model.rotary_emb.inv_freq.numpy())


# Files that are only a part


@pytest.mark.parametrize("fellow", [True, False])
def test_one_part_of_a_model(tmp_path: Path, cache: Path, fellow: bool) -> None:
    for name in ("07a-tiny-00001-of-00002.gguf", "07a-tiny-00002-of-00002.gguf"):
        shutil.copy(CASES / name, tmp_path / name)
    if not fellow:
        (tmp_path / "07a-tiny-00002-of-00002.gguf").unlink()
    error = _refused(tmp_path / "07a-tiny-00001-of-00002.gguf")
    assert error.cause == "07a-tiny-00001-of-00002.gguf is part 1 of 2 of a model."
    assert ("Put the other parts beside it." in error.remedy) == (not fellow)
    assert "llama-gguf-split --merge" in error.remedy
    assert _none_left(cache)


def test_a_later_part_of_a_model() -> None:
    assert "part 2 of 2" in _refused(CASES / "07a-tiny-00002-of-00002.gguf").cause


def test_a_vocabulary_without_weights(cache: Path) -> None:
    error = _refused(CASES / "07b-vocab-only.gguf")
    assert error.cause == "07b-vocab-only.gguf contains a vocabulary but no weights."
    assert "weights" in error.remedy
    assert _none_left(cache)


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"general.type": "adapter", "adapter.type": "lora"}, "is an adapter, not a model."),
        ({"adapter.lora.alpha": 16.0}, "is an adapter, not a model."),
        ({"general.type": "mmproj"}, "contains 'mmproj' data, not a language model."),
        ({"llama.attention.causal": False}, "is not a causal language model"),
    ],
)
def test_files_that_are_not_models(tmp_path: Path, cache: Path, fields: dict[str, Any], cause: str) -> None:
    error = _refused(tiny.make_gguf(tmp_path / "odd.gguf", fields=fields))
    assert cause in error.cause
    assert error.remedy
    assert _none_left(cache)


def test_a_part_cut_off_by_hand(tmp_path: Path) -> None:
    whole = tiny.make_gguf(tmp_path / "tiny.gguf").read_bytes()
    path = tmp_path / "tiny.gguf.part1of2"
    path.write_bytes(whole[: len(whole) // 2])
    assert "join all parts" in _refused(path).remedy


def test_a_pointer_in_place_of_the_file(tmp_path: Path, model: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    path = tmp_path / "tiny.gguf"
    path.write_text(pointer)
    (model / "model.safetensors").write_text(pointer)
    for source in (path, model):
        error = _refused(source)
        assert "is a Git LFS pointer" in error.cause
        assert "git lfs pull" in error.remedy


@pytest.mark.parametrize(
    ("tensors", "cause"),
    [
        ({"blk.1.ffn_up.weight": None}, "Missing or of the wrong size: model.layers.1.mlp.up_proj.weight."),
        (
            {"blk.1.ffn_up.weight": np.ones((40, 32), np.float32)},
            "of the wrong size: model.layers.1.mlp.up_proj.weight",
        ),
        (
            {"blk.0.attn_q.bias": np.ones(32, np.float32)},
            "can't read from GGUF files: blk.0.attn_q.bias",
        ),
        ({"blk.0.attn_norm_2.weight": np.ones(32, np.float32)}, "read from GGUF files: blk.0.attn_norm_2.weight"),
    ],
)
def test_missing_and_unknown_weights(tmp_path: Path, cache: Path, tensors: dict[str, Any], cause: str) -> None:
    """Transformers fills the gaps with random numbers, and ignores unknown weights."""
    error = _refused(tiny.make_gguf(tmp_path / "tiny.gguf", tensors=tensors))
    assert cause in error.cause
    assert "original directory" in error.remedy
    assert _none_left(cache)


def test_a_file_under_any_name(tmp_path: Path, plain: Plain) -> None:
    blob = tmp_path / "sha256-0123456789abcdef"
    tiny.make_gguf(blob)
    loaded = load(str(blob))
    assert loaded.name == blob.name
    np.testing.assert_array_equal(_scores(loaded), plain.scores)


# Positions


def test_a_divisor_for_each_frequency(tmp_path: Path) -> None:
    plain, scaled = load(str(CASES / "10a-plain.gguf")), load(str(CASES / "10b-rope-freqs.gguf"))
    assert np.abs(_scores(plain) - _scores(scaled)).max() > 0.01
    divisors = np.array([1.0, 1.5, 4.0, 32.0], np.float32)
    path = tiny.make_gguf(tmp_path / "tiny.gguf", tensors={"rope_freqs.weight": divisors})
    expected = 1 / (divisors * 10_000.0 ** (np.arange(4) / 4))
    np.testing.assert_allclose(_frequencies(load(str(path))), expected, rtol=1e-6)
    assert load(str(path)).context == 512, "the same for every length of text"


def test_llama_3_from_its_file_and_from_its_directory(tmp_path: Path, plain: Plain) -> None:
    """llama.cpp's converter writes the settings of config.json as divisors."""
    settings = {"rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
    base = 1 / 500_000.0 ** (np.arange(4) / 4)
    smooth = (64 * base / (2 * np.pi) - 1) / 3
    divisors = np.select(
        [64 * base > 4 * 2 * np.pi, 64 * base < 2 * np.pi], [1.0, 8.0], 1 / ((1 - smooth) / 8 + smooth)
    )
    fields = {"llama.rope.freq_base": 500_000.0}
    tensors = {"rope_freqs.weight": divisors.astype(np.float32)}
    path = tiny.make_gguf(tmp_path / "tiny.gguf", fields=fields, tensors=tensors)
    np.testing.assert_allclose(_scores(path), _scores(_changed(plain, tmp_path, rope_parameters=settings)), atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({"type": "linear", "factor": 4.0}, {"rope_type": "linear", "factor": 4.0}),
        (
            {"type": "yarn", "factor": 8.0, "original_context_length": 64},
            {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64},
        ),
        (
            {"type": "yarn", "factor": 8.0, "original_context_length": 64, "yarn_beta_fast": 16.0},
            {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "beta_fast": 16.0},
        ),
        ({"type": "none", "factor": 4.0}, {"rope_type": "default"}),
        ({"type": "linear", "factor": 1.0}, {"rope_type": "default"}),
    ],
)
def test_scaled_positions(tmp_path: Path, plain: Plain, fields: dict[str, Any], settings: dict[str, Any]) -> None:
    named = {f"llama.rope.scaling.{name}": value for name, value in fields.items()}
    found = _scores(tiny.make_gguf(tmp_path / "tiny.gguf", fields=named))
    expected = _scores(_changed(plain, tmp_path, rope_parameters={"rope_theta": 10_000.0, **settings}))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (np.abs(found - plain.scores).max() > 0.01) == (settings["rope_type"] != "default")


def _changed(plain: Plain, tmp_path: Path, **settings: Any) -> Path:
    """The plain model as a directory with other settings."""
    directory = tmp_path / "directory"
    shutil.copytree(plain.directory, directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | settings))
    return directory


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"llama.rope.scaling.type": "of-the-future"}, "uses the position scaling 'of-the-future'"),
        ({"llama.rope.scaling.type": "longrope"}, "without its factor tensors"),
        ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.attn_factor": 1.5}, "scales attention"),
        ({"llama.rope.dimension_count": 4, "llama.attention.key_length": 8}, "to 4 of the 8 dimensions of each head"),
        ({"llama.attention.key_length": 8, "llama.attention.value_length": 16}, "of different sizes"),
    ],
)
def test_unsupported_settings_are_refused(tmp_path: Path, cache: Path, fields: dict[str, Any], cause: str) -> None:
    error = _refused(tiny.make_gguf(tmp_path / "tiny.gguf", fields=fields))
    assert cause in error.cause
    assert "tiny.gguf" in error.cause
    assert "original directory" in error.remedy
    assert _none_left(cache)


def test_an_unknown_setting_has_a_warning_in_every_answer(tmp_path: Path) -> None:
    path = tiny.make_gguf(tmp_path / "tiny.gguf", fields={"llama.attention.sharpness": 2.0})
    for _ in range(2):  # converting it, and from the cache
        (warning,) = load(str(path)).warnings
        assert "attention.sharpness" in warning


# LongRoPE


@pytest.fixture
def longrope() -> Iterator[LocalEngine]:
    engine = LocalEngine(load(str(CASES / "18-longrope")), budget=10**9)
    yield engine
    engine.close()


def test_scores_are_consistent_up_to_the_longrope_limit(longrope: LocalEngine) -> None:
    import torch

    assert longrope.loaded.context == 32
    prompt = "abcdefghijklmnopqrstuvwxyzab"
    (written,) = longrope.complete(Request(prompt=prompt, max_tokens=16))
    assert len(written.generated) <= 4
    assert any("LongRoPE" in each for each in written.warnings)
    ids = torch.tensor([[*written.prompt.ids.tolist(), *written.generated.ids.tolist()]])
    with torch.inference_mode():
        at_once = longrope.loaded.model(ids).logits[0].log_softmax(-1)[:-1].gather(1, ids[0, 1:, None])[:, 0]
    both = np.concatenate([written.prompt.logprobs, written.generated.logprobs])[1:]
    np.testing.assert_allclose(both, at_once.numpy(), atol=1e-4)
    with pytest.raises(TooLong, match=r"33 tokens.*at most 32.*LongRoPE"):
        longrope.complete(Request(prompt="a" * 33, max_tokens=0))


def test_a_short_text_scores_the_same_beside_a_long_one(longrope: LocalEngine) -> None:
    alone = longrope.complete(Request(prompt="abcd", max_tokens=4))[0]
    streams = [longrope.stream(Request(prompt=prompt, max_tokens=4)) for prompt in ("abcd", "z" * 28)]
    beside = next(fold(stream) for stream in streams)[0]
    np.testing.assert_allclose(alone.prompt.logprobs[1:], beside.prompt.logprobs[1:], atol=1e-4)
    np.testing.assert_allclose(alone.generated.logprobs, beside.generated.logprobs, atol=1e-4)


def test_texts_end_before_dynamic_scaling_begins(tmp_path: Path) -> None:
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0}
    directory = tiny.make_random(tmp_path / "ntk", "llama", max_position_embeddings=32, rope_parameters=rope)
    engine = LocalEngine(load(str(directory)), budget=10**9)
    before = engine.complete(Request(prompt="abcd", max_tokens=0))[0].prompt.logprobs
    engine.complete(Request(prompt="a" * 32, max_tokens=0))
    with pytest.raises(TooLong):
        engine.complete(Request(prompt="a" * 33, max_tokens=0))
    after = engine.complete(Request(prompt="abcd", max_tokens=0))[0].prompt.logprobs
    engine.close()
    np.testing.assert_array_equal(before[1:], after[1:])


def test_longrope_with_equal_factors_has_its_full_context(tmp_path: Path) -> None:
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [1.0] * 4, "rope_theta": 10_000.0,
            "original_max_position_embeddings": 32, "factor": 4.0}  # fmt: skip
    loaded = load(str(tiny.make_random(tmp_path / "m", "llama", max_position_embeddings=128, rope_parameters=rope)))
    assert (loaded.context, loaded.context_note) == (128, "")


# Directories


def test_an_adapter_beside_the_weights() -> None:
    error = _refused(CASES / "21-lora-beside-base")
    assert "contains a LoRA adapter beside the weights" in error.cause
    assert "is not applied" in error.cause
    assert "merge_and_unload" in error.remedy


def test_an_adapter_alone(tmp_path: Path) -> None:
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(CASES / "21-lora-beside-base" / name, tmp_path / name)
    error = _refused(tmp_path)
    assert "a LoRA adapter without its base model" in error.cause
    assert "Custom Model Import" in error.remedy


def test_weights_outside_the_index_are_ignored(tmp_path: Path) -> None:
    directory = tmp_path / "18-longrope"
    shutil.copytree(CASES / "18-longrope", directory)
    before = load(str(directory)).provenance
    subprocess.run([sys.executable, CASES / "32-add-stale-shards.py", directory], check=True)
    assert (directory / "consolidated.safetensors").stat().st_size > 10**11
    assert load(str(directory)).provenance == before


def test_weights_under_another_name(model: Path) -> None:
    (model / "model.safetensors").rename(model / "my-model.safetensors")
    error = _refused(model)
    assert "my-model.safetensors" in error.cause
    assert "Rename it to model.safetensors" in error.remedy


def test_a_directory_of_gguf_files(tmp_path: Path) -> None:
    tiny.make_gguf(tmp_path / "tiny.gguf")
    assert "tiny.gguf" in _refused(tmp_path).remedy


def _with_weights(model: Path, **more: Any) -> None:
    from safetensors.torch import load_file, save_file

    path = model / "model.safetensors"
    save_file(load_file(path) | more, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_proj.lora_A.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.2.mlp.up_proj.weight",
        "model.layers.0.self_attn.q_proj.qweight",
    ],
)
def test_weights_that_the_configuration_has_no_place_for(model: Path, name: str) -> None:
    import torch

    _with_weights(model, **{name: torch.ones(2)})
    error = _refused(model)
    assert name in error.cause
    assert "config.json" in error.remedy


@pytest.mark.parametrize(
    "name",
    ["model.layers.0.self_attn.rotary_emb.inv_freq", "vision_tower.patch.weight", "v_head.weight", "mtp.fc.weight"],
)
def test_weights_that_affect_no_score_are_allowed(model: Path, name: str) -> None:
    import torch

    before = _scores(model)
    _with_weights(model, **{name: torch.ones(2)})
    np.testing.assert_array_equal(_scores(model), before)


def test_a_tied_head_that_is_saved_too(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    directory = tiny.make_random(tmp_path / "tied", "llama", tie_word_embeddings=True)
    before = _scores(directory)
    weights = load_file(directory / "model.safetensors")
    assert "lm_head.weight" not in weights
    _with_weights(directory, **{"lm_head.weight": weights["model.embed_tokens.weight"].clone()})
    np.testing.assert_array_equal(_scores(directory), before)


# Tokens


def test_markers_outside_the_byte_alphabet() -> None:
    loaded = load(str(CASES / "06-markers-outside-the-byte-alphabet.gguf"))
    assert encode(loaded, "hi", templated=False) == [258, 104, 105]
    chat = loaded.tokenizer.render([{"role": "user", "content": "hi"}])
    ids = encode(loaded, chat, templated=True)
    assert ids == [258, 260, 104, 105, 261, 262, 10]
    special = loaded.vocabulary.pieces.special[np.array([258, 260, 261, 262])]
    assert special.tolist() == [True, True, True, False]
    assert [loaded.tokenizer.name_of(number) for number in ids[:2]] == ["<｜begin▁of▁sentence｜>", "<｜User｜>"]


def test_no_space_before_a_text() -> None:
    loaded = load(str(CASES / "28-no-space-prefix.gguf"))
    assert encode(loaded, "hello", templated=False) == [1, 357]
    assert encode(loaded, " hello", templated=False) == [1, 358]


def test_the_tokenizer_file_takes_precedence(tmp_path: Path) -> None:
    """Its configuration names a class that would tokenize differently."""
    directory = tiny.make_random(tmp_path / "model", "llama", vocab_size=262)
    for path in (CASES / "01a-gpt2class-digits").iterdir():
        if path.name != "config.json":
            shutil.copy(path, directory / path.name)
    loaded = load(str(directory))
    assert encode(loaded, "x =  12", templated=False) == [120, 32, 61, 257, 49, 50]
