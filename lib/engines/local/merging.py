"""Merge a LoRA adapter into the weights of its base model, as peft's `merge_and_unload` does."""

from __future__ import annotations

from typing import Any

from lib.errors import ModelUnavailable
from lib.models.adapter_files import AdaptedLayer, Adapter

_DAMAGED = "Save it again with peft."


def merge(adapter: Adapter, model: Any) -> None:
    """Add scale · B·A to each adapted layer's weights, computed in float32.

    Raises ModelUnavailable if the adapter doesn't belong to a model of this shape, or isn't finite.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    layers = _places(adapter, model)
    try:
        with safe_open(adapter.weights, framework="pt") as file, torch.no_grad():
            for name, (weight, transposed) in layers.items():
                about = adapter.layers[name]
                a, b = (file.get_tensor(each).to(weight.device, torch.float32) for each in about.names(name))
                change = (b @ a) * about.scale
                merged = (weight.float() + (change.T if transposed else change)).to(weight.dtype)
                if not bool(torch.isfinite(merged).all()):
                    raise ModelUnavailable(
                        f"The adapter in {adapter.directory} is damaged: {name} gets weights that are not finite.",
                        _DAMAGED,
                    )
                weight.copy_(merged)
    except (SafetensorError, OSError) as error:
        raise ModelUnavailable(f"The adapter in {adapter.directory} is damaged.", _DAMAGED) from error


def _places(adapter: Adapter, model: Any) -> dict[str, tuple[Any, bool]]:
    """The weights to change, by the layers' names, and whether they are stored as [in, out]."""
    linear = _linear_layers(model)
    if adapter.elements > sum(each.numel() for each in model.parameters()):
        raise _mismatch(adapter, "the adapter is larger than the model")
    if unknown := sorted(adapter.layers.keys() - linear.keys()):
        raise _mismatch(adapter, f"it has no linear layer {unknown[0][:120]}")
    wanted = {name for name in linear if any(name == end or name.endswith(f".{end}") for end in adapter.targets)}
    if missing := sorted(wanted - adapter.layers.keys()):
        raise _mismatch(adapter, f"the adapter has nothing for its layer {missing[0]}")
    found = {name: linear[name] for name in adapter.layers}
    shared = model.get_input_embeddings().weight
    for name, (weight, transposed) in found.items():
        _check_shape(adapter, name, tuple(weight.shape[::-1] if transposed else weight.shape))
        if weight is shared:
            raise ModelUnavailable(
                f"The adapter in {adapter.directory} changes {name}, whose weights are the embeddings, too.",
                "Save the model without tied weights, with the adapter merged, and enter its directory.",
            )
    return found


def _linear_layers(model: Any) -> dict[str, tuple[Any, bool]]:
    import torch
    from transformers.pytorch_utils import Conv1D  # GPT-2's linear layers, whose weights are transposed

    return {
        name: (layer.weight, isinstance(layer, Conv1D))
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear | Conv1D)
    }


def _check_shape(adapter: Adapter, name: str, shape: tuple[int, ...]) -> None:
    about: AdaptedLayer = adapter.layers[name]
    if shape != (about.outputs, about.inputs):
        raise _mismatch(
            adapter, f"{name} is {shape[0]} × {shape[1]}, and the adapter's is {about.outputs} × {about.inputs}"
        )


def _mismatch(adapter: Adapter, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"The adapter in {adapter.directory} does not fit its base model {adapter.base[:200]}: {why}.",
        "Check base_model_name_or_path in adapter_config.json: it must name the model that was fine-tuned.",
    )
