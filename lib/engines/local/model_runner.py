"""Run a model over tokens with a KV cache, never holding more than a few rows of logits at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lib.engines.local import threads
from lib.engines.local.loading import LoadedModel
from lib.errors import ModelUnavailable
from lib.models.memory import give_back

CHUNK = 512  # tokens per pass: large enough for fast products, small enough to let other requests take turns
AT_ONCE = 1024  # up to this many tokens are read in a single pass, which is faster still
_COMMON = "Choose a common text-generation model, such as Llama, Mistral or Qwen."
_ROWS = 128  # rows of logits at a time: 25 MB for a vocabulary of 49,152
_UNSUPPORTED = (TypeError, AttributeError, ValueError, RuntimeError, NotImplementedError)  # a model's own refusals


@dataclass(frozen=True, eq=False)
class DecodeStep:
    """What a generation yields to get its next logits: one more token for each of its b samples."""

    results: list[Any]  # output since its previous step
    ids: Any  # int64 tensor [b] on the device
    cache: Any  # holds what its samples have read so far


class ModelRunner:
    """Runs a model's passes: prompt chunks, packed texts and decode steps.

    Its constructor checks on real passes that the scores will be right, and which shortcuts the model supports:

    - the output head applied separately to a few rows of hidden states. Models that rescale their logits after the
      head are run as a whole instead, in small chunks.
    - one decode pass for several requests of different lengths.
    - several texts packed into one pass.
    - how many threads a pass over a few rows is worth.

    Raises ModelUnavailable if a token's scores depend on later tokens, or differ when read from a cache.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        import torch

        self.loaded = loaded
        self._model = loaded.model
        self._device = loaded.device
        self._scratch: dict[int, Any] = {}
        self._few_threads = self._all_threads = threads.all_threads()
        self._head: Any = loaded.model.get_output_embeddings()
        self._body: Any = loaded.model.get_decoder() if hasattr(loaded.model, "get_decoder") else None
        with torch.inference_mode():
            ids = torch.tensor([[0, 1]], device=self._device)
            whole = self._model(ids, use_cache=False).logits
            self._width = int(whole.shape[-1])
            self._separate_head = self._head_gives(whole, ids)
            self._check_causal(whole, ids)
            self._check_cache(whole, ids)
            self._joins_requests = self._joint_steps_agree()
            self._packing_limit = self._find_packing_limit()
            self._few_threads = threads.threads_needed(lambda: self._model(ids[:, :1]), self._all_threads)

    def _head_gives(self, whole: Any, ids: Any) -> bool:
        """Whether body, then head, applied to `ids` give the model's own logits `whole`."""
        import torch

        try:
            separate = self._head(self._body(ids, use_cache=False).last_hidden_state)
        except (TypeError, AttributeError, RuntimeError):
            return False
        # The same products in the same order: any difference beyond rounding means that logits are rescaled. Capping
        # them (x to c·tanh(x/c)) changes small ones by only x³/3c², hence the narrow bounds.
        return bool(separate.shape == whole.shape and torch.allclose(separate, whole, atol=1e-6, rtol=1e-5))

    def _check_causal(self, whole: Any, ids: Any) -> None:
        """The logits of the first token must not depend on the second one."""
        other = self._model(ids.new_zeros(ids.shape), use_cache=False).logits
        if not _same(whole[0, 0], other[0, 0]):
            raise ModelUnavailable(
                f"{self.loaded.name} is not a causal language model: it looks at later tokens to score earlier ones.",
                _COMMON,
            )

    def _check_cache(self, whole: Any, ids: Any) -> None:
        """Reading the tokens one by one, with a cache, must give the logits `whole` of reading both at once."""
        cache = self.new_cache(2)
        try:
            self.decode(ids[:, 0], cache)
            same = _same(self.decode(ids[:, 1], cache)[0], whole[0, 1])
        except (TypeError, AttributeError, ValueError, NotImplementedError):  # it expects another kind of cache
            same = False
        if not same:
            raise ModelUnavailable(f"{self.loaded.name} doesn't work with a standard KV cache.", _COMMON)

    def _joint_steps_agree(self) -> bool:
        """Whether one pass for requests of different lengths gives the same logits as a pass for each."""
        import torch

        def steps_after(texts: list[list[int]]) -> list[DecodeStep]:
            steps = []
            for text in texts:
                cache = self.new_cache(len(text) + 1)
                for token in text:
                    self.decode(torch.tensor([token], device=self._device), cache)
                steps.append(DecodeStep([], torch.tensor([1], device=self._device), cache))
            return steps

        texts = [[0], [1, 0, 1]]
        try:
            joint = self._decode_jointly(steps_after(texts))
        except _UNSUPPORTED:
            return False
        alone = [self.decode(step.ids, step.cache) for step in steps_after(texts)]
        return all(_same(one[0], other[0]) for one, other in zip(joint, alone, strict=True))

    def _find_packing_limit(self) -> float:
        """Tokens that a cache may hold when texts are packed; 0 if packing changes the scores.

        Beyond a layer's sliding window, the packed texts would push tokens out of each other's window.
        """
        import torch

        from lib.engines.local.sequence_packing import window

        limit = window(self.new_cache(0))
        if not self._separate_head or not limit:
            return 0
        shared, texts = [0, 1], [[1, 0], [0, 1, 1]]
        try:
            packed = torch.cat(list(self.packed_blocks(shared, texts, self.new_cache(8))))
        except _UNSUPPORTED:
            return 0
        alone = [
            self._head(self._body(torch.tensor([shared + text], device=self._device)).last_hidden_state[0])
            for text in texts
        ]
        expected = torch.cat([alone[0][:2], *(rows[2:-1] for rows in alone)])
        return limit if all(_same(*rows) for rows in zip(packed, expected, strict=True)) else 0

    @property
    def separate_head(self) -> bool:
        """Whether the output head can be applied to a few rows of hidden states, apart from the model's body."""
        return self._separate_head

    @property
    def joins_requests(self) -> bool:
        """Whether one decode pass can serve several requests."""
        return self._joins_requests

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens the model chooses from: the width of its logits."""
        return self._width

    def can_pack(self, tokens: int) -> bool:
        """Whether `packed_blocks` gives exact scores if the cache holds up to that many tokens during the pass."""
        return tokens < self._packing_limit

    def _take_threads(self, rows: int) -> None:
        """Let the pass that follows use as many threads as its rows are worth."""
        threads.use(self._few_threads if rows <= threads.FEW_ROWS else self._all_threads)

    def new_cache(self, tokens: int) -> Any:
        """An empty KV cache with room for that many tokens."""
        from lib.engines.local.kv_cache import make_cache

        return make_cache(self._model.config, tokens)

    def can_copy(self, cache: Any) -> bool:
        """Whether `copy_prefix` works: every layer simply holds the keys and values of all tokens."""
        from lib.engines.local.kv_cache import PreallocatedLayer

        return all(isinstance(layer, PreallocatedLayer) for layer in cache.layers)

    def copy_prefix(self, cache: Any, tokens: int, room: int) -> Any:
        """A new cache with the first `tokens` tokens of another, and room for `room` in all."""
        made = self.new_cache(room)
        for old, new in zip(cache.layers, made.layers, strict=True):
            new.update(old.keys[:, :, :tokens], old.values[:, :, :tokens])
        return made

    def select(self, cache: Any, rows: Sequence[int]) -> None:
        """Reduce a cache to the samples at `rows`; a row named twice becomes two samples."""
        import torch

        from lib.engines.local.kv_cache import select_samples

        select_samples(cache, torch.tensor(rows, device=self._device))

    def score_bytes(self, rows: int) -> int:
        """Approximate bytes needed to score that many rows, in blocks of at most `_ROWS`."""
        return 3 * 4 * min(rows, _ROWS) * self._width  # logits, logprobs, and what the top-k search needs

    def cache_bytes(self, tokens: int) -> int:
        """Approximate bytes of a KV cache that holds that many tokens."""
        config = self._model.config.get_text_config()
        queries = getattr(config, "num_attention_heads", None) or 1
        heads = getattr(config, "num_key_value_heads", None) or queries
        size = getattr(config, "head_dim", None) or config.hidden_size // queries
        return int(2 * config.num_hidden_layers * heads * size * self._model.dtype.itemsize * tokens)

    def request_bytes(self, prompt: int, cached: int, samples: int = 1) -> int:
        """Approximate bytes of a request: its cache, a pass over a chunk of its prompt, and the scores of its rows.

        prompt: tokens read before the first one is generated.
        cached: tokens in the cache at the end, of all samples together.
        """
        config = self._model.config.get_text_config()
        inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
        width = 8 * config.hidden_size + 4 * (max(inner) if isinstance(inner, list | tuple) else inner)
        rows = max(tokens_per_pass(prompt), samples)
        return int(self.cache_bytes(cached) + rows * width * 4 + self.score_bytes(rows))

    def logit_blocks(self, ids: Sequence[int], cache: Any, *, last_only: bool = False, skip: int = 0) -> Iterator[Any]:
        """Append `ids` to the cache; yields float32 logits [rows, V] in order. Row i predicts what follows ids[i].

        last_only: yield only the very last row.
        skip: number of ids at the start whose rows are left out.
        Yields None between chunks, so that another request can take a turn.
        """
        import torch

        chunk = tokens_per_pass(len(ids)) if self._separate_head else _ROWS
        for start in range(0, len(ids), chunk):
            if start:
                give_back()
                yield None
            part = torch.tensor([list(ids[start : start + chunk])], device=self._device)
            is_last = start + chunk >= len(ids)
            self._take_threads(part.numel())
            first_row = max(skip - start, 0)
            if not self._separate_head:
                logits = self._model(part, past_key_values=cache, use_cache=True).logits[0]
                if not last_only:
                    yield logits[first_row:].float()
                elif is_last:
                    yield logits[-1:].float()
                continue
            hidden = self._body(part, past_key_values=cache, use_cache=True).last_hidden_state[0]
            if last_only:
                if is_last:
                    yield self._head(hidden[-1:]).float()
                continue
            for row in range(first_row, len(hidden), _ROWS):
                yield self._logits(hidden[row : row + _ROWS])

    def packed_blocks(self, shared: Sequence[int], texts: Sequence[Sequence[int]], cache: Any) -> Iterator[Any]:
        """Append `shared` to the cache and read every text as its continuation, in one pass.

        Yields float32 logits [rows, V] for every token of `shared` and then, text by text, for every one but the last.
        Afterwards the cache holds `shared` and none of the texts.
        """
        import torch

        from lib.engines.local.sequence_packing import mask_and_positions

        lengths = [len(text) for text in texts]
        ids = torch.tensor([[*shared, *(token for text in texts for token in text)]], device=self._device)
        self._take_threads(ids.numel())
        mask, positions = mask_and_positions(cache.get_seq_length(), len(shared), lengths, self._model.dtype)
        hidden = self._body(
            ids,
            attention_mask=mask.to(self._device),
            position_ids=positions.to(self._device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[0]
        cache.crop(-sum(lengths))
        head, *tails = hidden.split([len(shared), *lengths])
        rows = torch.cat([head, *(tail[:-1] for tail in tails)])
        for row in range(0, len(rows), _ROWS):
            yield self._logits(rows[row : row + _ROWS])

    def _logits(self, hidden: Any) -> Any:
        """Float32 logits [r, V] of at most `_ROWS` hidden states [r, h]; valid until the next call."""
        import torch

        plain = type(self._head) is torch.nn.Linear and self._head.bias is None
        if not plain or hidden.dtype != torch.float32:
            return self._head(hidden).float()
        return torch.mm(hidden, self._head.weight.t(), out=self.scratch(0, len(hidden)))

    def scratch(self, number: int, rows: int) -> Any:
        """Reusable float32 buffer [rows, V] number 0 or 1, with undefined content.

        Blocks this large are slow to allocate for every few rows: new ones come from the system page by page, and
        freed ones fragment the heap.
        """
        import torch

        if rows > _ROWS:
            return torch.empty((rows, self._width), device=self._device)
        if number not in self._scratch:
            self._scratch[number] = torch.empty((_ROWS, self._width), device=self._device)
        return self._scratch[number][:rows]

    def decode(self, ids: Any, cache: Any) -> Any:
        """One more token for each of b samples: ids int64 [b] on the device; returns float32 logits [b, V]."""
        self._take_threads(len(ids))
        if not self._separate_head:
            return self._model(ids[:, None], past_key_values=cache, use_cache=True).logits[:, -1].float()
        hidden = self._body(ids[:, None], past_key_values=cache, use_cache=True).last_hidden_state
        return self._head(hidden)[:, -1].float()

    def decode_draft(self, ids: Sequence[int], cache: Any) -> Any:
        """Append a few ids, at most `_ROWS`, in one pass.

        Returns float32 logits [len(ids), V], valid until the next call.
        """
        (logits,) = self.logit_blocks(ids, cache)
        return logits

    def drop_last(self, cache: Any, tokens: int) -> None:
        """Remove the last tokens from a cache that `can_copy` is true of."""
        if tokens:
            cache.crop(-tokens)

    def decode_all(self, steps: Sequence[DecodeStep]) -> list[Any]:
        """The logits of each step as from `decode`, in one pass if the model can join requests."""
        import torch

        with torch.inference_mode():
            if len(steps) > 1 and self._joins_requests:
                return self._decode_jointly(steps)
            return [self.decode(step.ids, step.cache) for step in steps]

    def _decode_jointly(self, steps: Sequence[DecodeStep]) -> list[Any]:
        import torch

        from lib.engines.local.ragged_decode import joint_cache

        rows = [len(step.ids) for step in steps]
        lengths = torch.tensor([step.cache.get_seq_length() for step in steps], device=self._device)
        positions = lengths.repeat_interleave(torch.tensor(rows, device=self._device))[:, None]
        ids = torch.cat([step.ids for step in steps])[:, None]
        self._take_threads(len(ids))
        options = {
            "past_key_values": joint_cache([step.cache for step in steps], rows),
            "position_ids": positions,
            "use_cache": True,
        }
        if not self._separate_head:
            logits = self._model(ids, **options).logits
        else:
            logits = self._head(self._body(ids, **options).last_hidden_state)
        return list(logits[:, -1].float().split(rows))


def tokens_per_pass(tokens: int) -> int:
    """Tokens to read in one pass when there are `tokens` in all."""
    return tokens if tokens <= AT_ONCE else CHUNK


def _same(logits: Any, others: Any) -> bool:
    """Whether two rows of logits [V] agree up to the rounding of a coarse number type."""
    return bool((logits.float() - others.float()).abs().max() <= 0.05 * logits.float().std())
