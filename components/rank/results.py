"""A ranking: the answers, best first, what speaks against trusting the order, and the map of the one that is chosen."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from components.jobs.history_sync import is_mine, stop
from components.jobs.progress import where_it_stopped
from components.shell.escaping import as_text, bold
from components.shell.fragments import repeated
from components.shell.messages import show_error, show_text_itself, show_warnings
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.core.completion import Completion
from lib.display.spreadsheet import as_csv
from lib.display.token_map_view import TokenMapView
from lib.jobs.batch import Many, State
from lib.jobs.job import Job
from lib.scores.ranking import DEFAULT, ORDERS, Ranked, forced_tokens, lengths_differ, ranked
from lib.segmentation.char_classes import marked
from lib.store.runs import beginning

_POLL = 0.2  # seconds between two looks at a job that is at work
_SHOWN, _LISTED = 70, 400  # characters of an answer above its map, and in the list
_NAMES = {
    "balanced": "Mean and least sure stretch",
    "mean": "Mean logprob",
    "sum": "Sum of logprobs",
    "lowest": "Least sure stretch",
    "tenth": "10 % quantile",
    "agreement": "Agreement",
    "both": "Consistency × confidence",
}
_MEANINGS = {
    "balanced": "0.7 × the mean and 0.3 × the least sure stretch of 8 tokens: one bad passage counts, length hardly.",
    "mean": "Mean logprob per token: what most tools rank by. One bad passage drowns in a long answer.",
    "sum": "How likely the whole text is. Falls with every token, so that short answers win.",
    "lowest": "The mean of the 8 tokens in a row that were the least sure.",
    "tenth": "A tenth of the tokens are no surer than this.",
    "agreement": "How many of the drawn answers say the same.",
    "both": "Words shared with the other drawn answers, times exp(mean logprob). No probability of being right.",
}


def show_ranking(job: Job[Any] | None) -> None:
    """The job's answers, ranked as far as they have come; without a job, what will stand here."""
    if job is None:
        st.caption(
            "Here the answers will stand, the likeliest first: those that the model draws, and those that you give it."
        )
        return
    repeated(_show, None if job.over else _POLL)(job, live=not job.over)


def _show(job: Job[Any], *, live: bool) -> None:
    # Everything below belongs to this fragment: what follows a fragment that reruns by itself may vanish.
    if live and job.over:
        st.rerun()
    many = job.result or job.partial
    if not live:
        job.seen = True
        if job.error is not None:
            show_error(job.error)
    with st.container():
        _standing(job, many, live=live)
    if not isinstance(many, Many):
        return
    came = [each.result for each in many.outcomes if each.state is State.DONE and each.result is not None]
    if came:
        _table(came)
    elif not live:
        st.info("No answer came.", icon=":material/block:")


def _standing(job: Job[Any], many: Many[Completion] | None, *, live: bool) -> None:
    if live:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            notes = [each.note for each in many.outcomes if each.state is State.RUNNING and each.note] if many else []
            st.markdown(
                f":shimmer[{as_text(next(iter(notes), 'Asking'))}] · {formatting.seconds(job.seconds)}", width="content"
            )
            if is_mine(job):
                st.button("Stop", key=f"stop.{job.id}", on_click=stop, args=(job,), icon=":material/stop:")
    if many is None:
        return
    if many.cap is not None:
        show_error(many.cap)
    elif not live and (stopped := where_it_stopped(many)):
        st.caption(as_text(stopped))
    for error in dict.fromkeys(str(each.error) for each in many.outcomes if each.error is not None):
        failed = [each.error for each in many.outcomes if each.error is not None and str(each.error) == error]
        st.caption(f"{formatting.count(len(failed), 'answer')} did not come:")
        show_error(failed[0])


