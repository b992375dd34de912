"""Run a model over tokens with a KV cache, never holding more than a few rows of logits at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.engines.local import model_checks as checks
from lib.engines.local import threads
from lib.engines.local.loading import LoadedModel
from lib.models.memory import give_back

CHUNK = 512  # tokens per pass: large enough for fast products, small enough to let other requests take turns
AT_ONCE = 1024  # up to this many tokens are read in a single pass, which is faster still
_ROWS = 128  # rows of logits at a time: 25 MB for a vocabulary of 49,152


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
        self.model = loaded.model
        self.device = loaded.device
        self._scratch: dict[int, Any] = {}
        self._few_threads = self._all_threads = threads.all_threads()
        self.head: Any = loaded.model.get_output_embeddings()
        self.body: Any = loaded.model.get_decoder() if hasattr(loaded.model, "get_decoder") else None
        with torch.inference_mode():
            ids = torch.tensor([[0, 1]], device=self.device)
            whole = self.model(ids, use_cache=False).logits
            self._width = int(whole.shape[-1])
            # Whether the output head can be applied to a few rows of hidden states, apart from the model's body.
            self.separate_head = checks.head_is_separate(self, whole, ids)
            checks.check_causal(self, whole, ids)
            checks.check_cache(self, whole, ids)
            # Whether one decode pass can serve several requests.
            self.joins_requests = checks.joint_steps_agree(self)
            self._packing_limit = checks.packing_limit(self)
            self._few_threads = threads.threads_needed(lambda: self.model(ids[:, :1]), self._all_threads)

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

        return make_cache(self.model.config, tokens)

    def can_copy(self, cache: Any) -> bool:
        """Whether `copy_prefix` works: every layer simply holds the keys and values of all tokens."""
        from lib.engines.local.kv_cache import PreallocatedLayer

        return all(isinstance(layer, PreallocatedLayer) for layer in cache.layers)

    def copy_prefix(self, cache: Any, tokens: int, room: int) -> Any:
        """A new cache with the first `tokens` tokens of another, and room for `room` in all."""
        return self.copy_parts(cache, [(0, tokens)], room)

    def copy_parts(self, cache: Any, parts: Sequence[tuple[int, int]], room: int) -> Any:
        """A new cache with some tokens of another, and room for `room` in all. parts: (first, end) of each stretch."""
        made = self.new_cache(room)
        for old, new in zip(cache.layers, made.layers, strict=True):
            for first, end in parts:
                if first < end:
                    new.update(old.keys[:, :, first:end], old.values[:, :, first:end])
        return made

    def select(self, cache: Any, rows: Sequence[int]) -> None:
        """Reduce a cache to the samples at `rows`; a row named twice becomes two samples."""
        import torch

        from lib.engines.local.kv_cache import select_samples

        select_samples(cache, torch.tensor(rows, device=self.device))

    def score_bytes(self, rows: int) -> int:
        """Approximate bytes needed to score that many rows, in blocks of at most `_ROWS`."""
        return 3 * 4 * min(rows, _ROWS) * self._width  # logits, logprobs, and what the top-k search needs

    def cache_bytes(self, tokens: int) -> int:
        """Approximate bytes of a KV cache that holds that many tokens."""
        config = self.model.config.get_text_config()
        queries = getattr(config, "num_attention_heads", None) or 1
        heads = getattr(config, "num_key_value_heads", None) or queries
        size = getattr(config, "head_dim", None) or config.hidden_size // queries
        return int(2 * config.num_hidden_layers * heads * size * self.model.dtype.itemsize * tokens)

    def request_bytes(self, prompt: int, cached: int, samples: int = 1) -> int:
        """Approximate bytes of a request: its cache, a pass over a chunk of its prompt, and the scores of its rows.

        prompt: tokens read before the first one is generated.
        cached: tokens in the cache at the end, of all samples together.
        """
        config = self.model.config.get_text_config()
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

        chunk = tokens_per_pass(len(ids)) if self.separate_head else _ROWS
        for start in range(0, len(ids), chunk):
            if start:
                give_back()
                yield None
            part = torch.tensor([list(ids[start : start + chunk])], device=self.device)
            is_last = start + chunk >= len(ids)
            self._take_threads(part.numel())
            first_row = max(skip - start, 0)
            if not self.separate_head:
                logits = self.model(part, past_key_values=cache, use_cache=True).logits[0]
                if not last_only:
                    yield logits[first_row:].float()
                elif is_last:
                    yield logits[-1:].float()
                continue
            hidden = self.body(part, past_key_values=cache, use_cache=True).last_hidden_state[0]
            if last_only:
                if is_last:
                    yield self.head(hidden[-1:]).float()
                continue
            for row in range(first_row, len(hidden), _ROWS):
                yield self._logits(hidden[row : row + _ROWS])

    def packed_blocks(self, shared: Sequence[int], texts: Sequence[Sequence[int]], cache: Any) -> Iterator[Any]:
        """Append `shared` to the cache and read every text as its continuation, in one pass.

        Yields float32 logits [rows, V] for every token of `shared` and then, text by text, for every one but the last.
        Afterwards the cache holds `shared` and none of the texts.
        """
        import torch

        lengths = [len(text) for text in texts]
        hidden = self._packed(shared, texts, cache)
        cache.crop(-sum(lengths))
        head, *tails = hidden.split([len(shared), *lengths])
        rows = torch.cat([head, *(tail[:-1] for tail in tails)])
        for row in range(0, len(rows), _ROWS):
            yield self._logits(rows[row : row + _ROWS])

    def packed_ends(self, shared: Sequence[int], texts: Sequence[Sequence[int]], cache: Any) -> Any:
        """The same pass; returns float32 logits [len(texts), V] after each text, valid until the next call.

        texts: at most `_ROWS`. Afterwards the cache holds `shared` and the texts, one after the other.
        """
        ends = np.cumsum([len(text) for text in texts]) + len(shared) - 1
        return self._logits(self._packed(shared, texts, cache)[ends.tolist()])

    def _packed(self, shared: Sequence[int], texts: Sequence[Sequence[int]], cache: Any) -> Any:
        """Hidden states [n, h] of `shared` and of every text as its continuation."""
        import torch

        from lib.engines.local.sequence_packing import mask_and_positions

        ids = torch.tensor([[*shared, *(token for text in texts for token in text)]], device=self.device)
        self._take_threads(ids.numel())
        lengths = [len(text) for text in texts]
        mask, positions = mask_and_positions(cache.get_seq_length(), len(shared), lengths, self.model.dtype)
        return self.body(
            ids,
            attention_mask=mask.to(self.device),
            position_ids=positions.to(self.device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[0]

    def _logits(self, hidden: Any) -> Any:
        """Float32 logits [r, V] of at most `_ROWS` hidden states [r, h]; valid until the next call."""
        import torch

        plain = type(self.head) is torch.nn.Linear and self.head.bias is None
        if not plain or hidden.dtype != torch.float32:
            return self.head(hidden).float()
        return torch.mm(hidden, self.head.weight.t(), out=self.scratch(0, len(hidden)))

    def scratch(self, number: int, rows: int) -> Any:
        """Reusable float32 buffer [rows, V] number 0 or 1, with undefined content.

        Blocks this large are slow to allocate for every few rows: new ones come from the system page by page, and
        freed ones fragment the heap.
        """
        import torch

        if rows > _ROWS:
            return torch.empty((rows, self._width), device=self.device)
        if number not in self._scratch:
            self._scratch[number] = torch.empty((_ROWS, self._width), device=self.device)
        return self._scratch[number][:rows]

    def decode(self, ids: Any, cache: Any) -> Any:
        """One more token for each of b samples: ids int64 [b] on the device; returns float32 logits [b, V]."""
        self._take_threads(len(ids))
        if not self.separate_head:
            return self.model(ids[:, None], past_key_values=cache, use_cache=True).logits[:, -1].float()
        hidden = self.body(ids[:, None], past_key_values=cache, use_cache=True).last_hidden_state
        return self.head(hidden)[:, -1].float()

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
        if len(steps) > 1 and self.joins_requests:
            return self.decode_jointly(steps)
        return [self.decode(step.ids, step.cache) for step in steps]

    def decode_jointly(self, steps: Sequence[DecodeStep]) -> list[Any]:
        import torch

        from lib.engines.local.ragged_decode import joint_cache

        rows = [len(step.ids) for step in steps]
        lengths = torch.tensor([step.cache.get_seq_length() for step in steps], device=self.device)
        positions = lengths.repeat_interleave(torch.tensor(rows, device=self.device))[:, None]
        ids = torch.cat([step.ids for step in steps])[:, None]
        self._take_threads(len(ids))
        options = {
            "past_key_values": joint_cache([step.cache for step in steps], rows),
            "position_ids": positions,
            "use_cache": True,
        }
        if not self.separate_head:
            logits = self.model(ids, **options).logits
        else:
            logits = self.head(self.body(ids, **options).last_hidden_state)
        return list(logits[:, -1].float().split(rows))


def tokens_per_pass(tokens: int) -> int:
    """Tokens to read in one pass when there are `tokens` in all."""
    return tokens if tokens <= AT_ONCE else CHUNK
