"""Scorings of passages, by name. All are higher for a passage that is more likely to help."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.contexts.prompting import Filled
from lib.core.completion import Completion
from lib.core.tokens import Tokens
from lib.scores.ranking import words_of
from lib.scores.token_scores import answer_mask, summarise, summarise_answer
from lib.segmentation.cells import split

Scores = NDArray[np.float64]
DRAFT, QUESTION, GAIN, RETRIEVER, BM25 = "draft", "question", "gain", "retriever", "bm25"
COMBINED = "combined"
BEST_FIRST = (QUESTION, BM25, DRAFT)  # as measured on the embedded model, see docs/contexts.md


@dataclass(frozen=True)
class Scoring:
    """One way to score a passage."""

    name: str
    label: str
    formula: str
    source: str
    needs: str  # what it needs besides the passages; "" for nothing
    calls: int  # per passage, where no other scoring shares one
    price: str  # what a call reads and generates

    @property
    def in_sentence(self) -> str:
        """The label within a sentence."""
        return self.label if self.label.isupper() else self.label[:1].lower() + self.label[1:]


SCORINGS: dict[str, Scoring] = {
    each.name: each
    for each in (
        Scoring(
            QUESTION,
            "Question likelihood",
            "Mean logprob of the question's tokens after the passage, in nats.",
            "Sachan et al. 2022, “Improving Passage Retrieval with Zero-Shot Question Generation” (EMNLP)",
            "prompt logprobs",
            1,
            "reads passage and question; free with a draft if the passage is before the question",
        ),
        Scoring(
            DRAFT,
            "Draft confidence",
            "Mean logprob of a short answer's tokens, generated after passage and question, in nats.",
            "Amazon Web Services 2025, “Unlock model insights with log probability support for Amazon Bedrock Custom "
            "Model Import”",
            "",
            1,
            "reads passage and question; generates the draft",
        ),
        Scoring(
            GAIN,
            "Answer gain",
            "Logprob of one and the same answer after passage and question, minus its logprob after the question "
            "alone, in nats.",
            "Pointwise mutual information of answer and passage, as used by Shi et al. 2023, “Trusting Your Evidence”",
            "prompt logprobs and an answer",
            1,
            "reads passage, question and answer, and once the question and the answer; generates nothing",
        ),
        Scoring(RETRIEVER, "Retriever's score", "As the retriever gave it.", "", "scores with the passages", 0, "free"),
        Scoring(
            BM25,
            "BM25",
            "Sum over the question's words of idf ⋅ tf / (tf + k₁ ⋅ (1 − b + b ⋅ length / mean length)), "
            "k₁ = 1.5, b = 0.75, among these passages only.",
            "Robertson et al. 1994, “Okapi at TREC-3”, with the idf of Lucene, by the library bm25s",
            "",
            0,
            "free",
        ),
    )
}


def draft_score(draft: Completion) -> float:
    """The mean logprob of a draft's tokens, in nats; NaN if none is scored."""
    return summarise_answer(draft).mean_logprob


def question_score(scored: Completion, prompt: Filled) -> float:
    """The mean logprob of the question's tokens in a scored prompt, in nats; NaN if it is not found or not scored.

    A token that belongs to the question with any of its characters counts.
    """
    return summarise(scored.prompt, _rows_of(scored.prompt, prompt.text, prompt.question)).mean_logprob


def passage_tokens(scored: Completion, prompt: Filled) -> int:
    """The number of the passage's tokens in a prompt; 0 if it is not found."""
    return int(_rows_of(scored.prompt, prompt.text, prompt.passage).sum())


def gain(with_passage: Completion, without: Completion) -> float:
    """How much more likely the answer is with a passage than without any, in nats; NaN if that is unknown.

    NaN also if the answer is tokenized differently after the two prompts.
    """
    own, other = with_passage.generated, without.generated
    if own.ids.tolist() != other.ids.tolist():
        return math.nan
    rows = answer_mask(own)
    difference = own.logprobs[rows].astype(np.float64) - other.logprobs[rows].astype(np.float64)
    return float(difference.sum()) if len(difference) else math.nan


