"""How the probability at an answer's tokens divides among the texts that could be written there."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from lib.core.pieces import Ints
from lib.core.tokens import TokenKind, Tokens

MOST_TEXTS = 200
_MOST_TOKENS = 64  # of an answer's way through the texts


@dataclass(frozen=True)
class Spread:
    """The probability of each of some texts. All numbers are NaN if a token on the way is unscored.

    Each is what the listed alternatives show, so that the true one may be higher by up to `undecided` + `others`.
    """

    probabilities: tuple[float, ...]  # of each text
    undecided: float  # of tokens that begin several of the texts
    others: float  # of everything else: tokens that begin none of the texts, and tokens that are not listed


@dataclass(frozen=True)
class Texts:
    """The texts to look for, and how they are compared with what tokens spell."""

    texts: tuple[str, ...]  # none twice
    before: str = ""  # what the first token spells before a text begins
    ends: Callable[[str], bool] = lambda _: True  # whether a character after a text ends it
    folded: Callable[[str], str] = str  # what of a spelling is compared

    def begun(self, spelt: bytes, places: Iterable[int]) -> list[int]:
        """Which of the texts at some places a spelling begins or has written; of those it has written, the longest."""
        made = self.folded(_shown(spelt))
        fits = [place for place in places if self._fits(made, self.before + self.texts[place])]
        written = [place for place in fits if made.startswith(self.before + self.texts[place])]
        longest = max((len(self.texts[place]) for place in written), default=0)
        return [place for place in fits if place not in written or len(self.texts[place]) == longest]

    def _fits(self, made: str, text: str) -> bool:
        return text.startswith(made) or (made.startswith(text) and self.ends(made[len(text)]))


def spread(tokens: Tokens, rows: Ints, texts: Texts) -> Spread:
    """Follow the answer's tokens to where they leave all texts but one, and add up what would have led to each.

    At each token, an alternative that fits one text adds to it the probability of the way there times its own. An
    alternative that fits several is undecided: what would have come after it is not known.

    rows: int32[m], the answer's tokens from the first that spells something of a text.
    """
    found = [0.0] * len(texts.texts)
    undecided, way, spelt = 0.0, 1.0, b""
    left = list(range(len(found)))  # texts that the answer may still write
    for row in rows[:_MOST_TOKENS].tolist():
        chosen, probability = int(tokens.refs[row]), math.exp(float(tokens.logprobs[row]))
        if math.isnan(probability):
            return Spread((math.nan,) * len(found), math.nan, math.nan)
        for ref, own in _alternatives(tokens, row):
            fits = texts.begun(spelt + _bytes(tokens, ref), left)
            if len(fits) == 1:
                found[fits[0]] += way * own
            elif fits:
                undecided += way * own
        ended = tokens.kinds[row] == TokenKind.STOP
        spelt += _END if ended else _bytes(tokens, chosen)
        way *= probability
        left = texts.begun(spelt, left)
        if len(left) == 1:
            found[left[0]] += way
        if len(left) < 2:
            way = 0.0
            break
    undecided += way
    return Spread(tuple(min(each, 1.0) for each in found), min(undecided, 1.0), max(1 - sum(found) - undecided, 0.0))


_END = b"\n"  # in the place of a token that ends the answer


def _alternatives(tokens: Tokens, row: int) -> Iterable[tuple[int, float]]:
    """(ref, probability) of the listed tokens without the chosen one."""
    refs, logprobs = tokens.top_refs[row], tokens.top_logprobs[row].astype(np.float64)
    chosen = tokens.refs[row]
    for ref, logprob in zip(refs.tolist(), logprobs.tolist(), strict=True):
        if ref >= 0 and ref != chosen and not math.isnan(logprob):
            yield ref, math.exp(logprob)


def _bytes(tokens: Tokens, ref: int) -> bytes:
    return _END if ref >= 0 and tokens.pieces.special[ref] else tokens.pieces.bytes_of(ref)


def _shown(spelt: bytes) -> str:
    """The characters that bytes spell; without a part of one at the end, and with U+FFFD for what spells none."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(spelt)
