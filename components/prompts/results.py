"""Prompts side by side: how confidently each answer begins, the maps, and how the prompts differ."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from components.charts import clarity_curves
from components.prompts.versions import LONG_ENOUGH, note_version
from components.shell.escaping import BREAK, as_lines, as_text
from components.shell.messages import show_text_itself, show_warnings
from components.shell.page_scripts import SCRIPTS
from components.token_map import ANSWER_FIRST
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.core.completion import Completion
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Batch, State
from lib.jobs.plan import places_of
from lib.scores.clarity import (
    FIRST,
    MOST,
    clarity_curve,
    long_enough,
    mean_curve,
    opening_entropy,
    paired_difference,
    prompt_familiarity,
)
from lib.scores.token_scores import Column
from lib.segmentation.text_diff import Change, changes
from lib.studies.prompt_comparison import PromptsPlan

_SHOWN = 60  # characters of a prompt above its map
_LIMITS = (
    "A confident beginning means the model knows what kind of answer is wanted. It doesn't mean the answer is true: in "
    "tests, the first tokens told right from wrong little better than chance."
)


@dataclass(frozen=True)
class _Variant:
    """A prompt and its answers."""

    name: str  # such as "Prompt 1"
    prompt: str
    answers: tuple[Completion, ...]  # finished samples; empty if all failed


def compared(plan: PromptsPlan, batch: Batch) -> None:
    """Show the comparison."""
    variants = _variants(plan, batch)
    answered = [each for each in variants if each.answers]
    if not answered:
        st.info("There are no answers to compare.", icon=":material/block:")
        return
    show_warnings(tuple(dict.fromkeys(text for each in answered for done in each.answers for text in done.warnings)))
    for done in (done for each in answered for done in each.answers):
        show_text_itself(done)
    curves = {each.name: [clarity_curve(done) for done in each.answers] for each in answered}
    means = {name: mean_curve(of) for name, of in curves.items()}
    _numbers(answered, curves, means)
    for each in answered:
        note_version(each.prompt, means[each.name], long_enough(curves[each.name]))
    _maps(variants)
    _changes(variants)
    _over_many_inputs(plan)


def _over_many_inputs(plan: PromptsPlan) -> None:
    """Lead on to Evaluate, where the same prompts answer every row of a file."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("One input says little about a prompt.", width="content")
        if st.button(
            "Compare them on many inputs", key="prompts.evaluate", icon=":material/fact_check:", type="tertiary"
        ):
            st.session_state["evaluate.prompts"] = plan.prompts
            st.switch_page(SCRIPTS["evaluate"])


def _variants(plan: PromptsPlan, batch: Batch) -> list[_Variant]:
    """The prompts with their answers."""
    calls = plan.calls()
    places = places_of(calls)
    return [
        _Variant(
            f"Prompt {number + 1}",
            call.request.last_user_text,
            tuple(
                each.completion
                for place, each in zip(places, batch.outcomes, strict=True)
                if place == number and each.state is State.DONE and each.completion is not None
            ),
        )
        for number, call in enumerate(calls)
    ]


def _numbers(variants: Sequence[_Variant], curves: dict[str, list[Column]], means: dict[str, Column]) -> None:
    k = st.slider("First answer tokens (k)", 1, MOST, FIRST, key="prompts.k", persist_state="session", width=320)
    whole = st.toggle(
        "Include the template and first words in prompt perplexity", key="prompts.everything", persist_state="session"
    )
    rows = [_row(each, curves[each.name], k, everything=whole) for each in variants]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(rows).dropna(axis="columns", how="all"),
        hide_index=True,
        column_config={
            f"Clarity: first {k} tokens": number(
                format="%.3f", help="Mean logprob of these tokens, in nats. Closer to 0 is more confident."
            ),
            "± over samples": number(format="%.3f", help="Standard deviation over the samples, in nats."),
            "Samples": number(help=LONG_ENOUGH),
            "Prompt perplexity": number(
                format="%.1f", help="Perplexity of your prompt. Lower means more familiar wording."
            ),
            "Prompt tokens": number(help="Tokens the prompt perplexity rests on."),
            "First-token entropy": st.column_config.TextColumn(
                help="In nats: how open the answer's first token is. 0 means there is only one choice."
            ),
        },
    )
    st.caption(_LIMITS)
    _differences(variants, curves, k)
    clarity_curves(means, k)


def _row(each: _Variant, curves: Sequence[Column], k: int, *, everything: bool) -> dict[str, Any]:
    values = [float(curve[k - 1]) for curve in curves if not math.isnan(curve[k - 1])]
    prompt = prompt_familiarity(each.answers[0], everything=everything)
    low, high = opening_entropy(each.answers[0])
    return {
        "Prompt": each.name,
        f"Clarity: first {k} tokens": statistics.fmean(values) if values else None,
        "± over samples": statistics.stdev(values) if len(values) > 1 else None,
        "Samples": len(values),
        "Prompt perplexity": prompt.perplexity if prompt.scored else None,
        "Prompt tokens": prompt.scored,
        "First-token entropy": "" if math.isnan(low) else formatting.bracket(low, high),
    }


def _differences(variants: Sequence[_Variant], curves: dict[str, list[Column]], k: int) -> None:
    """Compare each prompt with the first, sample by sample."""
    first = variants[0]
    for other in variants[1:]:
        pairs = list(zip(curves[other.name], curves[first.name], strict=False))
        found = paired_difference([float(one[k - 1]) for one, _ in pairs], [float(two[k - 1]) for _, two in pairs])
        if not found.pairs:
            continue
        difference = f"{other.name} − {first.name}: **{formatting.signed(found.mean, 3)} nats**"
        if found.pairs == 1:
            st.markdown(f"{difference}, n = 1 sample each.")
            continue
        chance = "" if found.low > 0 or found.high < 0 else " This may be chance."
        st.markdown(
            f"{difference}, 95 % interval {formatting.signed(found.low, 3)} to {formatting.signed(found.high, 3)}, "
            f"n = {found.pairs:,} pairs of samples.{chance}"
        )


def _maps(variants: Sequence[_Variant]) -> None:
    for first in range(0, len(variants), 2):
        for column, each in zip(st.columns(2, gap="medium"), variants[first : first + 2], strict=False):
            with column:
                st.markdown(f"**{each.name}** {as_text(formatting.beginning(each.prompt, _SHOWN))}")
                if not each.answers:
                    st.caption("This prompt has no answer.")
                    continue
                which = 0
                if len(each.answers) > 1:
                    which = st.selectbox(
                        "Sample", range(len(each.answers)), format_func=lambda place: f"{place + 1}",
                        key=f"prompts.run.{each.name}",
                    )  # fmt: skip
                view, key = TokenMapView(each.answers[which]), f"prompts.map.{each.name}"
                map_with_pin(view, key=key, beside="prompts.map", shown=ANSWER_FIRST)


def _changes(variants: Sequence[_Variant]) -> None:
    with st.expander("How the prompts differ", icon=":material/difference:", key="prompts.changes"):
        first = variants[0]
        for other in variants[1:]:
            st.caption(f"From {first.name} to {other.name}")
            st.markdown("".join(_marked(each.change, each.text) for each in changes(first.prompt, other.prompt)))


def _marked(change: Change, text: str) -> str:
    """Markdown that shows a piece literally, colored if it was added or removed."""
    if change is Change.SAME:
        return as_lines(text)
    colour, mark = ("orange", "−") if change is Change.REMOVED else ("blue", "+")
    lines = map(as_text, text.split("\n"))
    return BREAK.join(f":{colour}-background[{mark} {line}]" if line else "" for line in lines)
