"""Make tests/data/adapters: adapters that peft saved, and the weights that it merges them to.

Run `python -m tests.making.merged_adapters tests/data/adapters` with peft 0.21.2 and accelerate installed. Candor does
not need them otherwise.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from tests.support.adapters import sine_model

# By name: (architecture, settings of LoRA).
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("llama", {"r": 2, "lora_alpha": 5, "target_modules": ["q_proj", "down_proj"]}),
    "rslora": ("llama", {"r": 4, "lora_alpha": 5, "target_modules": ["k_proj"], "use_rslora": True}),
    "patterns": (
        "llama",
        {
            "r": 2,
            "lora_alpha": 4,
            "target_modules": ["q_proj", "up_proj"],
            "rank_pattern": {"layers.0.self_attn.q_proj": 3, r"layers\.\d+\.mlp\.up_proj": 1},
            "alpha_pattern": {"up_proj": 7, "model.layers.1.self_attn.q_proj": 9},
        },
    ),
    "expression": ("llama", {"r": 2, "target_modules": r".*\.v_proj"}),
    "one-layer": ("llama", {"r": 2, "target_modules": ["o_proj"], "layers_to_transform": [1]}),
    "transposed": ("gpt2", {"r": 2, "lora_alpha": 3, "target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True}),
}


def main(out: Path) -> None:
    """Write every kind: the adapter, and the weights that differ once it is merged."""
    for number, (name, (architecture, settings)) in enumerate(KINDS.items()):
        torch.manual_seed(number)
        model = get_peft_model(sine_model(architecture), LoraConfig(task_type="CAUSAL_LM", **settings))
        with torch.no_grad():
            for key, weights in model.named_parameters():
                if "lora_" in key:
                    weights.copy_(torch.randn(weights.shape))
        model.peft_config["default"].base_model_name_or_path = architecture
        model.save_pretrained(out / name)
        (out / name / "README.md").unlink(missing_ok=True)
        before, after = sine_model(architecture).state_dict(), model.merge_and_unload().state_dict()
        changed = {key: value.clone() for key, value in after.items() if not torch.equal(value, before[key])}
        save_file(changed, out / name / "merged.safetensors")
        print(f"{name}: {len(changed)} weights")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
