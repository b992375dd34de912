"""Models of a few kilobytes: random ones of many architectures, and one with probabilities set by the test."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lib.tokenizers.built import Built, Template
from lib.tokenizers.hugging_face import from_backend

EOS, BOS, THINK, THOUGHT, USER = 256, 257, 258, 259, 260
VOCABULARY = 264  # 256 bytes, five special tokens, and three ids that no text contains
SPECIALS = {EOS: "</s>", BOS: "<s>", THINK: "<think>", THOUGHT: "</think>", USER: "<|user|>"}
CHAT = (
    "{% for m in messages %}<|user|>{{ m.role }}:{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}>{% endif %}"
)

Merges = Sequence[tuple[bytes, bytes]]

_LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
_GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 2048,
    "bos_token_id": None,
    "eos_token_id": None,
}
_CAPPED = {"head_dim": 8, "sliding_window": 64, "final_logit_softcapping": 5.0, "attn_logit_softcapping": 5.0}
_RECURRENT = {
    "head_dim": 8,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "layer_types": ["linear_attention", "full_attention"],
}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", _LLAMA),  # grouped key-value heads
    "mistral": ("mistral", {**_LLAMA, "sliding_window": 64}),
    "qwen2": ("qwen2", _LLAMA),  # biases
    "qwen3": ("qwen3", {**_LLAMA, "head_dim": 8}),  # norms inside the attention
    "gemma2": ("gemma2", {**_LLAMA, **_CAPPED}),  # logits are capped after the head; eager attention
    "cohere": ("cohere", {**_LLAMA, "logit_scale": 0.5}),  # logits are scaled after the head
    "gpt2": ("gpt2", _GPT2),  # learned positions
    "gpt_bigcode": ("gpt_bigcode", {**_GPT2, "multi_query": True}),  # one key-value head
    "qwen3_next": ("qwen3_next", {**_LLAMA, **_RECURRENT}),  # a running state that cannot be rewound
}


def make_tokenizer(*, bos: bool = False, eos: bool = False, chat: str | None = None, merges: Merges = ()) -> Any:
    """A byte-level tokenizer: one token per byte, except for `merges`.

    bos, eos: whether these tokens are added around a raw text.
    merges: each takes the id of a byte that no UTF-8 text contains (0xC0, 0xC1, 0xF5 …), so there can be only a few.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    from lib.tokenizers.vocabulary import byte_alphabet

    letters = {byte: letter for letter, byte in byte_alphabet().items()}
    names = {byte: letters[byte] for byte in range(256)}
    free = iter([0xC0, 0xC1, *range(0xF5, 0x100)])
    pairs = []
    for merge in merges:
        left, right = ("".join(letters[byte] for byte in part) for part in merge)
        names[next(free)] = left + right
        pairs.append((left, right))
    vocabulary = {name: number for number, name in names.items()}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_tokens([AddedToken(SPECIALS[THINK], special=False), AddedToken(SPECIALS[THOUGHT], special=False)])
    # `add_tokens` numbers them from the end of the vocabulary, here 256; this sets the ids of SPECIALS instead.
    backend = Tokenizer.from_str(_with_added_tokens(backend.to_str()))
    if bos or eos:
        single = f"{'<s> ' if bos else ''}$A{' </s>' if eos else ''}"
        backend.post_processor = processors.TemplateProcessing(
            single=single, special_tokens=[("<s>", BOS), ("</s>", EOS)]
        )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = chat
    return tokenizer


def built(*, bos: bool = False, chat: str | None = None, merges: Merges = ()) -> Built:
    """`make_tokenizer` as Candor uses it."""
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = make_tokenizer(bos=bos, merges=merges)
    return from_backend(tokenizer.backend_tokenizer, names, None if chat is None else Template(chat, names))


def _with_added_tokens(text: str) -> str:
    import json

    spec = json.loads(text)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    spec["added_tokens"] = [
        {"id": number, "content": content, "special": number not in (THINK, THOUGHT), **flags}
        for number, content in SPECIALS.items()
    ]
    return json.dumps(spec)


