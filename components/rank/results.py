"""A ranking: the answers, best first, reasons not to trust the order, and the map of the selected answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from components.calibrated import note_under_table, with_probability
from components.shell.escaping import bold
from components.shell.messages import show_text_itself, show_warnings
from components.token_map import ANSWER_FIRST
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.core.completion import Completion
from lib.display.spreadsheet import as_csv
from lib.display.token_map_view import TokenMapView
from lib.scores.ranking import DEFAULT, ORDERS, Ranked, forced_tokens, lengths_differ, ranked
from lib.segmentation.char_classes import marked

_ABOVE_MAP, _IN_TABLE = 70, 400  # characters of an answer


@dataclass(frozen=True)
class _Order:
    """A score to rank by."""

    name: str  # in the list of orders
    column: str  # in the table
    meaning: str


_BY = {
    "balanced": _Order(
        "Mean and least confident span",
        "Balanced",
        "0.7 × the mean logprob + 0.3 × the least confident span of 8 tokens: one bad passage counts, length hardly.",
    ),
    "mean": _Order(
        "Mean logprob",
        "Mean",
        "Mean logprob per token, which most tools rank by. A bad passage hardly shows in a long answer.",
    ),
    "sum": _Order(
        "Sum of logprobs",
        "Sum",
        "Log-probability of the whole text. It falls with every token, so short answers win.",
    ),
    "lowest": _Order(
        "Least confident span",
        "Least confident span",
        "Mean logprob of the 8 consecutive tokens the model was least confident of.",
    ),
    "tenth": _Order("10% quantile", "10%", "A tenth of the tokens have this logprob or a lower one."),
    "agreement": _Order("Agreement", "Agreement", "Share of the samples that say the same."),
    "both": _Order(
        "Consistency × confidence",
        "Consistency × confidence",
        "Word overlap with the other samples × exp(mean logprob). This is not the probability of being right.",
    ),
}


def ranking(done: list[Completion]) -> None:
    """Show the answers in the chosen order, and the map of the selected one."""
    order = st.selectbox(
        "Rank by", ORDERS, format_func=lambda each: _BY[each].name, key="rank.order", persist_state="session",
        index=ORDERS.index(DEFAULT), width=280,
    )  # fmt: skip
    st.caption(_BY[order].meaning)
    found = ranked(done, order)
    event: Any = st.dataframe(
        _rows(found, order),
        hide_index=True, on_select="rerun", selection_mode="single-row", key=f"rank.table.{order}",
        column_config=_COLUMNS,
    )  # fmt: skip
    st.download_button(
        "CSV", lambda: as_csv(_rows(found, order)), "candor-ranking.csv", "text/csv",
        icon=":material/download:", on_click="ignore", help="Download this table as CSV.", type="tertiary",
    )  # fmt: skip
    note_under_table([each.completion for each in found])
    _notes(found)
    rows = [row for row in event.selection.rows if row < len(found)]
    _selected(found[rows[0] if rows else 0].completion)


def _selected(answer: Completion) -> None:
    st.markdown(bold(marked(formatting.beginning(answer.text, _ABOVE_MAP))) or "**Empty answer**")
    map_with_pin(TokenMapView(answer), key="rank.map", shown=ANSWER_FIRST)
    show_warnings(answer.warnings)
    show_text_itself(answer)


def _notes(found: tuple[Ranked, ...]) -> None:
    """Show reasons not to trust the order."""
    if lengths_differ(found):
        st.warning(
            "Some answers are more than 1.5 times as long as others. Sum and mean then favor one side by length "
            "alone; the least confident span and the 10% quantile less so.",
            icon=":material/straighten:",
        )
    if len(found) == 1 and sum(len(each.places) for each in found) == 1:
        st.info("There is only one answer, so there is nothing to compare it with.", icon=":material/info:")
    elif len(found) == 1:
        st.info("All answers are the same text.", icon=":material/info:")
    impossible = sum(each.scores.impossible > 0 for each in found)
    if impossible:
        st.warning(
            f"{formatting.count(impossible, 'answer')} with a token of probability 0: the sum is −∞, and the means "
            "exclude that token.",
            icon=":material/info:",
        )
    forced = sum(forced_tokens(each.completion) for each in found)
    if forced:
        st.caption(f"{formatting.count(forced, 'forced token')} excluded from all scores.")


def _rows(found: tuple[Ranked, ...], order: str) -> pd.DataFrame:
    """The table. The score it is ranked by comes before the answers, where a phone shows it, too."""
    rows = pd.DataFrame([_row(place, each) for place, each in enumerate(found, start=1)])
    with_probability(rows, [each.completion for each in found])
    by = _BY[order].column
    return rows[["", by, "Answer", *(name for name in rows.columns if name not in ("", "Answer", by))]]


def _row(place: int, each: Ranked) -> dict[str, Any]:
    scores = each.scores
    return {
        "": place,
        "Answer": marked(formatting.beginning(each.completion.text, _IN_TABLE)),
        "From": _origin(each.sampled, len(each.places) - each.sampled),
        "Balanced": scores.balanced,
        "Mean": scores.mean,
        "Sum": scores.total if math.isfinite(scores.total) else None,
        "Least confident span": scores.lowest,
        "10%": scores.tenth,
        "Perplexity": scores.perplexity,
        "Tokens": scores.tokens,
        "Agreement": each.agreement,
        "Consistency × confidence": each.both,
    }


def _origin(samples: int, candidates: int) -> str:
    """Where an answer comes from, such as "2 samples, candidate"."""
    parts = [formatting.count(samples, "sample")] * bool(samples)
    parts += ["candidate" if candidates == 1 else f"{candidates} candidates"] * bool(candidates)
    return ", ".join(parts)


def _nats(order: str) -> Any:
    return st.column_config.NumberColumn(format="%.3f", help=f"{_BY[order].meaning} In nats.")


_COLUMNS = {
    "Answer": st.column_config.TextColumn(width=260),
    "From": st.column_config.TextColumn(width=92, help="Sampled by the model, how often, or one of your candidates."),
    "Balanced": _nats("balanced"),
    "Mean": _nats("mean"),
    "Sum": _nats("sum"),
    "Least confident span": _nats("lowest"),
    "10%": _nats("tenth"),
    "Perplexity": st.column_config.NumberColumn(format="%.2f", help="exp(−mean logprob)."),
    "Tokens": st.column_config.NumberColumn(help="Tokens the scores rest on."),
    "Agreement": st.column_config.NumberColumn(format="percent", help=_BY["agreement"].meaning),
    "Consistency × confidence": st.column_config.NumberColumn(format="%.3f", help=_BY["both"].meaning),
}
