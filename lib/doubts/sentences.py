"""Sentences of an answer by their least likely words, and by their least likely stretch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lib.core.completion import Completion
from lib.doubts.methods import METHODS
from lib.doubts.words import Gate, terms
from lib.scores.token_scores import answer_mask
from lib.segmentation.cells import readable
from lib.segmentation.groups import SENTENCE

WINDOW = 5  # tokens, about a clause of an answer in prose
_SHARE = 0.1


@dataclass(frozen=True)
class Sentence:
    """A sentence with a word that says something."""

    text: str
    words: int  # that say something and have a score: what the numbers rest on
    lowest: float  # nats: the 10% quantile of its words' sums of logprobs (Gupta et al. 2024, of tokens)
    window: float  # nats: the lowest mean logprob of `WINDOW` tokens in a row (Fu et al. 2025); NaN if it has fewer


def sentences(completion: Completion) -> tuple[Sentence, ...]:
    """The sentences of an answer, in reading order."""
    found = terms(completion, Gate.CONTENT)
    scores = -METHODS["sum"].of(completion, found)
    ends = np.array([match.end() for match in SENTENCE.finditer(found.text)] or [len(found.text)], np.intp)
    number = np.searchsorted(ends, found.start, side="right")
    begins = np.append(0, ends)

    def each() -> Iterator[Sentence]:
        for sentence in np.unique(number):
            places = np.flatnonzero(number == sentence)
            values = scores[places][~np.isnan(scores[places])]
            end = int(ends[sentence]) if sentence < len(ends) else len(found.text)
            text = found.text[int(begins[sentence]) : end]
            lowest = float(np.quantile(values, _SHARE, method="inverted_cdf")) if len(values) else math.nan
            rows = slice(int(found.first[places[0]]), int(found.last[places[-1]]))
            yield Sentence(readable(text).strip(), len(values), lowest, _lowest_window(completion, rows))

    return tuple(each())


def _lowest_window(completion: Completion, rows: slice) -> float:
    tokens = completion.generated[rows]
    logprobs = tokens.logprobs[answer_mask(tokens)].astype(np.float64)
    logprobs = logprobs[~np.isnan(logprobs)]
    if len(logprobs) < WINDOW:
        return math.nan
    return float(np.lib.stride_tricks.sliding_window_view(logprobs, WINDOW).mean(axis=1).min())
