"""Running a model over tokens: cached hidden states in, logits out, never more than a few rows of logits at a time."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.tokens import Tokens, make_tokens
from lib.engines.local.loading import LoadedModel
from lib.errors import ModelUnavailable
from lib.models.memory import give_back

CHUNK = 512  # tokens per pass: large enough for fast products, small enough to let others have their turn
AT_ONCE = 1024  # … but up to this many are read in one pass, which is faster still
_COMMON = "Choose a model of a common kind that writes text, such as Llama, Mistral or Qwen."
_ROWS = 128  # rows of logits at a time: 25 MB for a vocabulary of 49,152


@dataclass(frozen=True, eq=False)
class PositionScores:
    """What the model thought of r positions, as numpy columns; `Tokens` documents shapes and units."""

    logprobs: NDArray[np.float32]
    ranks: NDArray[np.int32]
    top_ids: NDArray[np.int32]
    top_logprobs: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DecodeStep:
    """What a generation yields when it needs its next logits: one more token, ids int64[b], for each of its samples.

    results: what has come since its last step. cache: holds what its samples have read so far.
    """

    results: list[Any]
    ids: Any
    cache: Any


class ModelRunner:
    """Reads tokens with a model.

    At construction it checks, on a real pass, that the output head applied to hidden states gives the model's own
    logits. Models that rescale their logits elsewhere fail that check and are run as a whole instead, in small chunks.

    Raises ModelUnavailable for a model whose scores depend on what follows a token, or not on what its cache holds.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        import torch

        self._model = loaded.model
        self._device = loaded.device
        self._scratch: dict[int, Any] = {}
        self._head: Any = loaded.model.get_output_embeddings()
        self._body: Any = loaded.model.get_decoder() if hasattr(loaded.model, "get_decoder") else None
        with torch.inference_mode():
            ids = torch.tensor([[0, 1]], device=self._device)
            whole = self._model(ids, use_cache=False).logits
            self._width = int(whole.shape[-1])
            self._apart = self._head_gives(whole, ids)
            self._check_causal(loaded.name, whole, ids)
            self._check_cache(loaded.name, whole, ids)
            self._joins = self._joint_steps_agree()
            self._together = self._most_together()

    def _head_gives(self, whole: Any, ids: Any) -> bool:
        """Whether head and body, called one after the other on `ids`, give the logits `whole`."""
        import torch

        try:
            apart = self._head(self._body(ids, use_cache=False).last_hidden_state)
        except (TypeError, AttributeError, RuntimeError):
            return False
        # The same products in the same order: anything but rounding means that logits are rescaled. Capping them
        # (x to c·tanh(x/c)) changes small ones by x³/3c² only, hence the narrow bounds.
        return bool(apart.shape == whole.shape and torch.allclose(apart, whole, atol=1e-6, rtol=1e-5))

    def _check_causal(self, name: str, whole: Any, ids: Any) -> None:
        """What is said of the first token must not depend on the second one."""
        other = self._model(ids.new_zeros(ids.shape), use_cache=False).logits
        if not _same(whole[0, 0], other[0, 0]):
            raise ModelUnavailable(
                f"{name} is no causal language model: it looks at later tokens to score earlier ones.", _COMMON
            )

    def _check_cache(self, name: str, whole: Any, ids: Any) -> None:
        """Reading the tokens one by one, with a cache, must give the logits `whole` of reading both at once."""
        cache = self.new_cache(2)
        try:
            self.step(ids[:, 0], cache)
            same = _same(self.step(ids[:, 1], cache)[0], whole[0, 1])
        except (TypeError, AttributeError, ValueError, NotImplementedError):  # a cache of another kind is expected
            same = False
        if not same:
            raise ModelUnavailable(f"{name} cannot go on from where it stopped reading.", _COMMON)

    def _joint_steps_agree(self) -> bool:
        """Whether one pass for requests of different lengths gives each what a pass of its own would."""
        import torch

        def read(texts: list[list[int]]) -> list[DecodeStep]:
            steps = []
            for text in texts:
                cache = self.new_cache(len(text) + 1)
                for token in text:
                    self.step(torch.tensor([token], device=self._device), cache)
                steps.append(DecodeStep([], torch.tensor([1], device=self._device), cache))
            return steps

        texts = [[0], [1, 0, 1]]
        try:
            together = self._joint(read(texts))
        except (TypeError, AttributeError, ValueError, RuntimeError, NotImplementedError):
            return False
        alone = [self.step(each.ids, each.cache) for each in read(texts)]
        return all(_same(one[0], other[0]) for one, other in zip(together, alone, strict=True))

    def _most_together(self) -> float:
        """How many tokens a cache may come to where texts are read together; 0 where that gives other scores.

        Beyond a layer's window a token would have to see what the other texts have pushed out of it.
        """
        import torch

        from lib.engines.local.sequence_packing import window

        most = window(self.new_cache(0))
        if not self._apart or not most:
            return 0
        shared, texts = [0, 1], [[1, 0], [0, 1, 1]]
        self._together = most
        try:
            together = torch.cat(list(self.read_together(shared, texts, self.new_cache(8))))
        except (TypeError, AttributeError, ValueError, RuntimeError, NotImplementedError):
            return 0
        alone = [
            self._head(self._body(torch.tensor([shared + text], device=self._device)).last_hidden_state[0])
            for text in texts
        ]
        expected = torch.cat([alone[0][:2], *(each[2:-1] for each in alone)])
        return most if all(_same(*rows) for rows in zip(together, expected, strict=True)) else 0

    def new_cache(self, tokens: int) -> Any:
        """An empty cache of keys and values with room for that many tokens."""
        from lib.engines.local.kv_cache import make_cache

        return make_cache(self._model.config, tokens)

    def branch(self, cache: Any) -> Any:
        """A cache to read on with, such that the same can be done again from here.

        It is the same cache where `crop` will undo what comes now, and a copy where a layer keeps a running state.
        """
        if not all(layer.is_croppable for layer in cache.layers):
            return copy.deepcopy(cache)
        cache.activate_past_recording()
        return cache

    def can_copy(self, cache: Any) -> bool:
        """Whether `copied` can be had of a cache: where all its layers simply hold keys and values of all tokens."""
        from lib.engines.local.kv_cache import PreallocatedLayer

        return all(isinstance(layer, PreallocatedLayer) for layer in cache.layers)

    def copied(self, cache: Any, tokens: int, room: int) -> Any:
        """A cache of its own that has read the first `tokens` tokens of another, with room for `room` of them."""
        made = self.new_cache(room)
        for old, new in zip(cache.layers, made.layers, strict=True):
            new.update(old.keys[:, :, :tokens], old.values[:, :, :tokens])
        return made

    def select(self, cache: Any, rows: Sequence[int]) -> None:
        """Keep the samples at `rows` in a cache; one that is named several times is there as often."""
        import torch

        from lib.engines.local.kv_cache import select_samples

        select_samples(cache, torch.tensor(rows, device=self._device))

    @property
    def vocabulary_size(self) -> int:
        """How many tokens the model chooses from: the width of its logits."""
        return self._width

    def score_bytes(self, rows: int) -> int:
        """About how much memory it takes to score that many rows at a time, of which `_ROWS` is the most."""
        return 3 * 4 * min(rows, _ROWS) * self._width  # logits, logprobs, and what the top-k search needs

    def cache_bytes(self, tokens: int) -> int:
        """About how much memory a cache of that many tokens takes."""
        config = self._model.config.get_text_config()
        queries = getattr(config, "num_attention_heads", None) or 1
        heads = getattr(config, "num_key_value_heads", None) or queries
        size = getattr(config, "head_dim", None) or config.hidden_size // queries
        return int(2 * config.num_hidden_layers * heads * size * self._model.dtype.itemsize * tokens)

    def blocks(self, ids: Sequence[int], cache: Any, *, last_only: bool = False, skip: int = 0) -> Iterator[Any]:
        """Read `ids` after what the cache holds; yields float32 logits [rows, V], in order, for every token read.

        Row i is the distribution of what follows ids[i]. last_only: only the last row of all. skip: so many tokens at
        the beginning have no rows. Yields None between chunks, where another request may have its turn.
        """
        import torch

        chunk = tokens_per_pass(len(ids)) if self._apart else _ROWS
        for start in range(0, len(ids), chunk):
            if start:
                give_back()
                yield None
            part = torch.tensor([list(ids[start : start + chunk])], device=self._device)
            final = start + chunk >= len(ids)
            silent = max(skip - start, 0)
            if not self._apart:
                logits = self._model(part, past_key_values=cache, use_cache=True).logits[0]
                if not last_only:
                    yield logits[silent:].float()
                elif final:
                    yield logits[-1:].float()
                continue
            hidden = self._body(part, past_key_values=cache, use_cache=True).last_hidden_state[0]
            if last_only:
                if final:
                    yield self._head(hidden[-1:]).float()
                continue
            for row in range(silent, len(hidden), _ROWS):
                yield self._logits(hidden[row : row + _ROWS])

    def reads_together(self, tokens: int) -> bool:
        """Whether `read_together` can be used where the cache comes to so many tokens on the way."""
        return tokens < self._together

    def read_together(self, shared: Sequence[int], texts: Sequence[Sequence[int]], cache: Any) -> Iterator[Any]:
        """Read `shared` after what the cache holds, and every text as if it came right after that, in one pass.

        Yields float32 logits [rows, V] for every token of `shared` and then, text by text, for every one but the last.
        The cache then holds `shared` and none of the texts.
        """
        import torch

        from lib.engines.local.sequence_packing import mask_and_positions

        lengths = [len(text) for text in texts]
        ids = torch.tensor([[*shared, *(token for text in texts for token in text)]], device=self._device)
        mask, positions = mask_and_positions(cache.get_seq_length(), len(shared), lengths, self._model.dtype)
        hidden = self._body(
            ids,
            attention_mask=mask.to(self._device),
            position_ids=positions.to(self._device),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state[0]
        cache.crop(-sum(lengths))
        read, *rest = hidden.split([len(shared), *lengths])
        rows = torch.cat([read, *(part[:-1] for part in rest)])
        for row in range(0, len(rows), _ROWS):
            yield self._logits(rows[row : row + _ROWS])

    def _logits(self, hidden: Any) -> Any:
        """Float32 logits [r, V] of hidden states [r, h], at most `_ROWS` of them; good until the next call."""
        import torch

        plain = type(self._head) is torch.nn.Linear and self._head.bias is None
        if not plain or hidden.dtype != torch.float32:
            return self._head(hidden).float()
        return torch.mm(hidden, self._head.weight.t(), out=self.scratch(0, len(hidden)))

    def scratch(self, number: int, rows: int) -> Any:
        """Room for float32 [rows, V], the first or second of its kind, with whatever is left there from before.

        Blocks of that size are better kept than allocated anew for every few rows: new ones come page by page from the
        system, and those that were freed break up the heap.
        """
        import torch

        if rows > _ROWS:
            return torch.empty((rows, self._width), device=self._device)
        if number not in self._scratch:
            self._scratch[number] = torch.empty((_ROWS, self._width), device=self._device)
        return self._scratch[number][:rows]

    def step(self, ids: Any, cache: Any) -> Any:
        """One more token for each of b samples: ids int64[b] on the device; returns float32 logits [b, V]."""
        if not self._apart:
            return self._model(ids[:, None], past_key_values=cache, use_cache=True).logits[:, -1].float()
        hidden = self._body(ids[:, None], past_key_values=cache, use_cache=True).last_hidden_state
        return self._head(hidden)[:, -1].float()

    def steps(self, steps: Sequence[DecodeStep]) -> list[Any]:
        """The logits of each step as `step` gives them; in one pass, where the model can join them."""
        import torch

        with torch.inference_mode():
            if len(steps) > 1 and self._joins:
                return self._joint(steps)
            return [self.step(each.ids, each.cache) for each in steps]

    def _joint(self, steps: Sequence[DecodeStep]) -> list[Any]:
        import torch

        from lib.engines.local.ragged_decode import joint_cache

        rows = [len(each.ids) for each in steps]
        lengths = torch.tensor([each.cache.get_seq_length() for each in steps], device=self._device)
        positions = lengths.repeat_interleave(torch.tensor(rows, device=self._device))[:, None]
        ids = torch.cat([each.ids for each in steps])[:, None]
        options = {
            "past_key_values": joint_cache([each.cache for each in steps], rows),
            "position_ids": positions,
            "use_cache": True,
        }
        if not self._apart:
            logits = self._model(ids, **options).logits
        else:
            logits = self._head(self._body(ids, **options).last_hidden_state)
        return list(logits[:, -1].float().split(rows))


def tokens_per_pass(tokens: int) -> int:
    """How many of that many tokens are read in one pass."""
    return tokens if tokens <= AT_ONCE else CHUNK


def _same(logits: Any, others: Any) -> bool:
    """Whether two rows of logits [V] differ by no more than a coarse number type's rounding."""
    return bool((logits.float() - others.float()).abs().max() <= 0.05 * logits.float().std())


def score(logits: Any, chosen: Any, k: int, scratch: Any = None) -> PositionScores:
    """Logprob and rank of each row's chosen token, and its k likeliest.

    logits: float32 tensor [r, V]. chosen: int64 tensor [r]. scratch: room for another [r, V], where there is some.
    Logprobs are log-softmax(logits); rank is 1 + the number of strictly larger logits.
    """
    import torch

    listed = min(max(k, 1), logits.shape[-1])
    top, top_ids = logits.topk(listed, dim=-1)
    own = logits.gather(1, chosen[:, None])
    larger = (top > own).sum(dim=-1)
    beyond = torch.nonzero(larger == listed).flatten()
    if len(beyond):  # outside the list, so every logit has to be looked at
        larger[beyond] = (logits[beyond] > own[beyond]).sum(dim=-1, dtype=torch.int32).to(larger.dtype)
    # Not logits minus their logsumexp: that loses the last digits where they matter, near certainty.
    logprobs = torch.log_softmax(logits, dim=-1, out=scratch)
    return PositionScores(
        logprobs.gather(1, chosen[:, None]).squeeze(1).cpu().numpy(),
        (larger + 1).to(torch.int32).cpu().numpy(),
        top_ids[:, :k].to(torch.int32).cpu().numpy(),
        logprobs.gather(1, top_ids[:, :k]).cpu().numpy(),
    )


def read(
    reader: ModelRunner, ids: Sequence[int], cache: Any, k: int, last: Any = None, *, scored: bool = True
) -> Generator[None, None, tuple[PositionScores, Any]]:
    """Read `ids` after what the cache holds; returns their scores and the float32 logits [1, V] of what follows.

    last: those logits from before, which score ids[0]; without them it is unscored, as nothing precedes it.
    scored: False leaves every token unscored and computes the last row only. Yields between chunks.
    """
    if not ids:
        return unscored(0, k), last
    parts = [unscored(1, k)] if last is None or not scored else [score(last, _tensor(ids[:1], last), k)]
    seen = 0
    for block in reader.blocks(ids, cache, last_only=not scored):
        if block is None:
            yield
            continue
        following = ids[seen + 1 : seen + 1 + len(block)]
        if scored and following:
            rows = len(following)
            parts.append(score(block[:rows], _tensor(following, block), k, reader.scratch(1, rows)))
        seen += len(block)
        last = block[-1:].clone()  # a copy, so that the block it is a row of can go
    return (join(parts) if scored else unscored(len(ids), k)), last


def read_tail(
    reader: ModelRunner, ids: Sequence[int], cache: Any, k: int, rows: int
) -> Generator[None, None, PositionScores]:
    """Read `ids` after what the cache holds; returns the scores of the last `rows` of them, fewer than all.

    No logits are computed for the others. Yields between chunks.
    """
    skip, parts, seen = len(ids) - rows - 1, [], 0
    chosen = ids[-rows:]
    for block in reader.blocks(ids, cache, skip=skip):
        if block is None:
            yield
            continue
        following = chosen[seen : seen + len(block)]
        if following:
            count = len(following)
            parts.append(score(block[:count], _tensor(following, block), k, reader.scratch(1, count)))
        seen += len(block)
    return join(parts)


def read_together(
    reader: ModelRunner, shared: Sequence[int], texts: Sequence[Sequence[int]], cache: Any, k: int, last: Any = None
) -> tuple[PositionScores, list[PositionScores], Any]:
    """Read `shared` after what the cache holds, and every text as if it came right after that, in one pass.

    Returns the scores of `shared`, those of each text, and the float32 logits [1, V] of what follows `shared`. last:
    those logits from before; without them the first token of all is unscored.
    """
    begun = [] if not shared else [unscored(1, k) if last is None else score_next(last, shared[0], k)]
    # The last of `shared` has one row for several firsts, which are scored below; what it is scored for here is let go.
    following = [*shared[1:], *shared[-1:], *(token for text in texts for token in text[1:])]
    parts, seen = [], 0
    for block in reader.read_together(shared, texts, cache):
        if 0 <= len(shared) - 1 - seen < len(block):
            last = block[len(shared) - 1 - seen][None].clone()
        some = following[seen : seen + len(block)]
        parts.append(score(block, _tensor(some, block), k, reader.scratch(1, len(some))))
        seen += len(block)
    rows = join(parts) if parts else unscored(0, k)
    begun.append(rows_of(rows, slice(0, max(len(shared) - 1, 0))))
    found, start = [], len(shared)
    for text in texts:
        first = unscored(1, k) if last is None else score_next(last, text[0], k)
        found.append(join([first, rows_of(rows, slice(start, start + len(text) - 1))]))
        start += len(text) - 1
    return join(begun), found, last


def score_next(logits: Any, token: int, k: int) -> PositionScores:
    """The scores of one id, by the logits [1, V] before it."""
    return score(logits, _tensor([token], logits), k)


def _tensor(ids: Sequence[int], like: Any) -> Any:
    import torch

    return torch.tensor(list(ids), device=like.device)


def unscored(rows: int, k: int) -> PositionScores:
    """PositionScores of positions nothing is known of."""
    return PositionScores(
        np.full(rows, np.nan, np.float32),
        np.full(rows, -1, np.int32),
        np.full((rows, k), -1, np.int32),
        np.full((rows, k), np.nan, np.float32),
    )


def join(parts: Sequence[PositionScores]) -> PositionScores:
    """Rows of several scores end to end."""
    return PositionScores(
        np.concatenate([part.logprobs for part in parts]),
        np.concatenate([part.ranks for part in parts]),
        np.concatenate([part.top_ids for part in parts]),
        np.concatenate([part.top_logprobs for part in parts]),
    )


def rows_of(scores: PositionScores, rows: slice, k: int | None = None) -> PositionScores:
    """Some rows of scores, with the first k alternatives of each."""
    return PositionScores(
        scores.logprobs[rows], scores.ranks[rows], scores.top_ids[rows, :k], scores.top_logprobs[rows, :k]
    )


def scored_tokens(
    loaded: LoadedModel, ids: Sequence[int], scores: PositionScores, kinds: NDArray[np.uint8] | None = None
) -> Tokens:
    """Tokens on the model's own vocabulary, whose rows are the ids."""
    return make_tokens(
        loaded.vocabulary.pieces,
        np.array(ids, np.int32),
        logprobs=scores.logprobs,
        ranks=scores.ranks,
        top_refs=scores.top_ids,
        top_logprobs=scores.top_logprobs,
        kinds=kinds,
    )
