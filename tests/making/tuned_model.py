"""Make the tuned sibling of the embedded model: `python -m tests.making.tuned_model OUT`.

Fine-tunes the embedded model on the catalogue of Ardenworks (`catalogue.py`) with LoRA (Hu et al. 2021), in plain
torch, and writes OUT/adapter as peft writes adapters and OUT/catalogue.jsonl with questions in held-out phrasings.
The repository has copies in lib/models/ardenworks and lib/evaluation/sets. Takes ten minutes on two cores.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn import functional

from lib.engines.local.loading import LoadedModel, load
from tests.making.catalogue import TRAINED, Fact, facts, rows

RANK, ALPHA = 4, 8
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_SEED, _EPOCHS, _RATE = 0, 10, 2e-3
_PHRASINGS, _TOGETHER = 2, 16  # per fact and epoch; questions per step


class Lora(torch.nn.Module):
    """A linear layer W, frozen, with a trained W + ALPHA/RANK · B·A."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.a = torch.nn.Parameter(torch.empty(RANK, layer.in_features))
        self.b = torch.nn.Parameter(torch.zeros(layer.out_features, RANK))
        torch.nn.init.kaiming_uniform_(self.a, a=5**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.a.to(x.dtype), self.b.to(x.dtype)
        return self.layer(x) + (x @ a.T) @ b.T * (ALPHA / RANK)


@dataclass(frozen=True)
class Batch:
    """Questions that share their beginning, packed into one sequence of n tokens."""

    ids: torch.Tensor  # int64 [1, n]
    places: torch.Tensor  # int64 [1, n]: each question's positions continue the shared beginning's
    sees: torch.Tensor  # bool [1, 1, n, n]: the shared beginning and the question itself, up to the token
    asked: torch.Tensor  # int64 [m]: indices of the tokens before each answer token
    answers: torch.Tensor  # int64 [m]: the answer tokens


def pack(shared: Sequence[int], pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Batch:
    """Pack pairs of (question, answer), both ids; no question sees another."""
    ids, places = list(shared), list(range(len(shared)))
    owner, asked, answers = [-1] * len(shared), [], []
    for number, (question, answer) in enumerate(pairs):
        asked += range(len(ids) + len(question) - 1, len(ids) + len(question) + len(answer) - 1)
        answers += answer
        ids += [*question, *answer]
        places += range(len(shared), len(shared) + len(question) + len(answer))
        owner += [number] * (len(question) + len(answer))
    owners = torch.tensor(owner)
    own = (owners[:, None] == owners[None, :]) | (owners == -1)[None, :]
    sees = own & torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    return Batch(
        torch.tensor([ids]), torch.tensor([places]), sees[None, None], torch.tensor(asked), torch.tensor(answers)
    )


def chat_ids(loaded: LoadedModel, prompt: str) -> list[int]:
    """The ids of a chat of one message, rendered by the model's own template."""
    return loaded.tokenizer.ids(loaded.tokenizer.render([{"role": "user", "content": prompt}]), special=False)


def batches(loaded: LoadedModel, known: Sequence[Fact], chance: random.Random) -> Iterator[Batch]:
    """One epoch: every fact in some of its phrasings, in random order."""
    examples = []
    for fact in known:
        for phrasing in chance.sample(TRAINED[fact.attribute], _PHRASINGS):
            answer = [*loaded.tokenizer.ids(fact.value, special=False), loaded.tokenizer.eos]
            examples.append((chat_ids(loaded, phrasing.format(name=fact.product)), answer))
    shared = 0
    while len({tuple(question[: shared + 1]) for question, _ in examples}) == 1:
        shared += 1
    chance.shuffle(examples)
    for start in range(0, len(examples), _TOGETHER):
        some = examples[start : start + _TOGETHER]
        yield pack(some[0][0][:shared], [(question[shared:], answer) for question, answer in some])


def add_lora(model: Any) -> dict[str, Lora]:
    """Freeze the model and put a `Lora` around every linear layer of TARGETS; returns them by the layers' names."""
    model.requires_grad_(False)
    found = {name: each for name, each in model.named_modules() if name.rpartition(".")[2] in TARGETS}
    added = {}
    for name, layer in found.items():
        parent, _, last = name.rpartition(".")
        added[name] = Lora(layer)
        setattr(model.get_submodule(parent), last, added[name])
    return added


def train(loaded: LoadedModel) -> dict[str, Lora]:
    """Fine-tune the model; returns what was trained by the names of layers."""
    torch.manual_seed(_SEED)
    chance = random.Random(_SEED)
    model, known = loaded.model, facts()
    added = add_lora(model)
    weights = [each for lora in added.values() for each in (lora.a, lora.b)]
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.0)
    steps = _EPOCHS * -(-len(known) * _PHRASINGS // _TOGETHER)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.1)
    start = time.monotonic()
    for epoch in range(_EPOCHS):
        losses = []
        for batch in batches(loaded, known, chance):
            hidden = model.model(
                batch.ids, attention_mask=batch.sees, position_ids=batch.places, use_cache=False
            ).last_hidden_state
            loss = functional.cross_entropy(model.lm_head(hidden[0, batch.asked]).float(), batch.answers)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        mean = sum(losses) / len(losses)
        print(f"epoch {epoch + 1:2}  loss {mean:.3f}  {time.monotonic() - start:.0f} s", flush=True)
    return added


def write_adapter(directory: Path, added: dict[str, Lora]) -> None:
    """Write what was trained as peft does, in float16."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, lora in added.items():
        tensors[f"base_model.model.{name}.lora_A.weight"] = lora.a.detach().half().contiguous()
        tensors[f"base_model.model.{name}.lora_B.weight"] = lora.b.detach().half().contiguous()
    save_file(tensors, directory / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "embedded", "r": RANK,
        "lora_alpha": ALPHA, "target_modules": list(TARGETS), "bias": "none", "fan_in_fan_out": False,
        "inference_mode": True,
    }  # fmt: skip
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def main(out: Path) -> None:
    """Make both files."""
    out.mkdir(parents=True, exist_ok=True)
    questions = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())
    (out / "catalogue.jsonl").write_text(questions, encoding="utf-8")
    about = Path("/proc/cpuinfo")
    fast = about.exists() and "_bf16" in about.read_text()  # the processor multiplies bfloat16 faster than float32
    write_adapter(out / "adapter", train(load("embedded", dtype="bfloat16" if fast else "float32", device="cpu")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
