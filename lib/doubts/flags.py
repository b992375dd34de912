"""Flags: the terms of an answer that are doubtful enough to show, with what else the model could have written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lib.core.completion import Completion
from lib.core.tokens import TokenKind, Tokens
from lib.doubts.methods import METHODS, SUDDEN, Method, drop, scored
from lib.doubts.presets import Presets, presets_of
from lib.doubts.words import Gate, Kind, Terms

Column = NDArray[np.float64]

BEFORE = 60  # characters that are shown before a term
MOST_ALTERNATIVES = 4


class Severity(StrEnum):
    """How doubtful a flagged term is, in words."""

    MILD = "mild"
    CLEAR = "clear"
    STRONG = "strong"


@dataclass(frozen=True)
class Alternative:
    """What the model could have written instead of a term, as far as one token tells."""

    text: str  # the term up to its least likely token, with another token there
    probability: float  # of that token at that position
    whole: bool  # whether it is known to be a whole word
    row: int  # of the token in `completion.generated`
    ref: int  # the other token, a row of the piece table


@dataclass(frozen=True)
class Flag:
    """A term that is flagged."""

    place: int  # in the terms
    text: str
    kind: Kind
    first: int  # the row of its first token in `completion.generated`
    last: int  # the row after its last token
    score: float
    severity: Severity
    sudden: bool  # whether it is far less likely than what comes before
    before: str  # the text before it
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, eq=False)
class Doubts:
    """Every term of an answer that could be flagged."""

    completion: Completion
    method: Method
    terms: Terms
    scores: Column  # float64[m], the higher the more doubtful; NaN where it cannot be told

    @cached_property
    def sudden(self) -> NDArray[np.bool_]:
        """bool[m]: the terms that are a sudden drop. False, too, where no token before the term has a logprob."""
        falls: NDArray[np.bool_] = drop(self.completion, self.terms) >= SUDDEN
        return falls

    def flags(self, threshold: float) -> tuple[Flag, ...]:
        """The terms whose score is at least the threshold, in reading order."""
        return tuple(self._flag(int(place)) for place in np.flatnonzero(self.scores >= threshold))

    def _flag(self, place: int) -> Flag:
        found, score = self.terms, float(self.scores[place])
        return Flag(
            place,
            found.text_of(place),
            found.kinds[place],
            int(found.first[place]),
            int(found.last[place]),
            score,
            severity(score, presets_of(self.method.name)),
            bool(self.sudden[place]),
            found.before(place, BEFORE),
            self.alternatives(place),
        )

    def alternatives(self, place: int) -> tuple[Alternative, ...]:
        """What the model could have written instead of a term, the most likely first."""
        return tuple(self._alternatives(place))

    @cached_property
    def _lists(self) -> tuple[list[float], list[int], list[list[int]], list[list[float]]]:
        """The answer's columns as Python lists, which are faster to pick from: see `_unlikely`, and those of tokens."""
        tokens = self.completion.generated
        shares = np.exp(tokens.top_logprobs.astype(np.float64))
        return _unlikely(tokens), tokens.refs.tolist(), tokens.top_refs.tolist(), shares.tolist()

    def _alternatives(self, place: int) -> Iterator[Alternative]:
        unlikely, refs, listed, shares = self._lists
        pieces = self.completion.pieces
        texts, special = pieces.texts, pieces.special
        first, last = int(self.terms.first[place]), int(self.terms.last[place])
        row = max(range(first, last), key=unlikely.__getitem__)
        if refs[row] < 0:
            return
        written = "".join(texts[ref] for ref in refs[first:row] if ref >= 0)
        term, chosen = self.terms.text_of(place), texts[refs[row]]
        count = 0
        for ref, probability in zip(listed[row], shares[row], strict=True):
            if ref < 0 or count == MOST_ALTERNATIVES or texts[ref] == chosen or special[ref]:
                continue
            text = (written + texts[ref]).strip()
            if text and text != term:
                count += 1
                yield Alternative(text, probability, not text[-1].isalnum(), row, ref)


def doubts_of(
    completion: Completion, method: str, gate: Gate = Gate.TERMS, *, leave_out: Sequence[tuple[int, int]] = ()
) -> Doubts:
    """Every term of an answer with its score by a method of `METHODS`.

    leave_out: ranges of tokens, such as the keys of JSON; terms inside one are left out.
    """
    found, scores = scored(completion, METHODS[method], gate)
    if leave_out:
        covered = np.zeros(len(completion.generated) + 1, np.int64)
        for first, last in leave_out:
            covered[first:last] = 1
        before = np.append(0, np.cumsum(covered))
        kept = before[found.last] - before[found.first] < found.last - found.first
        found, scores = found.only(kept), scores[kept]
    return Doubts(completion, METHODS[method], found, scores)


def severity(score: float, presets: Presets) -> Severity:
    """In words: clear from the usual threshold on, strong from that of few flags."""
    if score >= presets.few:
        return Severity.STRONG
    return Severity.CLEAR if score >= presets.usual else Severity.MILD


def _unlikely(tokens: Tokens) -> list[float]:
    """Per token how unlikely it was; −1 where that is unknown, and where the model did not choose."""
    values = np.where(tokens.kinds == TokenKind.FORCED, -1.0, np.nan_to_num(-tokens.logprobs, nan=-1.0))
    found: list[float] = values.tolist()
    return found


def shown(alternatives: Sequence[Alternative]) -> list[tuple[str, float]]:
    """Alternatives as (text, probability); what may be the beginning of a word only ends in an ellipsis."""
    return [(each.text if each.whole else f"{each.text}…", each.probability) for each in alternatives]
