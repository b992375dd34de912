"""Ranking completions of one prompt by how likely the model holds them, and what speaks against such a ranking.

All logprobs in nats, over the tokens that `token_scores.answer_mask` selects: what was forced, reasoning and
the stop token count in no score.
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

from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.scores.token_scores import answer_mask, least_sure_stretch

LENGTHS_DIFFER = 1.5  # times as long as the shortest: from there on sum and mean favour one side by length alone
_WEAKEST = 0.3  # the share of the least sure stretch in the default score
_FLOOR = -10.0  # nats: a stretch below counts as this, so that one impossible word does not decide everything

_WORDS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]|\w+")

DEFAULT = "balanced"
ORDERS = ("balanced", "mean", "sum", "lowest", "tenth", "agreement", "both")


@dataclass(frozen=True)
class CandidateScores:
    """CandidateScores of one answer; all in nats but for perplexity, and NaN where nothing is scored.

    tokens: how many they rest on. impossible: tokens with p = 0, which make the sum -inf and are in no mean. total: the
    sum of logprobs. lowest: mean logprob of the least sure stretch of 8 tokens, of all of them where there are fewer.
    tenth: the 10 % quantile, the largest logprob that at least a tenth of the tokens do not exceed. balanced:
    0.7 mean + 0.3 max(lowest, -10).

    `balanced` is the default to rank by. A mean alone drowns one bad passage in a long answer; a sum alone falls with
    every token; local confidence told right from wrong answers better than the global mean (Fu et al. 2025, "Deep Think
    with Confidence"), and mean and weakest part together are robust where a minimum alone is noisy. Weights and floor
    are those in use for such blends, a convention and not a calibration.
    """

    tokens: int
    impossible: int
    total: float
    mean: float
    lowest: float
    tenth: float
    balanced: float
    perplexity: float


def scores_of(completion: Completion) -> CandidateScores:
    """The scores of a completion's answer."""
    mask = answer_mask(completion.generated)
    values = completion.generated.logprobs[mask].astype(np.float64)
    values = values[~np.isnan(values)]
    finite = values[np.isfinite(values)]
    if not len(finite):
        total = -math.inf if len(values) else math.nan
        return CandidateScores(len(values), len(values), total, *[math.nan] * 5)
    mean = float(finite.mean())
    stretch = least_sure_stretch(completion.generated, mask)
    lowest = mean if stretch is None else stretch.mean_logprob
    return CandidateScores(
        tokens=len(values),
        impossible=len(values) - len(finite),
        total=float(values.sum()),
        mean=mean,
        lowest=lowest,
        tenth=float(np.quantile(finite, 0.1, method="inverted_cdf")),
        balanced=(1 - _WEAKEST) * mean + _WEAKEST * max(lowest, _FLOOR),
        perplexity=math.exp(min(-mean, 700.0)),
    )


@dataclass(frozen=True)
class Ranked:
    """One answer among others. Equal texts are one answer.

    places: where its completions stand among those that were given. sampled: how many of them the model drew itself.
    agreement: the share of all samples that say the same, whatever the case, spaces and full stops; NaN without
    samples. consistency: mean similarity to the other samples, 0 to 1; NaN where there is no other. both: consistency
    times exp(mean logprob), a score and no probability of being right.
    """

    completion: Completion
    places: tuple[int, ...]
    sampled: int
    scores: CandidateScores
    agreement: float
    consistency: float
    both: float

    def score(self, order: str) -> float:
        """The number that `order` ranks by; larger is better."""
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
    """The distinct answers, best first by one of ORDERS; those without that score come last, as they were given.

    A completion of origin "generated" is a sample. Two completions of the same text may be of other tokens; the first
    one's scores count.
    """
    groups: dict[str, list[int]] = {}
    for place, each in enumerate(completions):
        groups.setdefault(each.text, []).append(place)
    drawn = [place for place, each in enumerate(completions) if each.origin == "generated"]
    said = {text: normalised(text) for text in groups}
    spoken = Counter(said[completions[place].text] for place in drawn)
    words = {text: words_of(text) for text in groups}
    found = []
    for text, places in groups.items():
        sampled = sum(place in drawn for place in places)
        scores = scores_of(completions[places[0]])
        # A sample is compared with the others; one of its own is left out.
        others = Counter(completions[place].text for place in drawn)
        others[text] -= min(sampled, 1)
        number = others.total()
        similar = sum(count * overlap(words[text], words[other]) for other, count in others.items() if count)
        consistency = similar / number if number else math.nan
        found.append(
            Ranked(
                completion=completions[places[0]],
                places=tuple(places),
                sampled=sampled,
                scores=scores,
                agreement=spoken[said[text]] / len(drawn) if drawn else math.nan,
                consistency=consistency,
                both=consistency * math.exp(scores.mean),
            )
        )
    return tuple(sorted(found, key=lambda each: _last_if_missing(each.score(order))))


def _last_if_missing(score: float) -> float:
    return math.inf if math.isnan(score) else -score


def normalised(text: str) -> str:
    """A text as agreement sees it: case, spaces, compatibility forms and punctuation at its end do not count."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split()).rstrip(".!?。！？ ")


def words_of(text: str) -> Counter[str]:
    """The words of a text; where words are not set apart, as in Chinese and Japanese, its characters."""
    return Counter(_WORDS.findall(normalised(text)))


def overlap(words: Counter[str], others: Counter[str]) -> float:
    """F1 of the words that two texts share (ROUGE-1: Lin 2004), 0 to 1; 1 for two empty texts."""
    if not words and not others:
        return 1.0
    return 2 * (words & others).total() / (words.total() + others.total())


def lengths_differ(found: Sequence[Ranked]) -> bool:
    """Whether the longest answer has more than 1.5 times the scored tokens of the shortest.

    Sums fall with every token and means of longer texts are drawn to the middle: Gupta et al. 2024, "Language Model
    Cascades: Token-level Uncertainty and Beyond".
    """
    lengths = [each.scores.tokens for each in found if each.scores.tokens]
    return bool(lengths) and max(lengths) > LENGTHS_DIFFER * min(lengths)


def joined(prompt: str, candidate: str) -> str:
    """A candidate as it goes on from a raw prompt: a space before it where words would run into each other."""
    glued = bool(prompt) and prompt[-1].isascii() and not prompt[-1].isspace() and not candidate[:1].isspace()
    return f" {candidate}" if glued else candidate


def forced_tokens(completion: Completion) -> int:
    """How many tokens of the answer were put there by somebody, and count in no score."""
    kinds: NDArray[np.uint8] = completion.generated.kinds
    return int((kinds == TokenKind.FORCED).sum())
