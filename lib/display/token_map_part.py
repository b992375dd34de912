"""The prompt or the answer in the token map: its cells, their groups, and a fine step per metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lib.core.pieces import make_pieces, unite
from lib.core.tokens import TokenKind, Tokens
from lib.display.scales import Steps
from lib.display.unit_metrics import fine_steps, least_confident_tenth, token_metrics, unit_metrics
from lib.scores.token_scores import Column
from lib.segmentation.cells import Cells, split
from lib.segmentation.groups import Groups, wordy

UNKNOWN = "⟨?⟩"  # shown for an unknown token
# Flags above the kind, which takes three bits.
_JOINS, _WORD, _SENTENCE, _LINE, _TEMPLATE = 0x08, 0x10, 0x20, 0x40, 0x80


@dataclass(frozen=True, eq=False)
class Part:
    """The prompt or the answer, from the base token on."""

    tokens: Tokens
    vocabulary_size: int | None
    added: NDArray[np.bool_]  # bool[n]: whether the chat template added a token

    @cached_property
    def cells(self) -> Cells:
        """The cells of these tokens. Unknown tokens are cells with the text UNKNOWN."""
        unknown = self.tokens.refs < 0
        pieces = self.tokens.pieces
        if not unknown.any():
            return split(pieces, self.tokens.refs)
        mark = make_pieces([(-1, UNKNOWN.encode(), True)])  # special, so it never joins another cell
        table, (moved, place) = unite([pieces, mark], [np.ones(len(pieces), bool), np.ones(1, bool)])
        # A spare last row makes ref -1 find the mark by ordinary indexing.
        return split(table, np.append(moved, place)[self.tokens.refs])

    @cached_property
    def special(self) -> NDArray[np.bool_]:
        """bool[m]: whether a cell is a control token or an unknown token."""
        refs = self.tokens.refs[self.cells.first[:-1]]
        if not len(self.tokens.pieces):
            return refs < 0
        kinds = np.isin(self.tokens.kinds[self.cells.first[:-1]], (TokenKind.SPECIAL, TokenKind.STOP, TokenKind.IMAGE))
        found: NDArray[np.bool_] = self.tokens.pieces.special[refs] | (refs < 0) | kinds
        return found

    @cached_property
    def template(self) -> NDArray[np.bool_]:
        """bool[m]: whether a cell is a control token, or text that the chat template added."""
        rows = self.cells.first[:-1]
        return (self.special & (self.tokens.refs[rows] >= 0)) | self.added[rows]

    @cached_property
    def groups(self) -> Groups:
        return Groups(self.cells, self.special)

    @cached_property
    def metrics(self) -> dict[str, Column]:
        return token_metrics(self.tokens, self.vocabulary_size)

    def units(self, first: NDArray[np.integer]) -> dict[str, Steps]:
        """Fine steps per scale of units of cells. first: the first cell of each unit."""
        return fine_steps(unit_metrics(self.metrics, self.cells.first[first]))

    @cached_property
    def token_steps(self) -> dict[str, Steps]:
        """Fine steps per scale of every cell."""
        return self.units(np.arange(len(self.cells)))

    @cached_property
    def word_steps(self) -> dict[str, Steps]:
        """Fine steps per scale of every word. A word of one cell has the steps of that cell."""
        first = np.flatnonzero(self.groups.words)
        several = np.flatnonzero(np.diff(np.append(first, len(self.cells))) > 1)
        steps = {name: column[first] for name, column in self.token_steps.items()}
        for name, found in fine_steps(unit_metrics(self.metrics, self.cells.first[first]), several).items():
            steps[name][several] = found
        return steps

    @cached_property
    def sentence_steps(self) -> dict[str, Steps]:
        """Fine steps per scale of every sentence."""
        return self._passages(self.groups.sentences)

    @cached_property
    def line_steps(self) -> dict[str, Steps]:
        """Fine steps per scale of every line."""
        return self._passages(self.groups.lines)

    def _passages(self, begins: NDArray[np.bool_]) -> dict[str, Steps]:
        words = self.groups.words
        first = (np.cumsum(words) - 1)[begins]
        return {name: least_confident_tenth(steps, first, self._counted) for name, steps in self.word_steps.items()}

    @cached_property
    def _counted(self) -> NDArray[np.bool_]:
        return wordy(self.cells, np.flatnonzero(self.groups.words), self.special)

    def flags(self, passages: bool) -> NDArray[np.uint8]:
        """uint8[n]: the kind of each token, whether it joins the previous cell, and which groups it starts."""
        flags = self.tokens.kinds | np.uint8(_JOINS)
        rows = self.cells.first[:-1]
        flags[rows] &= np.uint8(~_JOINS & 0xFF)
        flags[rows[self.groups.lines]] |= np.uint8(_LINE)
        flags[rows[self.template]] |= np.uint8(_TEMPLATE)
        if passages:
            flags[rows[self.groups.words]] |= np.uint8(_WORD)
            flags[rows[self.groups.sentences]] |= np.uint8(_SENTENCE)
        return flags
