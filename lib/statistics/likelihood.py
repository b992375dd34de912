"""How well a model predicts texts: over all tokens or characters of the texts together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lib.statistics.bootstrap import Statistic, Weights

Column = NDArray[np.float64]


def perplexity(logprobs: Column, tokens: NDArray[np.integer]) -> Statistic:
    """exp(−Σ log p / Σ tokens). Only comparable between models with the same tokenizer.

    logprobs: float[n], the sum of each text's logprobs in nats. tokens: int[n], how many tokens that sum is over.
    """

    def statistic(weights: Weights) -> Column:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found: Column = np.exp(-(weights @ logprobs) / (weights @ tokens))
        return found

    return statistic


def bits_per_character(logprobs: Column, characters: NDArray[np.integer]) -> Statistic:
    """−Σ log₂ p / Σ characters, which models with different tokenizers can be compared by.

    characters: int[n], how many characters the scored tokens of each text spell.
    """

    def statistic(weights: Weights) -> Column:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Column = -(weights @ logprobs) / np.log(2) / (weights @ characters)
        return found

    return statistic
