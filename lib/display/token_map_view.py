"""A completion as the token map draws it: cells in reading order, with a fine step per metric, and how they group.

Every number is worked out here; the browser draws it and looks colours up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from lib.core.columnar import narrow, pack
from lib.core.completion import Completion
from lib.core.pieces import make_pieces, unite
from lib.core.tokens import TokenKind, Tokens, concatenate, make_tokens
from lib.display.scales import OUTSIDE, SCALES, UNSCORED, Scale, Steps
from lib.display.unit_metrics import fine_steps, least_sure_tenth, token_metrics, unit_metrics
from lib.errors import InvalidPattern
from lib.scores.token_scores import Column, others_mass
from lib.segmentation.cells import Cells, split
from lib.segmentation.groups import Groups, matches_in, wordy

PASSAGES = ("word", "sentence", "line")
UNKNOWN = "⟨?⟩"  # what stands for a token of which nothing is known
_QUANTUM = 0.001  # nats; exact values are shown once a token is pinned
_MISSING = 0xFFFF
_LARGEST = 0xFFFE
_JOINS, _WORD, _SENTENCE, _LINE = 0x08, 0x10, 0x20, 0x40  # beside the kind, which takes three bits


@dataclass(frozen=True, eq=False)
class _Part:
    """The prompt or the answer, or its end."""

    tokens: Tokens
    vocabulary_size: int | None

    @cached_property
    def cells(self) -> Cells:
        """The cells of these tokens; one of which nothing is known is shown as such, and not left out."""
        unknown = self.tokens.refs < 0
        pieces = self.tokens.pieces
        if not unknown.any():
            return split(pieces, self.tokens.refs)
        mark = make_pieces([(-1, UNKNOWN.encode(), True)])  # special, so that it joins no other cell
        table, (moved, place) = unite([pieces, mark], [np.ones(len(pieces), bool), np.ones(1, bool)])
        # One spare row at the end, so that ref -1 finds the mark by ordinary indexing.
        return split(table, np.append(moved, place)[self.tokens.refs])

    @cached_property
    def special(self) -> NDArray[np.bool_]:
        """bool[m]: control tokens, and those of which nothing is known."""
        refs = self.tokens.refs[self.cells.first[:-1]]
        if not len(self.tokens.pieces):
            return refs < 0
        kinds = np.isin(self.tokens.kinds[self.cells.first[:-1]], (TokenKind.SPECIAL, TokenKind.STOP, TokenKind.IMAGE))
        found: NDArray[np.bool_] = self.tokens.pieces.special[refs] | (refs < 0) | kinds
        return found

    @cached_property
    def groups(self) -> Groups:
        return Groups(self.cells, self.special)

    @cached_property
    def metrics(self) -> dict[str, Column]:
        return token_metrics(self.tokens, self.vocabulary_size)

    def units(self, first: NDArray[np.integer]) -> dict[str, Steps]:
        """Fine steps per scale of units of cells, each beginning with cell first[i]."""
        return fine_steps(unit_metrics(self.metrics, self.cells.first[first]))

    @cached_property
    def token_steps(self) -> dict[str, Steps]:
        """Fine steps per scale of every cell."""
        return self.units(np.arange(len(self.cells)))

    @cached_property
    def word_steps(self) -> dict[str, Steps]:
        """Fine steps per scale of every word; most are one cell, and then have its steps."""
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
        return {name: least_sure_tenth(steps, first, self._counted) for name, steps in self.word_steps.items()}

    @cached_property
    def _counted(self) -> NDArray[np.bool_]:
        return wordy(self.cells, np.flatnonzero(self.groups.words), self.special)

    def flags(self, passages: bool) -> NDArray[np.uint8]:
        """uint8[n]: kind, whether a token joins the cell before, and what it begins."""
        flags = self.tokens.kinds | np.uint8(_JOINS)
        rows = self.cells.first[:-1]
        flags[rows] &= np.uint8(~_JOINS & 0xFF)
        flags[rows[self.groups.lines]] |= np.uint8(_LINE)
        if passages:
            flags[rows[self.groups.words]] |= np.uint8(_WORD)
            flags[rows[self.groups.sentences]] |= np.uint8(_SENTENCE)
        return flags


@dataclass(frozen=True, eq=False)
class TokenMapView:
    """Prompt and answer as one row of cells, the prompt's first.

    base: the token to begin with, all together counted; a `settled` one, or what comes before is cut in two. Cells and
    tokens are numbered from there on.
    """

    completion: Completion
    base: int = 0

    @cached_property
    def _parts(self) -> tuple[_Part, _Part]:
        done, read = self.completion, len(self.completion.prompt)
        prompt = done.prompt[self.base :] if self.base else done.prompt
        answer = done.generated[self.base - read :] if self.base > read else done.generated
        return _Part(prompt, done.vocabulary_size), _Part(answer, done.vocabulary_size)

    @property
    def parts(self) -> tuple[Cells, Cells]:
        """The cells of the prompt and of the answer. No cell spans the boundary."""
        return self._parts[0].cells, self._parts[1].cells

    @cached_property
    def tokens(self) -> Tokens:
        """All tokens, the prompt's first."""
        return concatenate([part.tokens for part in self._parts])

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
        return range(self.first[cell], self.first[cell + 1])

    @cached_property
    def first(self) -> NDArray[np.int32]:
        """int32[cells + 1]: the first token of each cell, as a row of `tokens`, and the number of tokens."""
        prompt, answer = self.parts
        return np.concatenate([prompt.first[:-1], answer.first + len(self._parts[0].tokens)])

    def steps(self, grouping: str) -> dict[str, Steps]:
        """Per scale a uint8 column of fine steps over all "token" cells, or groups: "word", "sentence", "line"."""
        prompt, answer = (getattr(part, f"{grouping}_steps") for part in self._parts)
        return {name: np.concatenate([prompt[name], answer[name]]) for name in prompt}

    def groups(self, grouping: str) -> NDArray[np.int64]:
        """int[g]: the first cell of each "word", "sentence" or "line"."""
        prompt, answer = (getattr(part.groups, f"{grouping}s") for part in self._parts)
        return np.flatnonzero(np.concatenate([prompt, answer]))

    def matched(self, pattern: str) -> tuple[NDArray[np.int64], dict[str, Steps]]:
        """What a regular expression matches and what lies between, as groups: first cells, and fine steps per scale.

        Steps between matches are `OUTSIDE`. Raises InvalidPattern.
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
        """Whether any cell has a value on that scale."""
        return bool((self.steps("token")[scale.name] != UNSCORED).any())

    @cached_property
    def settled(self) -> int:
        """A token before which nothing changes however much is added: the last line's first, if more follows it.

        Counted from the completion's first token. A later view may take it as its base.
        """
        lines = self.groups("line")
        lines = lines[lines + 2 < len(self)]
        return self.base + int(self.first[lines[-1]]) if len(lines) else self.base

    def packed(self, pattern: str = "", *, passages: bool = True, lists: bool = True) -> bytes:
        """The columns that the token map reads, in the packed form.

        Without `passages` only single cells have steps; without `lists` there are no alternatives, nor what is worked
        out from them but the steps.

        Per token: flags (kind in the lowest three bits, then whether it joins the cell before, and begins a word, a
        sentence, a line), its list row by row (ref, and logprob in thousandths of a nat below 0), its place in it,
        rank (0 unknown), others (thousandths of the probability outside the list), low and high (the entropy's bracket
        in thousandths of a nat). Per token that its list does not hold: ref and logprob. Per piece: chars (UTF-16 units
        of its text) and id. Cells of several tokens, in order: their own text. Per cell, word, sentence and line one
        fine step per scale, and the same per group of the pattern, if there is one, with its first cell. Texts are
        UTF-8 buffers. The largest value of a column of refs, places or thousandths means that there is none; 65534
        thousandths are that or more.
        """
        key = f"packed {passages} {lists} {pattern}"
        if key not in self.__dict__:
            for old in [name for name in self.__dict__ if name.startswith("packed ")]:
                del self.__dict__[old]
            self.__dict__[key] = self._pack(pattern, passages, lists)
        blob: bytes = self.__dict__[key]
        return blob

    def _pack(self, pattern: str, passages: bool, lists: bool) -> bytes:
        tokens, parts = self.tokens if lists else _without_lists(self.tokens), self._parts
        pieces = tokens.pieces
        names, joined = pieces.texts, self._joined()
        logprobs, listed = _thousandths(-tokens.logprobs), _thousandths(-tokens.top_logprobs)
        place = _places(tokens, logprobs, listed)
        columns: dict[str, NDArray[Any]] = {
            "token.flags": np.concatenate([part.flags(passages) for part in parts]),
            "token.place": narrow(place, tokens.k),
            "unlisted.ref": narrow(tokens.refs[place < 0], len(pieces)),
            "unlisted.logprob": logprobs[place < 0],
            "token.rank": _smallest(np.maximum(tokens.ranks, 0)),
            "top.ref": narrow(tokens.top_refs, len(pieces)),
            "top.logprob": listed,
            "piece.text": _utf8("".join(names)),
            "piece.chars": _smallest(_lengths(names)),
            "piece.id": pieces.ids,
            "joined.text": _utf8("".join(joined)),
            "joined.chars": _smallest(_lengths(joined)),
        }
        for grouping in ("token", *PASSAGES) if passages else ("token",):
            columns |= {f"{grouping}.step.{name}": column for name, column in self.steps(grouping).items()}
        if lists:
            columns |= {
                "token.others": _thousandths(np.concatenate([others_mass(part.tokens) for part in parts])),
                "token.low": _thousandths(np.concatenate([part.metrics["entropy"] for part in parts])),
                "token.high": _thousandths(np.concatenate([part.metrics["high"] for part in parts])),
            }
        asked, more = self._pattern(pattern)
        meta = {
            "base": self.base,
            "before": fingerprint(self.completion, self.base),
            "boundary": len(self.completion.prompt),
            "k": tokens.k,
            "missing": [scale.name for scale in SCALES if not self.available(scale)],
            "pattern": asked,
        }
        return pack("view", meta, columns | more)

    def _pattern(self, pattern: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What came of a reader's pattern, and the columns of its groups."""
        asked: dict[str, Any] = {"text": pattern, "error": "", "found": 0}
        if not pattern:
            return asked, {}
        try:
            first, steps = self.matched(pattern)
        except InvalidPattern as error:
            return asked | {"error": str(error)}, {}
        found = int((next(iter(steps.values())) != OUTSIDE).sum())
        columns: dict[str, NDArray[Any]] = {f"pattern.step.{name}": column for name, column in steps.items()}
        return asked | {"found": found}, {"pattern.first": first.astype(np.uint32), **columns}

    def _joined(self) -> list[str]:
        """The texts of the cells of several tokens."""
        return [self.text_of(int(cell)) for cell in np.flatnonzero(np.diff(self.first) > 1)]


