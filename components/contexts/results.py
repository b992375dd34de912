"""Passages by rank, what is kept of them, and the answers from those that are."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st

from components.contexts.answers import answers, texts_of_answers
from components.contexts.costs import answer_reads, cost_note
from components.contexts.fitting import fit
from components.contexts.measured import best_of, measured_note, measured_of
from components.contexts.ranks import rank_chart
from components.contexts.recipe import recipe
from components.contexts.rules import in_nats, kept_value
from components.jobs.current_job import Run, start
from components.jobs.estimate import budget
from components.shell.escaping import as_text
from components.shell.messages import show_error
from components.token_map import ANSWER_FIRST
from components.token_map.with_details import map_with_pin
from lib import formatting
from lib.contexts.measured import Measured
from lib.contexts.passages import as_rows
from lib.contexts.pruning import Keep, Rule, kept, ranked
from lib.contexts.scorings import COMBINED, RETRIEVER, SCORINGS, Scores, agreement, combined
from lib.core.completion import Completion
from lib.core.sources import Source
from lib.display.token_map_view import TokenMapView
from lib.errors import InvalidRequest
from lib.jobs.batch import Batch
from lib.jobs.run_plan import plan_left
from lib.segmentation.char_classes import marked
from lib.studies.contexts import ALL, KEPT, NONE, ContextsPlan
from lib.studies.contexts_cost import AnswerCosts, answer_costs
from lib.studies.contexts_outcome import Scored, all_scored, answers_left, outcome_of, scored_of, with_ranking
from lib.studies.contexts_window import cut_note

_RULES = {Rule.TOP: "Best passages", Rule.THRESHOLD: "Minimum score", Rule.BUDGET: "Token budget"}
_KEPT = "contexts.scores"
_TEXT = 300  # characters of a passage in the table


@dataclass(frozen=True)
class Chosen:
    """What the page ranks by and keeps."""

    by: str
    weights: tuple[tuple[str, float], ...]
    keep: Keep
    scores: Scores
    kept: tuple[int, ...]  # places, best first


def show_contexts(job: Run, batch: Batch) -> None:
    """Show the passages' scores and, once there are any, the answers.

    While passages are scored there is no ranking yet; while answers are generated, it stays and takes no changes.
    """
    if not isinstance(job.plan, ContextsPlan):
        return
    if job.over:
        st.fragment(_scored)(job, job.plan, batch)
    elif job.plan.answers and all_scored(job.plan, batch):
        _answering(job.plan, batch)


def _answering(plan: ContextsPlan, batch: Batch) -> None:
    scored = _scores(plan, batch)
    scores = with_ranking(plan, scored).scores.get(plan.by)
    if scores is None:
        return
    chosen = Chosen(plan.by, plan.weights, plan.keep, scores, kept(scores, plan.keep, scored.tokens))
    _ranking(plan, chosen)
    _saved(scored, chosen, answer_costs(plan, scored, batch), plan.source)
    texts_of_answers(outcome_of(plan, batch, scored).answers)


def _ranking(plan: ContextsPlan, chosen: Chosen) -> None:
    rank_chart(plan, chosen.scores, chosen.kept, f"{'Nats above' if in_nats(chosen.by) else 'Above'} the lowest")


def _scored(job: Run, plan: ContextsPlan, batch: Batch) -> None:
    scored = _scores(plan, batch)
    if not scored.scores:
        st.caption("No passage is scored yet.")
        return
    for note in filter(None, (scored.note, cut_note(plan))):
        st.caption(as_text(note))
    measured = measured_of(plan, batch)
    chosen = _choose(plan, scored, measured)
    if not np.isfinite(chosen.scores).any():
        st.caption(as_text(f"No passage has this score: {label(chosen.by)}. Rank by another scoring."))
    _ranking(plan, chosen)
    asked = _asked(plan, chosen)
    _saved(
        scored, chosen, None if isinstance(asked, InvalidRequest) else answer_costs(asked, scored, batch), plan.source
    )
    st.dataframe(_rows(plan, scored, chosen), hide_index=True, column_config=_columns())
    _agreement(scored)
    measured_note(plan, measured)
    _drafts(plan, scored, chosen)
    _ask(plan, batch, scored, asked)
    answers(job, plan, batch, scored)
    _take_away(plan, chosen)


def _scores(plan: ContextsPlan, batch: Batch) -> Scored:
    """The scores of a batch, computed once while a slider moves."""
    kept_scores: tuple[Batch, Scored] | None = st.session_state.get(_KEPT)
    if kept_scores is None or kept_scores[0] is not batch:
        kept_scores = st.session_state[_KEPT] = (batch, scored_of(plan, batch))
    return kept_scores[1]


def label(name: str) -> str:
    """A scoring's name on the page."""
    return "Combination" if name == COMBINED else SCORINGS[name].label


