"""P(True): the probability of Yes against No when a model is asked if an answer is correct.

Kadavath et al. 2022, "Language Models (Mostly) Know What They Know", without examples. Small models know nothing of it.
"""

from __future__ import annotations

import math

import numpy as np

from lib.core.completion import Completion
from lib.scores.token_scores import answer_mask

P_TRUE = "P(True)"  # its name among measured scores

_PROMPT = (
    "{question}\n\nProposed answer: {answer}\n\nIs the proposed answer correct? Answer with one word, Yes or No.{cue}"
)
_CUE = "\nAnswer:"  # after which a model that is not in a chat continues


def verdict_prompt(question: str, answer: str, *, chat: bool) -> str:
    """The prompt that asks for one word."""
    return _PROMPT.format(question=question.strip(), answer=answer.strip(), cue="" if chat else _CUE)


def yes_and_no(verdict: Completion) -> tuple[float, float]:
    """The probability of each word at the first token with ink; NaN if there is none, or if it is neither word."""
    tokens, pieces = verdict.generated, verdict.pieces
    for row in np.flatnonzero(answer_mask(tokens)).tolist():
        chosen = pieces.text_of(int(tokens.refs[row])).strip().casefold()
        if not chosen:
            continue
        p = math.exp(float(tokens.logprobs[row]))
        if tokens.k < 2:  # the chosen token alone is known: the rest is taken to be the other word
            return {"yes": (p, 1 - p), "no": (1 - p, p)}.get(chosen, (math.nan, math.nan))
        listed = zip(tokens.top_refs[row].tolist(), tokens.top_logprobs[row].tolist(), strict=True)
        shares = {ref: math.exp(logprob) for ref, logprob in listed if ref >= 0}
        shares.setdefault(int(tokens.refs[row]), p)
        yes, no = (
            sum(share for ref, share in shares.items() if pieces.text_of(ref).strip().casefold() == word)
            for word in ("yes", "no")
        )
        return yes, no
    return math.nan, math.nan


def p_true(verdict: Completion) -> float:
    """p(Yes) / (p(Yes) + p(No)); NaN if neither is listed."""
    yes, no = yes_and_no(verdict)
    return yes / (yes + no) if yes + no > 0 else math.nan
