"""LoRA adapters for tests, and small models whose weights are the same with every version of torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support import tiny
from tests.support.paths import ROOT

PEFT = (
    ROOT / "tests" / "data" / "adapters"
)  # adapters with what peft makes of them; see tests/making/merged_adapters.py

Sizes = Mapping[str, tuple[int, int]]
LAYER = "model.layers.{}.{}"
# Layers of tiny.ARCHITECTURES["llama"]: (outputs, inputs).
LLAMA: Sizes = {
    LAYER.format(number, name): size
    for number in range(2)
    for name, size in {"self_attn.q_proj": (32, 32), "self_attn.k_proj": (16, 32), "mlp.up_proj": (48, 32)}.items()
}


def sine_model(architecture: str) -> Any:
    """A small model of one of tiny.ARCHITECTURES whose weights are sines."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, values = tiny.ARCHITECTURES[architecture]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **values))
    with torch.no_grad():
        for number, weights in enumerate(model.parameters()):
            steps = torch.arange(weights.numel(), dtype=torch.float64)
            weights.copy_(torch.sin(steps * 0.37 + number).reshape(weights.shape))
    return model.eval()


def write_adapter(
    directory: Path, layers: Sizes = LLAMA, *, rank: int = 2, tensors: Mapping[str, Any] | None = None, **config: Any
) -> Path:
    """Write an adapter with random matrices of the given (outputs, inputs).

    tensors: changes by name; None removes one. config: changes of adapter_config.json.
    """
    import torch
    from safetensors.torch import save_file

    chance = torch.Generator().manual_seed(0)
    stored: dict[str, Any] = {}
    for name, (outputs, inputs) in layers.items():
        stored[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, inputs, generator=chance)
        stored[f"base_model.model.{name}.lora_B.weight"] = torch.randn(outputs, rank, generator=chance)
    directory.mkdir(parents=True, exist_ok=True)
    changed = {name: each for name, each in (stored | dict(tensors or {})).items() if each is not None}
    save_file(changed, directory / "adapter_model.safetensors")
    ends = sorted({name.rpartition(".")[2] for name in layers})
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "embedded", "r": rank,
        "lora_alpha": 4, "target_modules": ends, "bias": "none", **config,
    }  # fmt: skip
    (directory / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return directory