def _choose(plan: ContextsPlan, scored: Scored, measured: Measured | None) -> Chosen:
    """Show what ranks and what is kept; it takes effect at once, without a call.

    Until answers are asked for, what measured best ranks the passages.
    """
    usual = plan.by if plan.answers or measured is None else best_of(measured, scored.scores) or plan.by
    names = [*(name for name in scored.scores if name != COMBINED), *([COMBINED] if len(plan.scorings) > 1 else [])]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        by = st.selectbox(
            "Rank by", names, index=names.index(usual) if usual in names else 0, format_func=label, width=220,
            key=f"contexts.by.{len(names)}",
        )  # fmt: skip
        rule = st.segmented_control(
            "Keep", list(Rule), default=plan.keep.rule, required=True, format_func=lambda each: _RULES[each],
            key="contexts.rule",
        ) or Rule.TOP  # fmt: skip
    weights = _weights(plan, names) if by == COMBINED else plan.weights
    scores = combined(scored.scores, dict(weights)) if by == COMBINED else scored.scores[by]
    keep = Keep(rule, kept_value(plan, by, rule, scores, scored))
    return Chosen(by, weights, keep, scores, kept(scores, keep, scored.tokens))


def _weights(plan: ContextsPlan, names: list[str]) -> tuple[tuple[str, float], ...]:
    own = [name for name in names if name != COMBINED]
    weights = dict(plan.weights)
    largest = max(1.0, *weights.values())  # of a plan that was not made here; the ranking is the same
    with st.container(horizontal=True, gap="medium"):
        return tuple(
            (
                name,
                float(
                    st.slider(
                        f"Weight of {SCORINGS[name].in_sentence}", 0.0, 1.0, usual, 0.1,
                        key=f"contexts.weight.{name}.{usual}", width=200,
                    )
                ),
            )
            for name, usual in ((name, weights.get(name, 1.0) / largest) for name in own)
        )  # fmt: skip


def _saved(scored: Scored, chosen: Chosen, costs: AnswerCosts | None, source: Source) -> None:
    """What is kept, what that saves of the passages' tokens, and what an answer costs."""
    total, held = sum(scored.tokens), sum(scored.tokens[place] for place in chosen.kept)
    share = 1 - held / total if total else 0.0
    about = "" if scored.counted else " Some tokens are estimated from characters."
    with st.container(horizontal=True, gap="medium"):
        st.metric("Kept", f"{len(chosen.kept):,} of {len(scored.tokens):,}", width="content")
        st.metric("Tokens of passages", f"{held:,} of {total:,}", width="content")
        st.metric("Saved", formatting.percent(share), width="content", help=f"Of the passages' tokens.{about}")
        if costs is not None:
            answer_reads(costs)
    if costs is not None:
        cost_note(source, costs)


def _rows(plan: ContextsPlan, scored: Scored, chosen: Chosen) -> list[dict[str, Any]]:
    rows = []
    for rank, place in enumerate(ranked(chosen.scores), 1):
        each, error = plan.passages[place], scored.errors[place]
        row: dict[str, Any] = {
            "Rank": rank,
            "Kept": place in chosen.kept,
            label(chosen.by): _number(chosen.by, chosen.scores[place]),
        }
        others = {name: values for name, values in scored.scores.items() if name not in (COMBINED, chosen.by)}
        row |= {label(name): _number(name, values[place]) for name, values in others.items()}
        row |= {"Tokens": scored.tokens[place], "Passage": marked(formatting.beginning(each.text, _TEXT))}
        row["Id"] = marked(each.id)
        row["Error"] = "" if error is None else marked(formatting.beginning(str(error), _TEXT))
        rows.append(row)
    if not any(row["Error"] for row in rows):
        for row in rows:
            del row["Error"]
    return rows


