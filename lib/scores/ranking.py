"""Rank completions of one prompt by how likely the model finds them, and warn when that is misleading.

All logprobs are in nats, over the tokens of `token_scores.answer_mask`: forced tokens, reasoning and the stop token are
excluded from all scores.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import regex
from numpy.typing import NDArray

from lib.core.completion import Completion, Origin
from lib.core.tokens import TokenKind
from lib.scores.token_scores import answer_mask, summarise

LENGTHS_DIFFER = 1.5  # longest to shortest answer; above this, length alone biases sums and means
_WEAKEST = 0.3  # weight of the least confident span in the default score
_FLOOR = -10.0  # nats; lower bound of the span's mean, so that one very unlikely word does not decide the rank

_WORDS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|\w+")

DEFAULT = "balanced"
ORDERS = ("balanced", "mean", "sum", "lowest", "tenth", "agreement", "both")


@dataclass(frozen=True)
class CandidateScores:
    """Scores of one answer, in nats except perplexity. NaN if no token is scored.

    `balanced` is the default ranking. A mean hides one bad passage in a long answer, and a sum falls with every token.
    Local confidence separates right from wrong answers better than the global mean (Fu et al. 2025, "Deep Think with
    Confidence"), but a minimum alone is noisy, so the two are blended. Weight and floor are customary values for such
    blends, not calibrated ones.
    """

    tokens: int  # scored tokens
    impossible: int  # tokens with p = 0, which make the sum -inf and are excluded from means
    total: float  # sum of logprobs
    mean: float  # mean logprob
    lowest: float  # mean logprob of the least confident span of 8 tokens, or of all tokens if there are fewer
    tenth: float  # 10% quantile: the largest logprob that at least a tenth of the tokens do not exceed
    balanced: float  # 0.7 mean + 0.3 max(lowest, -10)
    perplexity: float  # exp(-mean)


def scores_of(completion: Completion) -> CandidateScores:
    """The scores of a completion's answer."""
    mask = answer_mask(completion.generated)
    values = completion.generated.logprobs[mask].astype(np.float64)
    finite = values[np.isfinite(values)]
    summary = summarise(completion.generated, mask)
    mean = summary.mean_logprob
    lowest = mean if summary.span is None else summary.span.mean_logprob
    return CandidateScores(
        tokens=summary.scored,
        impossible=summary.impossible,
        total=float(np.nansum(values)) if summary.scored else math.nan,
        mean=mean,
        lowest=lowest,
        tenth=float(np.quantile(finite, 0.1, method="inverted_cdf")) if len(finite) else math.nan,
        balanced=(1 - _WEAKEST) * mean + _WEAKEST * max(lowest, _FLOOR),
        perplexity=summary.perplexity,
    )


@dataclass(frozen=True)
class Ranked:
    """A distinct answer with its scores. Completions with the same text are one answer."""

    completion: Completion  # the first one with this text
    places: tuple[int, ...]  # indices of its completions
    sampled: int  # how many of them the model sampled
    scores: CandidateScores
    agreement: float  # share of samples with the same normalized text, 0 to 1; NaN without samples
    consistency: float  # mean similarity to the other samples, 0 to 1; NaN without others
    both: float  # consistency times exp(mean logprob): a score, not a probability of being right

    def score(self, order: str) -> float:
        """The score that `order` ranks by; higher is better."""
        scores = self.scores
        found = {
            "balanced": scores.balanced,
            "mean": scores.mean,
            "sum": scores.total,
            "lowest": scores.lowest,
            "tenth": scores.tenth,
            "agreement": self.agreement,
            "both": self.both,
        }
        return found[order]


def ranked(completions: Sequence[Completion], order: str = DEFAULT) -> tuple[Ranked, ...]:
    """The distinct answers, best first. Answers without that score come last, in their original order.

    Completions of origin "generated" count as samples. If completions with the same text differ in tokens, the scores
    are those of the first one.

    order: one of ORDERS.
    """
    groups: dict[str, list[int]] = {}
    for place, each in enumerate(completions):
        groups.setdefault(each.text, []).append(place)
    samples = Counter(each.text for each in completions if each.origin == Origin.GENERATED)
    votes: Counter[str] = Counter()
    for text, number in samples.items():
        votes[normalised(text)] += number
    words = {text: words_of(text) for text in groups}
    found = []
    for text, places in groups.items():
        scores = scores_of(completions[places[0]])
        consistency = _consistency(text, samples, words)
        found.append(
            Ranked(
                completion=completions[places[0]],
                places=tuple(places),
                sampled=samples[text],
                scores=scores,
                agreement=votes[normalised(text)] / samples.total() if samples else math.nan,
                consistency=consistency,
                both=consistency * math.exp(scores.mean),
            )
        )
    return tuple(sorted(found, key=lambda each: _last_if_missing(each.score(order))))


def _consistency(text: str, samples: Counter[str], words: dict[str, Counter[str]]) -> float:
    """Mean overlap of a text with the samples, one sample of itself excluded; NaN without others."""
    others = samples.copy()
    others[text] -= min(samples[text], 1)
    number = others.total()
    similar = sum(count * overlap(words[text], words[other]) for other, count in others.items() if count)
    return similar / number if number else math.nan


def _last_if_missing(score: float) -> float:
    return math.inf if math.isnan(score) else -score


def normalised(text: str) -> str:
    """The text without differences in case, whitespace, compatibility forms and final punctuation."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()).rstrip(".!?。！？ ")


def words_of(text: str) -> Counter[str]:
    """The words of a text, or its characters in scripts without spaces, such as Chinese and Japanese."""
    return Counter(_WORDS.findall(normalised(text)))


def overlap(words: Counter[str], others: Counter[str]) -> float:
    """F1 of the words two texts share (ROUGE-1: Lin 2004), 0 to 1; 1 for two empty texts."""
    if not words and not others:
        return 1.0
    return 2 * (words & others).total() / (words.total() + others.total())


def lengths_differ(found: Sequence[Ranked]) -> bool:
    """Whether the longest answer has more than 1.5 times the scored tokens of the shortest.

    Sums fall with every token, and means of longer texts regress to the middle: Gupta et al. 2024, "Language Model
    Cascades: Token-level Uncertainty and Beyond".
    """
    lengths = [each.scores.tokens for each in found if each.scores.tokens]
    return bool(lengths) and max(lengths) > LENGTHS_DIFFER * min(lengths)


def joined(prompt: str, candidate: str) -> str:
    """The candidate to append to a raw prompt, with a leading space if words would run together."""
    glued = bool(prompt) and prompt[-1].isascii() and not prompt[-1].isspace() and not candidate[:1].isspace()
    return f" {candidate}" if glued else candidate


def forced_tokens(completion: Completion) -> int:
    """The number of forced tokens in the answer, which are excluded from all scores."""
    kinds: NDArray[np.uint8] = completion.generated.kinds
    return int((kinds == TokenKind.FORCED).sum())
