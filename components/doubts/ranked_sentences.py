"""The sentences of an answer, the least confident first."""

from __future__ import annotations

import streamlit as st

from lib import formatting
from lib.core.completion import Completion
from lib.doubts.sentences import WINDOW, sentences
from lib.segmentation.char_classes import marked

_LONGEST = 400  # characters of a sentence in the table


def ranked_sentences(done: Completion) -> None:
    """Show the sentences in an expander, if there are several."""
    found = sorted(sentences(done), key=lambda each: each.lowest if each.words else 0.0)
    if len(found) < 2:
        return
    with st.expander("Sentences, least confident first", icon=":material/notes:"):
        st.dataframe(
            [
                {
                    "Sentence": marked(formatting.beginning(each.text, _LONGEST)),
                    "Lowest tenth of words": formatting.nats(each.lowest),
                    f"Lowest {WINDOW} tokens, mean": formatting.nats(each.window),
                    "Words": each.words,
                }
                for each in found
            ],
            hide_index=True,
        )
        st.caption(
            "A sentence is as doubtful as its least likely words: the 10% quantile of their logprobs, and the "
            f"lowest mean logprob of {WINDOW} tokens in a row. Words: how many are counted, without function words."
        )