def make_random(directory: Path, architecture: str, *, sharp: float = 8.0, seed: int = 0, **changes: Any) -> Path:
    """A random model with a tokenizer. sharp: factor on its weights, which makes its predictions less uniform."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, values = ARCHITECTURES.get(architecture, (architecture, _LLAMA))
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**values, **changes}))
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.mul_(sharp)
    return _save(directory, model, make_tokenizer())


def make_markov(
    directory: Path,
    logits: np.ndarray,
    *,
    eos: int | list[int] | None = EOS,
    context: int = 512,
    tokenizer: Any = None,
) -> Path:
    """A model that samples the next token from softmax(logits[last token]) and ignores all else.

    logits: float[VOCABULARY, VOCABULARY]. Its embeddings are unit vectors, its layers add nothing.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **{**_LLAMA, "hidden_size": VOCABULARY, "intermediate_size": 8, "num_hidden_layers": 1},
    )
    config.max_position_embeddings, config.eos_token_id = context, eos
    model = LlamaForCausalLM(config)
    norm = 1 / np.sqrt(1 / VOCABULARY + config.rms_norm_eps)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(torch.eye(VOCABULARY))
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.copy_(torch.tensor(logits.T / norm))
    return _save(directory, model, make_tokenizer() if tokenizer is None else tokenizer)


def chain(*texts: str, odds: float = 20.0, follow: Mapping[int, int] | None = None) -> np.ndarray:
    """Logits that make every byte of a text almost certain to follow the one before. follow: more such pairs of ids."""
    logits = np.zeros((VOCABULARY, VOCABULARY))
    for text in texts:
        blob = text.encode()
        for here, there in itertools.pairwise(blob):
            logits[here, there] = odds
    for here, there in (follow or {}).items():
        logits[here, there] = odds
    return logits


def make_gguf(
    path: Path,
    pre: str | None = "smollm",
    *,
    fields: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray | None] | None = None,
    tokenizer: Mapping[str, Any] | None = None,
) -> Path:
    """A small Llama model as a GGUF file.

    pre: name of its pre-tokenizer.
    fields: additional metadata.
    tensors: additional tensors by name; None removes one.
    tokenizer: all of its tokenizer's fields, named without the "tokenizer." prefix.
    """
    from gguf import GGUFWriter

    told = gguf_bytes(pre) if tokenizer is None else dict(tokenizer)
    size = len(told["ggml.tokens"])
    rng = np.random.default_rng(0)
    weights: dict[str, Any] = {
        f"{name}.weight": (np.ones(shape) if len(shape) == 1 else rng.normal(size=shape)).astype(np.float32)
        for name, shape in _gguf_tensors(size).items()
    } | dict(tensors or {})
    writer = GGUFWriter(path, "llama")
    writer.add_layer_norm_rms_eps(1e-5)
    sizes = {"context_length": 512, "embedding_length": 32, "block_count": 2, "feed_forward_length": 48,
             "attention.head_count": 4, "attention.head_count_kv": 2, "rope.dimension_count": 8}  # fmt: skip
    everything = {f"llama.{name}": value for name, value in sizes.items()}
    everything |= {"llama.vocab_size": size, **{f"tokenizer.{name}": value for name, value in told.items()}}
    for name, value in (everything | dict(fields or {})).items():
        add_field(writer, name, value)
    for name, values in weights.items():
        if values is not None:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_bytes(pre: str | None) -> dict[str, Any]:
    """The fields of a byte-level tokenizer with two merges."""
    from lib.tokenizers.vocabulary import byte_alphabet

    letters = sorted(byte_alphabet(), key=lambda letter: byte_alphabet()[letter])
    double = letters[ord(" ")] * 2
    letters[0xC0], letters[0xC1] = "12", double  # merges replace two bytes that no text contains
    told = {"ggml.model": "gpt2", "ggml.tokens": letters, "ggml.token_type": [1] * len(letters),
            "ggml.merges": ["1 2", f"{double[0]} {double[0]}"], "ggml.eos_token_id": 0}  # fmt: skip
    return told if pre is None else told | {"ggml.pre": pre}


def add_field(writer: Any, name: str, value: Any) -> None:
    kinds = {bool: "bool", int: "uint32", float: "float32", str: "string", list: "array"}
    getattr(writer, f"add_{kinds[type(value)]}")(name, value)


def _gguf_tensors(vocabulary: int) -> dict[str, tuple[int, ...]]:
    names: dict[str, tuple[int, ...]] = {
        "token_embd": (vocabulary, 32), "output_norm": (32,), "output": (vocabulary, 32)
    }  # fmt: skip
    for layer in range(2):
        shapes: dict[str, tuple[int, ...]] = {
            "attn_norm": (32,), "attn_q": (32, 32), "attn_k": (16, 32), "attn_v": (16, 32), "attn_output": (32, 32),
            "ffn_norm": (32,), "ffn_gate": (48, 32), "ffn_up": (48, 32), "ffn_down": (32, 48),
        }  # fmt: skip
        names |= {f"blk.{layer}.{name}": shape for name, shape in shapes.items()}
    return names


def _save(directory: Path, model: Any, tokenizer: Any) -> Path:
    model.generation_config.eos_token_id = model.config.eos_token_id
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