def bm25(question: str, passages: Sequence[str]) -> Scores:
    """float64[n]: the BM25 score of each passage for the question; 0 if they share no word."""
    import bm25s  # slow to import
    from bm25s.stopwords import STOPWORDS_EN

    def words(text: str) -> list[str]:
        return [each for each in words_of(text).elements() if each not in STOPWORDS_EN and each != _GENITIVE]

    corpus, query = [words(each) for each in passages], words(question)
    if not any(corpus) or not query:
        return np.zeros(len(passages))
    index = bm25s.BM25(method="lucene")
    index.index(corpus, show_progress=False)
    found: Scores = np.asarray(index.get_scores(query), np.float64)
    return found


def standardized(scores: Scores) -> Scores:
    """float64[n]: scores minus their mean, divided by their standard deviation; 0 if all are equal. NaN stays NaN."""
    known = scores[np.isfinite(scores)]
    if not len(known):
        return np.full(len(scores), np.nan)
    deviation = float(known.std())
    centred = scores - known.mean()
    scaled = centred / deviation if deviation > _ROUNDING * max(1.0, float(np.abs(known).max())) else centred * 0.0
    return np.where(np.isfinite(scores), scaled, np.nan)


def combined(scores: Mapping[str, Scores], weights: Mapping[str, float]) -> Scores:
    """float64[n]: the weighted mean of standardized scores, over those that each passage has; NaN if it has none.

    weights: by scoring; 0 or more. Those of scorings without scores are ignored.
    """
    used = [(standardized(scores[name]), weight) for name, weight in weights.items() if name in scores and weight > 0]
    if not used:
        return np.full(len(next(iter(scores.values()), ())), np.nan)
    columns = np.array([column for column, _ in used])
    shares = np.where(np.isnan(columns), 0.0, np.array([weight for _, weight in used])[:, None])
    total = shares.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean: Scores = np.where(total > 0, (np.nan_to_num(columns) * shares).sum(axis=0) / total, np.nan)
    return mean


def agreement(first: Scores, second: Scores) -> float:
    """Kendall's τ-b of two rankings of the same passages, −1 to 1; NaN if either ranks fewer than two apart."""
    from scipy.stats import kendalltau  # slow to import

    both = np.isfinite(first) & np.isfinite(second)
    if both.sum() < 2 or np.ptp(first[both]) == 0 or np.ptp(second[both]) == 0:
        return math.nan
    return float(kendalltau(first[both], second[both]).statistic)


def _rows_of(tokens: Tokens, text: str, place: tuple[int, int]) -> NDArray[np.bool_]:
    """bool[n]: the tokens that share a character with a place of a text that they contain.

    Chat templates may trim a message, so the trimmed text is looked for. A tokenizer may change characters of a text;
    if the whole is not found for that reason, the last occurrence of the place alone is taken.
    """
    rows = np.zeros(len(tokens), bool)
    cells = split(tokens.pieces, tokens.refs)
    start, end = _found(cells.text, text, place) or _found(cells.text, text[slice(*place)]) or (0, 0)
    inside = np.flatnonzero((cells.starts[1:] > start) & (cells.starts[:-1] < end))
    if end > start and len(inside):
        rows[cells.first[inside[0]] : cells.first[inside[-1] + 1]] = True
    return rows


def _found(whole: str, text: str, place: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """Where a place of a text, or all of it, is in the whole; None if the trimmed text is not in it."""
    trimmed = text.strip()
    found = whole.rfind(trimmed) if trimmed else -1
    if found < 0:
        return None
    shift = found - (len(text) - len(text.lstrip()))
    start, end = place or (0, len(text))
    return max(start + shift, found), min(end + shift, found + len(trimmed))


_GENITIVE = "s"  # of “Rome's”, which is two words here
_ROUNDING = 1e-12  # of scores that are equal but for the order of additions
