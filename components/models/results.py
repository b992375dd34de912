"""One text under two models: the map of the difference, a summary of each, and where they differ most."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from components.difference_map import difference_map
from components.models.saved_side import moment
from components.pickers.model_label import model_name
from components.shell.escaping import bold
from components.shell.messages import show_warnings
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.core.completion import Completion
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Batch
from lib.scores.alignment import Aligned, aligned
from lib.scores.token_scores import summarise_prompt
from lib.studies.model_comparison import ModelsPlan, text_of, whole_text

_LARGEST = 10  # spans in each list


def side_names(plan: ModelsPlan) -> list[str]:
    """The models' names; a saved side's has its date."""
    return [
        f"{model_name(each.source) or 'Saved response'}{f', saved {moment(each.saved)}' if each.saved else ''}"
        for each in plan.sides
    ]


def compared(plan: ModelsPlan, batch: Batch) -> None:
    """Show the comparison."""
    done = batch.completions
    if len(done) == 2:
        if any(each.saved for each in plan.sides):
            _warn_of_different_texts(plan, done)
        _both(side_names(plan), whole_text(done[0]), whole_text(done[1]))
    elif done:
        st.caption("Only one model has scored the text:")
        map_with_pin(TokenMapView(done[0]), key="models.only")


def _warn_of_different_texts(plan: ModelsPlan, done: tuple[Completion, ...]) -> None:
    first, second = (text_of(side.request, each) for side, each in zip(plan.sides, done, strict=True))
    if first.split() != second.split():
        st.warning(
            "The two runs have different texts. Only the parts they have in common are compared, and what comes "
            "before a part also affects its probability.",
            icon=":material/difference:",
        )


def _both(names: list[str], first: Completion, second: Completion) -> None:
    found = aligned(first.prompt, second.prompt)
    for each in (first, second):
        show_warnings(each.warnings)
    if not len(found):
        st.info(
            "Both models have no scored text in common. Choose runs with prompt logprobs or answers of the same text.",
            icon=":material/info:",
        )
        return
    difference_map(
        found.texts, found.differences, around=found.around, key="models.map",
        ends=("less likely to the second model", "more likely"),
        label="Where the second model differs from the first",
    )  # fmt: skip
    st.caption(
        f"Comparing {formatting.count(found.characters, 'character')} in {formatting.count(len(found), 'span')} "
        "aligned across both tokenizers. Differences are in nats. Grey text has no score from one of the models."
    )
    _summary(found, names, first, second)
    for column, gains in zip(st.columns(2, gap="medium"), (True, False), strict=True):
        with column:
            _largest(found, gains=gains)
    with st.expander("Each model's own map", icon=":material/grid_on:"):
        for number, (column, each) in enumerate(zip(st.columns(2, gap="medium"), (first, second), strict=True)):
            with column:
                st.markdown(bold(names[number]))
                map_with_pin(TokenMapView(each), key=f"models.beside.{number}", beside="models.beside")


def _summary(found: Aligned, names: list[str], first: Completion, second: Completion) -> None:
    rows = []
    for name, done, bits, left in zip(names, (first, second), found.bits_per_character(), found.left_out, strict=True):
        own = summarise_prompt(done)
        rows.append(
            {
                "Model": name,
                "Bits per character": bits,
                "Perplexity": own.perplexity,
                "Tokens scored": own.scored,
                "Not compared": left,
            }
        )
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "Bits per character": number(
                format="%.3f",
                help="−log2 of the probability of the compared text, per character. Lower is more confident; "
                "comparable between tokenizers.",
            ),
            "Perplexity": number(
                format="%.2f", help="exp(−mean logprob) per token. Not comparable between different tokenizers."
            ),
            "Not compared": number(help="Scored tokens that align with no tokens of the other model."),
        },
    )


def _largest(found: Aligned, *, gains: bool) -> None:
    st.markdown(f"**{'More' if gains else 'Less'} likely to the second model**")
    spans = found.largest(_LARGEST, gains=gains)
    if not spans:
        st.caption("No part of the text.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Text": [formatting.visible(found.texts[span]) for span in spans],
                "Difference (nats)": [found.differences[span] for span in spans],
                "First (nats)": [found.logprobs[span] for span in spans],
                "Second (nats)": [found.others[span] for span in spans],
            }
        ),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.3f")
            for name in ("Difference (nats)", "First (nats)", "Second (nats)")
        },
    )
