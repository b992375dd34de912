"""The scores of a whole answer, each with the number of tokens it rests on."""

from __future__ import annotations

import streamlit as st

from components.calibrated import probability_metric
from lib import formatting
from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.display.token_map_view import TokenMapView
from lib.scores.token_scores import Summary, summarise_answer, summarise_prompt

_ENDED = {
    "stop": "The model ended its answer.",
    "stop string": "Stopped at a stop sequence, which the text leaves out.",
    "length": "Stopped at the token limit.",
    "cancelled": "You stopped it. The partial answer is kept.",
    "incomplete": "The connection dropped; the answer is incomplete.",
}

_MEAN = (
    "Average logprob of the answer's tokens, in nats: 0 is certain, −0.7 a coin toss per token. "
    "It says how confident the model was, not whether the answer is true."
)
_PERPLEXITY = "exp(−mean logprob): among how many equally likely tokens the model was choosing, on average."
_PROMPT = "Perplexity of your prompt, without its first token and control tokens. Lower means more familiar wording."
_COUNT = "n is the number of tokens that the scores rest on. Few tokens, shaky numbers."


def summary(view: TokenMapView) -> None:
    """Show scores of answer and prompt, the least confident span, and why the answer ended."""
    done = view.completion
    thinking = bool((done.generated.kinds == TokenKind.REASONING).any())
    include = thinking and st.toggle(
        "Include reasoning in the answer's scores", key="summary.reasoning", help="Tokens between <think> and </think>."
    )
    answer, prompt = summarise_answer(done, reasoning=include), summarise_prompt(done)
    with st.container(horizontal=True, gap="medium"):
        if len(done.generated):
            st.metric("Answer, mean logprob", formatting.nats(answer.mean_logprob), help=_MEAN, width="content")
            st.metric("Answer, perplexity", formatting.number(answer.perplexity, 2), help=_PERPLEXITY, width="content")
            probability_metric(done)
        st.metric("Prompt, perplexity", formatting.number(prompt.perplexity, 2), help=_PROMPT, width="content")
    _least_confident(done, answer)
    notes = [_counts(done, answer, prompt), _ENDED.get(done.ended, ""), _impossible(answer)]
    st.caption(" ".join(note for note in notes if note), help=_COUNT)


def _counts(done: Completion, answer: Summary, prompt: Summary) -> str:
    """How many tokens the scores rest on: "n = 40 answer tokens, 4 prompt tokens."."""
    counts = [formatting.count(answer.scored, "answer token")] if len(done.generated) else []
    return f"n = {', '.join([*counts, formatting.count(prompt.scored, 'prompt token')])}."


def _least_confident(done: Completion, answer: Summary) -> None:
    if answer.span is None:
        return
    refs = done.generated.refs[answer.span.first : answer.span.last]
    text = done.pieces.select(refs).data.tobytes().decode("utf-8", "replace")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f"Least confident span: tokens {answer.span.first + 1}–{answer.span.last}, "
            f"mean {formatting.nats(answer.span.mean_logprob)}",
            width="content",
        )
        st.text(formatting.visible(text).replace("·", " ").strip())


def _impossible(answer: Summary) -> str:
    if not answer.impossible:
        return ""
    verb = "is" if answer.impossible == 1 else "are"
    return f"{formatting.count(answer.impossible, 'token')} with probability 0 {verb} excluded from the mean."
