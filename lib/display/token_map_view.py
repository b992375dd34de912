"""The view model of the token map: cells in reading order, their groups, and a fine step per metric.

All numbers are computed here; the browser only draws them and looks up colours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.core.columnar import pack
from lib.core.completion import Completion
from lib.core.tokens import Tokens, concatenate
from lib.display.scales import OUTSIDE, SCALES, UNSCORED, Scale, Steps
from lib.display.token_map_columns import Columns, text_columns, thousandths, token_columns, without_lists
from lib.display.token_map_part import Part
from lib.errors import InvalidPattern
from lib.scores.template import template_mask
from lib.scores.token_scores import others_mass
from lib.segmentation.cells import Cells
from lib.segmentation.groups import matches_in

PASSAGES = ("word", "sentence", "line")


@dataclass
class _Cache:
    """The last results of a view, each with what it was made from."""

    packed: tuple[tuple[str, bool, bool], bytes] | None = None  # ((pattern, passages, lists), columns)
    framed: tuple[bytes, bytes, bytes] | None = None  # (columns, what follows them, frame)


@dataclass(frozen=True, eq=False)
class TokenMapView:
    """Prompt and answer as one sequence of cells, prompt first. Cells and tokens are numbered from the base token."""

    completion: Completion
    # First token of the view, counted over prompt and answer. Use a `settled` one, or a group may be split.
    base: int = 0
    _cache: _Cache = field(default_factory=_Cache, init=False, repr=False)

    @cached_property
    def _parts(self) -> tuple[Part, Part]:
        done, read = self.completion, len(self.completion.prompt)
        prompt = done.prompt[self.base :] if self.base else done.prompt
        answer = done.generated[self.base - read :] if self.base > read else done.generated
        return (
            Part(prompt, done.vocabulary_size, template_mask(done)[self.base :]),
            Part(answer, done.vocabulary_size, np.zeros(len(answer), bool)),
        )

    @property
    def parts(self) -> tuple[Cells, Cells]:
        """The cells of the prompt and those of the answer. No cell spans both."""
        return self._parts[0].cells, self._parts[1].cells

    @property
    def template(self) -> NDArray[np.bool_]:
        """bool[cells]: whether a cell is a control token, or text that the chat template added."""
        return np.concatenate([part.template for part in self._parts])

    @cached_property
    def tokens(self) -> Tokens:
        """All tokens, prompt first."""
        return concatenate([part.tokens for part in self._parts])

    @property
    def boundary(self) -> int:
        """The number of prompt cells."""
        return len(self.parts[0])

    def __len__(self) -> int:
        return len(self.parts[0]) + len(self.parts[1])

    def text_of(self, cell: int) -> str:
        """The cell's readable text."""
        prompt, answer = self.parts
        return prompt.text_of(cell) if cell < self.boundary else answer.text_of(cell - self.boundary)

    def tokens_of(self, cell: int) -> range:
        """The rows of `tokens` in a cell. Raises IndexError if there is no such cell."""
        if not 0 <= cell < len(self):
            raise IndexError(cell)
        return range(self.first[cell], self.first[cell + 1])

    @cached_property
    def first(self) -> NDArray[np.int32]:
        """int32[cells + 1]: the first token of each cell, as a row of `tokens`; last, the number of tokens."""
        prompt, answer = self.parts
        return np.concatenate([prompt.first[:-1], answer.first + len(self._parts[0].tokens)])

    def steps(self, grouping: str) -> dict[str, Steps]:
        """Fine steps (uint8) per scale, by name. grouping: "token" for cells, or "word", "sentence" or "line"."""
        prompt, answer = (getattr(part, f"{grouping}_steps") for part in self._parts)
        return {name: np.concatenate([prompt[name], answer[name]]) for name in prompt}

    def groups(self, grouping: str) -> NDArray[np.int64]:
        """int[g]: the first cell of each group. grouping: "word", "sentence" or "line"."""
        prompt, answer = (getattr(part.groups, f"{grouping}s") for part in self._parts)
        return np.flatnonzero(np.concatenate([prompt, answer]))

    def matched(self, pattern: str) -> tuple[NDArray[np.int64], dict[str, Steps]]:
        """Group by the matches of a regular expression and the gaps between them.

        Returns the first cell of each group and fine steps per scale, which are `OUTSIDE` in gaps. Raises
        InvalidPattern.
        """
        first: list[int] = []
        inside: list[bool] = []
        found: list[dict[str, Steps]] = []
        for part, offset, spans in zip(self._parts, (0, self.boundary), matches_in(self.parts, pattern), strict=True):
            begins, within = _with_gaps(spans, len(part.cells))
            steps = part.units(np.array(begins, np.int64))
            found.append({name: np.where(within, column, OUTSIDE).astype(np.uint8) for name, column in steps.items()})
            first += [begin + offset for begin in begins]
            inside += within
        return np.array(first, np.int64), {name: np.concatenate([each[name] for each in found]) for name in found[0]}

    def available(self, scale: Scale) -> bool:
        """Whether any cell has a value on this scale."""
        return bool((self.steps("token")[scale.name] != UNSCORED).any())

    @cached_property
    def settled(self) -> int:
        """The first token of the last settled line. Nothing before it can change as the answer grows.

        Counted from the completion's first token. A later view may use it as its base.
        """
        lines = self.groups("line")
        lines = lines[lines + 2 < len(self)]
        return self.base + int(self.first[lines[-1]]) if len(lines) else self.base

    def packed(self, pattern: str = "", *, passages: bool = True, lists: bool = True) -> bytes:
        """The columns the browser draws the map from, in the columnar format. The last result is cached.

        Per token: flags (kind in the lowest three bits, then whether it joins the previous cell, and starts a word, a
        sentence, a line), its list of alternatives (ref, and logprob in thousandths of a nat below 0), its place in
        that list, rank (0 unknown), others (unlisted probability in thousandths), low and high (entropy bounds in
        thousandths of a nat). Per token that is not in its list: ref and logprob. Per piece: chars (UTF-16 units of its
        text) and id. Per cell of several tokens: its own text. Per cell, word, sentence, line and pattern match: a fine
        step per scale; per pattern match also its first cell. Texts are UTF-8 buffers. In columns of refs, places and
        thousandths the largest value means missing; 65534 thousandths mean that or more.

        pattern: a regular expression to group by; "" for none.
        passages: whether to include steps of words, sentences and lines.
        lists: whether to include the alternatives, and the numbers computed from them other than steps.
        """
        key = (pattern, passages, lists)
        if self._cache.packed is None or self._cache.packed[0] != key:
            self._cache.packed = (key, self._pack(pattern, passages, lists))
        return self._cache.packed[1]

    def framed(self, packed: bytes, part: bytes, make: Callable[[], bytes]) -> bytes:
        """The frame that `make` builds from a result of `packed` and what follows it. The last frame is cached."""
        cached = self._cache.framed
        if cached is None or cached[0] is not packed or cached[1] != part:
            cached = self._cache.framed = (packed, part, make())
        return cached[2]

    def _pack(self, pattern: str, passages: bool, lists: bool) -> bytes:
        tokens, parts = self.tokens if lists else without_lists(self.tokens), self._parts
        columns: Columns = {
            "token.flags": np.concatenate([part.flags(passages) for part in parts]),
            **token_columns(tokens),
            **text_columns("piece", tokens.pieces.texts),
            "piece.id": tokens.pieces.ids,
            **text_columns("joined", self._joined()),
        }
        for grouping in ("token", *PASSAGES) if passages else ("token",):
            columns |= {f"{grouping}.step.{name}": column for name, column in self.steps(grouping).items()}
        if lists:
            columns |= {
                "token.others": thousandths(np.concatenate([others_mass(part.tokens) for part in parts])),
                "token.low": thousandths(np.concatenate([part.metrics["entropy"] for part in parts])),
                "token.high": thousandths(np.concatenate([part.metrics["high"] for part in parts])),
            }
        matched, pattern_columns = self._pattern(pattern)
        meta = {
            "base": self.base,
            "boundary": len(self.completion.prompt),
            "k": tokens.k,
            "missing": [scale.name for scale in SCALES if not self.available(scale)],
            "pattern": matched,
        }
        return pack("view", meta, columns | pattern_columns)

    def _pattern(self, pattern: str) -> tuple[dict[str, Any], Columns]:
        """The outcome of a user's pattern for the header, and the columns of its groups."""
        outcome: dict[str, Any] = {"text": pattern, "error": "", "found": 0}
        if not pattern:
            return outcome, {}
        try:
            first, steps = self.matched(pattern)
        except InvalidPattern as error:
            return outcome | {"error": str(error)}, {}
        found = int((next(iter(steps.values())) != OUTSIDE).sum())
        columns: Columns = {f"pattern.step.{name}": column for name, column in steps.items()}
        return outcome | {"found": found}, {"pattern.first": first.astype(np.uint32), **columns}

    def _joined(self) -> list[str]:
        """The texts of cells with several tokens."""
        return [self.text_of(int(cell)) for cell in np.flatnonzero(np.diff(self.first) > 1)]


def _with_gaps(spans: Sequence[tuple[int, int]], count: int) -> tuple[list[int], list[bool]]:
    """Spans of cells and the gaps between them: the first cell of each, and whether it is a span."""
    begins, within, done = [], [], 0
    for first, last in [*spans, (count, count)]:
        if first > done:
            begins.append(done)
            within.append(False)
        if first < last:
            begins.append(first)
            within.append(True)
        done = last
    return begins, within