def _places(tokens: Tokens, logprobs: NDArray[np.uint16], listed: NDArray[np.uint16]) -> NDArray[np.int32]:
    """int32[n]: the place of each token in its own list, -1 where it is not there, or not with its logprob."""
    if not tokens.k:
        return np.full(len(tokens), -1, np.int32)
    there = (tokens.top_refs == tokens.refs[:, None]) & (tokens.refs >= 0)[:, None] & (listed == logprobs[:, None])
    return np.where(there.any(axis=1), there.argmax(axis=1), -1).astype(np.int32)


def _without_lists(tokens: Tokens) -> Tokens:
    """The same tokens, with no alternatives and only the pieces that they use themselves."""
    plain = make_tokens(tokens.pieces, tokens.refs, logprobs=tokens.logprobs, ranks=tokens.ranks, kinds=tokens.kinds)
    return concatenate([plain])


def fingerprint(completion: Completion, count: int) -> int:
    """What tells the first `count` tokens of one completion from those of another; the browser works out the same."""
    read = len(completion.prompt)
    parts = (completion.prompt[:count], completion.generated[: max(count - read, 0)])
    value = 0
    for part in parts:
        value = crc32(part.ids.astype("<i4").tobytes(), value)
    for part in parts:
        value = crc32(_thousandths(-part.logprobs).astype("<u2").tobytes(), value)
    return value


def _with_gaps(spans: Sequence[tuple[int, int]], count: int) -> tuple[list[int], list[bool]]:
    """Spans of cells and what lies between them: where each begins, and whether it is a span."""
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


def _lengths(texts: Sequence[str]) -> NDArray[np.int64]:
    """UTF-16 lengths."""
    lengths = [len(text) for text in texts]
    if max("".join(texts), default="") > "\uffff":
        lengths = [len(text) + sum(letter > "\uffff" for letter in text) for text in texts]
    return np.array(lengths, np.int64)


def _utf8(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _smallest(column: NDArray[Any]) -> NDArray[Any]:
    """Numbers from 0 on as the smallest unsigned integers that hold them."""
    largest = int(column.max(initial=0))
    return column.astype(np.uint8 if largest <= 0xFF else np.uint16 if largest <= 0xFFFF else np.uint32)


def _thousandths(values: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Values from 0 on in thousandths, at most 65.534; NaN becomes 65535."""
    scaled = np.clip(values.astype(np.float64) / _QUANTUM, 0, _LARGEST)
    return np.where(np.isnan(scaled), _MISSING, np.rint(np.nan_to_num(scaled))).astype(np.uint16)
