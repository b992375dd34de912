"""The numbers that stand for a whole answer, each with how many tokens it rests on."""

from __future__ import annotations

import streamlit as st

from lib import formatting
from lib.core.completion import Completion
from lib.core.tokens import TokenKind
from lib.display.token_map_view import TokenMapView
from lib.scores.token_scores import Summary, summarise_answer, summarise_prompt

_STOPPED = {
    "stop": "The answer ended by itself.",
    "stop string": "The answer ended at a stop string; its text ends before it.",
    "length": "The answer was cut at the number of tokens asked for.",
    "cancelled": "You stopped it; what had come is kept.",
    "incomplete": "The answer broke off before its end.",
}


def summary(view: TokenMapView) -> None:
    """Scores of answer and prompt, and where the answer was least sure."""
    done = view.completion
    thinking = bool((done.generated.kinds == TokenKind.REASONING).any())
    include = thinking and st.toggle(
        "Count reasoning in the answer's scores", key="summary.reasoning", help="Tokens between <think> and </think>."
    )
    answer, prompt = summarise_answer(done, reasoning=include), summarise_prompt(done)
    with st.container(horizontal=True, gap="large"):
        if len(done.generated):
            st.metric("Answer, mean logprob", formatting.nats(answer.mean_logprob), help=_MEAN, width="content")
            st.metric("Answer, perplexity", formatting.number(answer.perplexity, 2), help=_PERPLEXITY, width="content")
        st.metric("Prompt, perplexity", formatting.number(prompt.perplexity, 2), help=_PROMPT, width="content")
        st.metric("Tokens scored", f"{answer.scored:,} + {prompt.scored:,}", help=_SCORED, width="content")
    _least_sure(done, answer)
    notes = [_STOPPED.get(done.ended, ""), _impossible(answer)]
    if any(notes):
        st.caption(" ".join(note for note in notes if note))


def _least_sure(done: Completion, answer: Summary) -> None:
    if answer.stretch is None:
        return
    refs = done.generated.refs[answer.stretch.first : answer.stretch.last]
    text = done.pieces.select(refs).data.tobytes().decode("utf-8", "replace")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f"Least sure stretch, tokens {answer.stretch.first + 1}–{answer.stretch.last}, "
            f"mean {formatting.nats(answer.stretch.mean_logprob)}",
            width="content",
        )
        st.text(formatting.visible(text).replace("·", " ").strip())


def _impossible(answer: Summary) -> str:
    if not answer.impossible:
        return ""
    return f"{formatting.count(answer.impossible, 'token')} of probability 0 stand outside the mean."


_MEAN = (
    "The average of the answer's token logprobs, in nats: 0 is certain, −0.7 a coin toss per token. "
    "It says how sure the model was of its words, not whether they are true."
)
_PERPLEXITY = "exp(−mean logprob): among how many equally likely tokens the model was choosing, on average."
_PROMPT = "The same for your text, from its second token on, without control tokens. High: unusual wording."
_SCORED = "How many tokens the numbers rest on, answer + prompt. Few tokens, shaky numbers."
