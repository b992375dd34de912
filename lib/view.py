"""A completion as the token map draws it: cells in reading order, with a colour step per metric.

Every number is worked out here; the browser draws it and looks colours up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.cells import Cells, split
from lib.completion import Completion
from lib.packed import narrow, pack
from lib.pieces import make_pieces, unite
from lib.scales import SCALES, UNSCORED, Scale, cell_values
from lib.scores import others_mass
from lib.tokens import Tokens, concatenate

_QUANTUM = 0.001  # nats; exact values are shown once a token is pinned
_MISSING = 0xFFFF
_LARGEST = 0xFFFE
_UNKNOWN = "⟨?⟩"  # what stands for a token of which nothing is known


def _cells(tokens: Tokens) -> Cells:
    """The cells of these tokens; one of which nothing is known is shown as such, and not left out."""
    unknown = tokens.refs < 0
    if not unknown.any():
        return split(tokens.pieces, tokens.refs)
    pieces = tokens.pieces
    mark = make_pieces([(-1, _UNKNOWN.encode(), True)])  # special, so that it joins no other cell
    table, (moved, place) = unite([pieces, mark], [np.ones(len(pieces), bool), np.ones(1, bool)])
    # One spare row at the end, so that ref -1 finds the mark by ordinary indexing.
    return split(table, np.append(moved, place)[tokens.refs])


@dataclass(frozen=True, eq=False)
class View:
    """Prompt and answer as one row of cells, the prompt's first."""

    completion: Completion

    @cached_property
    def parts(self) -> tuple[Cells, Cells]:
        """The cells of the prompt and of the answer. No cell spans the boundary."""
        return _cells(self.completion.prompt), _cells(self.completion.generated)

    @cached_property
    def tokens(self) -> Tokens:
        """All tokens, the prompt's first."""
        return concatenate([self.completion.prompt, self.completion.generated])

    @property
    def boundary(self) -> int:
        """The number of cells that belong to the prompt."""
        return len(self.parts[0])

    def __len__(self) -> int:
        return len(self.parts[0]) + len(self.parts[1])

    def text_of(self, cell: int) -> str:
        """The cell's readable text."""
        prompt, answer = self.parts
        return prompt.text_of(cell) if cell < self.boundary else answer.text_of(cell - self.boundary)

    def tokens_of(self, cell: int) -> range:
        """The cell's tokens, as rows of `tokens`. Raises IndexError for a cell that does not exist."""
        if not 0 <= cell < len(self):
            raise IndexError(cell)
        prompt, answer = self.parts
        if cell < self.boundary:
            return range(prompt.first[cell], prompt.first[cell + 1])
        offset, cell = len(self.completion.prompt), cell - self.boundary
        return range(offset + answer.first[cell], offset + answer.first[cell + 1])

    @cached_property
    def values(self) -> dict[str, NDArray[np.float64]]:
        """Per metric a float64 column over all cells, NaN where it is not known."""
        done, (prompt, answer) = self.completion, self.parts
        first = cell_values(done, done.prompt, prompt)
        second = cell_values(done, done.generated, answer)
        return {name: np.concatenate([first[name], second[name]]) for name in first}

    def available(self, scale: Scale) -> bool:
        """Whether any cell has a value on that scale."""
        return bool((~np.isnan(self.values[scale.name])).any())

    @cached_property
    def first(self) -> NDArray[np.int32]:
        """int32[cells + 1]: the first token of each cell, as a row of `tokens`, and the number of tokens."""
        prompt, answer = self.parts
        return np.concatenate([prompt.first[:-1], answer.first + len(self.completion.prompt)])

    def packed(self) -> bytes:
        """The columns that the token map reads, in the packed form; see `_packed`."""
        return self._packed

    @cached_property
    def _packed(self) -> bytes:
        """The columns that the token map reads, in the packed form.

        Per cell: chars (UTF-16 units of its text), size (tokens), kind, and one step per metric. Per token: ref,
        logprob (thousandths of a nat below 0), rank (0 unknown), others (thousandths of the probability outside the
        list), and its list row by row. Per piece: chars and id. Texts are UTF-8 buffers. The largest value of a
        column of refs, logprobs or others means that there is none.
        """
        tokens, pieces = self.tokens, self.tokens.pieces
        text, chars = _readable(self.parts)
        names = pieces.texts
        columns: dict[str, NDArray[Any]] = {
            "cell.text": _utf8(text),
            "cell.chars": _smallest(chars),
            "cell.size": _smallest(np.diff(self.first)),
            "cell.kind": tokens.kinds[self.first[:-1]],
            "token.ref": narrow(tokens.refs, len(pieces)),
            "token.logprob": _quantised(-tokens.logprobs),
            "token.rank": _smallest(np.maximum(tokens.ranks, 0)),
            "token.others": _quantised(others_mass(tokens)),
            "top.ref": narrow(tokens.top_refs, len(pieces)),
            "top.logprob": _quantised(-tokens.top_logprobs),
            "piece.text": _utf8("".join(names)),
            "piece.chars": _smallest(np.array([_utf16_length(name) for name in names], np.int64)),
            "piece.id": pieces.ids,
        }
        for scale in SCALES:
            columns[f"step.{scale.name}"] = scale.steps(self.values[scale.name])
        meta = {
            "boundary": self.boundary,
            "k": tokens.k,
            "quantum": _QUANTUM,
            "unscored": UNSCORED,
            "scales": [self._described(scale) for scale in SCALES],
        }
        return pack("view", meta, columns)

    def _described(self, scale: Scale) -> dict[str, Any]:
        """What the legend needs of a scale; `missing` says why it cannot be chosen, or is empty."""
        missing = "" if self.available(scale) else scale.reason
        words = {name: getattr(scale, name) for name in ("name", "label", "unit", "legend", "explanation")}
        return {**words, "missing": missing}


def _readable(parts: Sequence[Cells]) -> tuple[str, NDArray[np.int64]]:
    """The text of all cells as it is shown, and the UTF-16 length of each cell."""
    texts: list[str] = []
    lengths: list[NDArray[np.int64]] = []
    for cells in parts:
        if cells.broken.any():
            shown = [cells.text_of(cell) for cell in range(len(cells))]
            texts += shown
            lengths.append(np.array([_utf16_length(each) for each in shown], np.int64))
        else:
            texts.append(cells.text)
            units = np.ones(len(cells.text) + 1, np.int64)
            if not cells.text.isascii():
                units[:-1] += np.frombuffer(cells.text.encode("utf-32-le"), np.uint32) > 0xFFFF
            before = np.cumsum(units) - units
            lengths.append(np.diff(before[cells.starts]))
    return "".join(texts), np.concatenate(lengths)


def _utf16_length(text: str) -> int:
    return len(text) + sum(letter > "\uffff" for letter in text)


def _utf8(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _smallest(column: NDArray[Any]) -> NDArray[Any]:
    """Numbers from 0 on as the smallest unsigned integers that hold them."""
    largest = int(column.max(initial=0))
    return column.astype(np.uint8 if largest <= 0xFF else np.uint16 if largest <= 0xFFFF else np.uint32)


def _quantised(values: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Values from 0 on in thousandths, at most 65.534; NaN becomes 65535."""
    scaled = np.clip(values.astype(np.float64) / _QUANTUM, 0, _LARGEST)
    return np.where(np.isnan(scaled), _MISSING, np.rint(np.nan_to_num(scaled))).astype(np.uint16)