def _table(came: list[Completion]) -> None:
    order = st.selectbox(
        "Rank by", ORDERS, format_func=_NAMES.__getitem__, key="rank.order", persist_state="session",
        index=ORDERS.index(DEFAULT), width=260,
    )  # fmt: skip
    st.caption(_MEANINGS[order])
    found = ranked(came, order)
    event: Any = st.dataframe(
        _rows(found, order),
        hide_index=True, on_select="rerun", selection_mode="single-row", key=f"rank.table.{order}",
        column_config=_COLUMNS,
    )  # fmt: skip
    st.download_button(
        "CSV", lambda: as_csv(_rows(found, order)), "candor-ranking.csv", "text/csv",
        icon=":material/download:", on_click="ignore", help="This table, for a spreadsheet.", type="tertiary",
    )  # fmt: skip
    _notes(found)
    rows = [row for row in event.selection.rows if row < len(found)]
    chosen = found[rows[0] if rows else 0]
    st.markdown(bold(marked(beginning(chosen.completion.text, _SHOWN))) or "**An empty answer**")
    map_with_pin(TokenMapView(chosen.completion), key="rank.map")
    show_warnings(chosen.completion.warnings)
    show_text_itself(chosen.completion)


def _notes(found: tuple[Ranked, ...]) -> None:
    """What speaks against trusting the order."""
    if lengths_differ(found):
        st.warning(
            "Some answers are more than 1.5 times as long as others. Sum and mean then favour a side by length alone; "
            "the least sure stretch and the 10 % quantile less so.",
            icon=":material/straighten:",
        )
    if len(found) == 1 and sum(len(each.places) for each in found) == 1:
        st.info("There is one answer, and nothing to compare it with.", icon=":material/info:")
    elif len(found) == 1:
        st.info("All answers are the same text.", icon=":material/info:")
    impossible = sum(each.scores.impossible > 0 for each in found)
    if impossible:
        st.warning(
            f"{formatting.count(impossible, 'answer')} with a token that the model holds impossible (p = 0): "
            "its sum is "
            "−∞, and the means leave that token out.",
            icon=":material/info:",
        )
    forced = sum(forced_tokens(each.completion) for each in found)
    if forced:
        st.caption(f"{formatting.count(forced, 'token')} put there by somebody count in no score.")


def _rows(found: tuple[Ranked, ...], order: str) -> pd.DataFrame:
    """What they are ranked by stands before the answers, so that a phone shows it, too."""
    rows = pd.DataFrame([_row(place, each) for place, each in enumerate(found, start=1)])
    by = _COLUMN_OF[order]
    return rows[["", by, "Answer", *(name for name in rows.columns if name not in ("", "Answer", by))]]


def _row(place: int, each: Ranked) -> dict[str, Any]:
    scores = each.scores
    given = len(each.places) - each.sampled
    came = [f"{each.sampled} drawn"] * bool(each.sampled) + ["given" if given == 1 else f"{given} given"] * bool(given)
    return {
        "": place,
        "Answer": marked(beginning(each.completion.text, _LISTED)),
        "From": ", ".join(came),
        "Balanced": scores.balanced,
        "Mean": scores.mean,
        "Sum": scores.total if math.isfinite(scores.total) else None,
        "Least sure stretch": scores.lowest,
        "10 %": scores.tenth,
        "Perplexity": scores.perplexity,
        "Tokens": scores.tokens,
        "Agreement": each.agreement,
        "Consistency × confidence": each.both,
    }


_COLUMN_OF = {
    "balanced": "Balanced",
    "mean": "Mean",
    "sum": "Sum",
    "lowest": "Least sure stretch",
    "tenth": "10 %",
    "agreement": "Agreement",
    "both": "Consistency × confidence",
}


def _nats(help_: str) -> Any:
    return st.column_config.NumberColumn(format="%.3f", help=f"{help_} In nats.")


_COLUMNS = {
    "Answer": st.column_config.TextColumn(width=260),
    "From": st.column_config.TextColumn(width=92, help="Drawn by the model, how often, or given by you."),
    "Balanced": _nats(_MEANINGS["balanced"]),
    "Mean": _nats(_MEANINGS["mean"]),
    "Sum": _nats(_MEANINGS["sum"]),
    "Least sure stretch": _nats(_MEANINGS["lowest"]),
    "10 %": _nats(_MEANINGS["tenth"]),
    "Perplexity": st.column_config.NumberColumn(format="%.2f", help="exp(−mean logprob)."),
    "Tokens": st.column_config.NumberColumn(help="How many tokens the scores rest on."),
    "Agreement": st.column_config.NumberColumn(format="percent", help=_MEANINGS["agreement"]),
    "Consistency × confidence": st.column_config.NumberColumn(format="%.3f", help=_MEANINGS["both"]),
}
