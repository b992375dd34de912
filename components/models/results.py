"""Two models' readings of one text: a summary of each, the map of the difference, and where it is largest."""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from components.difference_map import difference_map
from components.jobs.progress import when_done
from components.pickers.model_label import model_name
from components.shell.escaping import bold
from components.shell.messages import show_error, show_warnings
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.core.completion import Completion
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Many
from lib.jobs.job import Job
from lib.jobs.plan import Several
from lib.scores.alignment import Aligned, aligned
from lib.scores.token_scores import summarise_prompt

_LARGEST = 10  # spans in the lists of gains and losses


def show_readings(job: Job[Any] | None) -> None:
    """Both readings, once they are there; without a job, what will stand here."""
    if job is None:
        st.caption(
            "Here the text will stand, tinted by how much likelier or less likely the second model holds each part. "
            "Models with different tokenizers are compared, too."
        )
        return
    if isinstance(job.subject, Several):
        when_done(job, partial(_show, [model_name(each.source) for each in job.subject.questions]))


def _show(names: list[str], many: Many[Completion]) -> None:
    for name, each in zip(names, many.outcomes, strict=True):
        if each.error is not None:
            st.markdown(bold(name))
            show_error(each.error)
    came = [each.result for each in many.outcomes if each.result is not None]
    if len(came) == 2:
        _both(names, came[0], came[1])
    elif came:
        st.caption("Only one model has read it:")
        map_with_pin(TokenMapView(came[0]), key="models.only")


def _both(names: list[str], first: Completion, second: Completion) -> None:
    found = aligned(first.prompt, second.prompt)
    for each in (first, second):
        show_warnings(each.warnings)
    if not len(found):
        st.info("No part of the text is scored by both models.", icon=":material/info:")
        return
    difference_map(
        found.texts, found.differences, around=found.around, key="models.map",
        less="less likely to the second", more="likelier", label="Where the second model differs from the first",
    )  # fmt: skip
    st.caption(
        f"{formatting.count(found.characters, 'character')} are compared, in "
        f"{formatting.count(len(found), 'span')} that the "
        "tokens of both cut out; differences are in nats. Grey text is not scored by both."
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
                "Of them not compared": left,
            }
        )
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "Bits per character": number(
                format="%.3f",
                help="−log2 of the probability of what is compared, per character. Lower is surer, "
                "whatever the tokenizer.",
            ),
            "Perplexity": number(
                format="%.2f", help="exp(−mean logprob) per token of its own: not comparable between tokenizers."
            ),
        },
    )


def _largest(found: Aligned, *, gains: bool) -> None:
    st.markdown(f"**{'Likelier' if gains else 'Less likely'} to the second model**")
    spans = found.largest(_LARGEST, gains=gains)
    if not spans:
        st.caption("Nothing.")
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