def _number(name: str, value: float) -> float | None:
    """A score in the table: a retriever's own may be small, as those of reciprocal rank fusion are."""
    if not np.isfinite(value):
        return None
    return float(f"{value:.6g}") if name == RETRIEVER else round(float(value), 3)


def _columns() -> dict[str, Any]:
    """The definition of each scoring, as the tooltip of its column."""
    about = {each.label: st.column_config.NumberColumn(help=as_text(each.formula)) for each in SCORINGS.values()}
    about[label(COMBINED)] = st.column_config.NumberColumn(help="Weighted mean of standardized scores.")
    return about


def _agreement(scored: Scored) -> None:
    """How far the scorings rank alike."""
    names = [name for name in scored.scores if name != COMBINED]
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    found = [(a, b, agreement(scored.scores[a], scored.scores[b])) for a, b in pairs]
    told = [f"{label(a)} and {label(b)}: {value:.2f}".replace("-", "−") for a, b, value in found if np.isfinite(value)]
    if told:
        st.caption(
            as_text(f"Agreement of rankings (Kendall's τ; 1 is the same order, 0 no agreement): {'; '.join(told)}."),
        )


def _drafts(plan: ContextsPlan, scored: Scored, chosen: Chosen) -> None:
    here = [place for place in ranked(chosen.scores) if scored.drafts[place] is not None]
    if not here:
        return
    with st.expander("Drafts", icon=":material/edit_note:"):
        place = st.selectbox(
            "Draft from", here, key=f"contexts.draft.{len(here)}",
            format_func=lambda each: f"Passage {marked(plan.passages[each].id)}: {_beginning(scored.drafts[each])}",
        )  # fmt: skip
        draft = scored.drafts[place] if place is not None else None
        if draft is not None:
            map_with_pin(TokenMapView(draft), key="contexts.draft.map", shown=ANSWER_FIRST)


def _beginning(draft: Completion | None) -> str:
    return "" if draft is None else formatting.visible(draft.text.strip()[:60]).replace("·", " ")


def _ask(plan: ContextsPlan, batch: Batch, scored: Scored, asked: ContextsPlan | InvalidRequest) -> None:
    """Ask for the answers from what is kept, from all and from nothing; what is known is not asked for again."""
    price = as_text(str(asked)) if isinstance(asked, InvalidRequest) else _price(asked, plan, batch, scored)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button(
            "Answer", type="primary", icon=":material/chat:", key="contexts.answer.go",
            disabled=isinstance(asked, InvalidRequest) or not asked.answers or asked == plan,
            help="Three answers: from the kept passages, from all of them, and without any.",
        )  # fmt: skip
        st.caption(price, width="content")
    if pressed and not isinstance(asked, InvalidRequest):
        _, problem = start("contexts", asked, batch, known_of=plan)
        if problem is not None:
            show_error(problem)
        else:
            st.rerun()


def _price(asked: ContextsPlan, plan: ContextsPlan, batch: Batch, scored: Scored) -> str:
    """What the answers that are not known yet take."""
    if not asked.answers:
        return "Keep at least one passage."
    if batch.missing or asked.passages != plan.passages:  # scored once more: what failed, and what is only cut now
        return budget(plan_left(asked, batch, plan))
    return budget(answers_left(asked, plan, batch, scored))


def _asked(plan: ContextsPlan, chosen: Chosen) -> ContextsPlan | InvalidRequest:
    """The plan with answers from what is chosen, cut to the model's context if that is known by now."""
    answers = (KEPT, ALL, NONE) if chosen.kept else ()
    try:
        return fit(replace(plan, by=chosen.by, weights=chosen.weights, keep=chosen.keep, answers=answers))
    except InvalidRequest as error:
        return error


def _take_away(plan: ContextsPlan, chosen: Chosen) -> None:
    with st.expander("Export", icon=":material/download:"):
        held = [plan.passages[place] for place in chosen.kept]
        st.download_button(
            "Kept passages (JSON)", lambda: json.dumps(as_rows(held), indent=1, ensure_ascii=False),
            "candor-passages.json", "application/json", icon=":material/download:", on_click="ignore", type="tertiary",
        )  # fmt: skip
        recipe(plan, chosen.by, chosen.keep)
