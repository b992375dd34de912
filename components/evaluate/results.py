"""The report of an evaluation: what changed, the answer, then calibration, thresholds, slices and every row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import streamlit as st

from components.evaluate.calibration import calibration, kind_of_map, slices
from components.evaluate.changes import changes
from components.evaluate.figures import VERDICTS, interval, percent
from components.evaluate.grading import grades_for
from components.evaluate.rows import answer_rows
from components.evaluate.selection import narrows
from components.evaluate.thresholds import thresholds, wanted
from components.jobs.current_job import Run
from components.pickers.model_label import model_name
from components.shell.escaping import as_text
from lib import formatting
from lib.core.request import Mode
from lib.display.spreadsheet import as_csv
from lib.evaluation.grades import grades_as_json
from lib.jobs.batch import Batch
from lib.scores.confidence import ALL_SCORES
from lib.segmentation.char_classes import marked
from lib.studies.evaluation import EvaluatePlan, scores_of
from lib.studies.evaluation_export import as_json, table
from lib.studies.evaluation_html import as_html
from lib.studies.evaluation_outcome import EvaluationOutcome, Rows, Side, outcome_of, rows_of
from lib.studies.evaluation_report import Report
from lib.studies.evaluation_text import points, sentence, settings_in_words

_KEPT = "evaluate.report"
_LABEL, _CELL, _SETTINGS = 60, 300, 600  # characters of a name, a cell and a line of settings
_EXAMPLES = 5  # rows that match no label


@dataclass(frozen=True)
class _Kept:
    """An outcome, and what it was worked out from."""

    graded: tuple[Any, ...]  # the job and the grades set by hand
    wished: tuple[Any, ...]  # the choices of the page
    rows: Rows
    outcome: EvaluationOutcome


def show_report(job: Run, batch: Batch) -> None:
    """Show the report of a finished evaluation."""
    if not isinstance(job.plan, EvaluatePlan):
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        score = st.selectbox(
            "Confidence", scores_of(job.plan.task), format_func=lambda name: ALL_SCORES[name].label, width=280,
            key=f"evaluate.score.{job.plan.task}", persist_state="session",
            help="Which score of an answer counts as the model's confidence.",
        )  # fmt: skip
        names = names_of(job.plan)
        place = _place(names)
    outcome = _made(job, job.plan, batch, score, names)
    changes(outcome)
    side = outcome.sides[place]
    narrows((job.id, place))
    if len(names) > 1:
        st.subheader(as_text(side.name))
    about = marked(formatting.beginning(settings_in_words(side, model_name(side.source)), _SETTINGS))
    st.caption(as_text(f"{outcome.title}. {about}"))
    _unmatched(side)
    _headline(side.report)
    for each in side.report.missing:
        st.caption(as_text(each))
    calibration(side, outcome.title)
    thresholds(side.report, side.rows)
    slices(side.report)
    st.fragment(answer_rows)(job, outcome, place)
    _downloads(outcome)


def names_of(plan: EvaluatePlan) -> tuple[str, ...]:
    """What to call each model or prompt of a plan: by what differs."""
    plans = plan.variants()
    several_models = len({each.source for each in plans}) > 1
    several_prompts = len({each.label for each in plans}) > 1
    prompts = list(dict.fromkeys(each.label for each in plans))
    found = []
    for each in plans:
        prompt = f"Prompt {prompts.index(each.label) + 1}" if several_prompts else ""
        parts = [model_name(each.source)] if several_models or not several_prompts else []
        found.append(marked(formatting.beginning(", ".join([*parts, prompt] if prompt else parts), _LABEL)))
    return tuple(found)


def _place(names: tuple[str, ...]) -> int:
    """Show the choice of the model or prompt whose report is shown; return its place."""
    if len(names) < 2:
        return 0
    chosen = st.selectbox(
        "Report on", range(len(names)), key=f"evaluate.side.{len(names)}", index=1, width=280,
        format_func=lambda place: names[place],
    )  # fmt: skip
    return int(chosen or 0)


def _made(job: Run, plan: EvaluatePlan, batch: Batch, score: str, names: tuple[str, ...]) -> EvaluationOutcome:
    """The outcome, kept between runs of the page."""
    grades = grades_for(job)
    graded = (job.id, job.version, len(batch.outcomes), json.dumps(grades_as_json(grades), sort_keys=True))
    kind, risks = kind_of_map(), wanted()
    wished = (score, kind, risks, names)
    kept: _Kept | None = st.session_state.get(_KEPT)
    if kept is None or kept.graded != graded or kept.wished != wished:
        with st.spinner("Working out the report"):
            same = kept is not None and kept.graded == graded
            rows = kept.rows if kept is not None and same else rows_of(plan, batch, grades)
            outcome = outcome_of(plan, rows, score, names, kind=kind, wanted=risks)
        kept = st.session_state[_KEPT] = _Kept(graded, wished, rows, outcome)
    return kept.outcome


def _unmatched(side: Side) -> None:
    """If no answer matches its label, show a few of both: most often the rule or the labels are to blame."""
    found = side.report
    if found.accuracy is None or found.accuracy.within.value > 0:
        return
    if found.empty == found.answered:
        chat = side.settings.get("mode") != Mode.CHAT
        hint = " If it is an instruct or chat model, choose Chat as the mode." if chat else ""
        st.warning(f"All answers are empty: the model ended each at once.{hint}", icon=":material/chat_bubble_outline:")
    else:
        st.warning(
            "No answer matches its label. Compare a few. If they say the same, choose another rule or correct the "
            "labels.",
            icon=":material/rule:",
        )
    graded = [each for each in side.rows if each.right is not None][:_EXAMPLES]
    st.dataframe(
        [
            {
                "Row": each.question.row,
                "Expected": marked(formatting.beginning(" | ".join(each.question.expected), _CELL)),
                "Compared": marked(formatting.beginning(each.compared, _CELL)),
                "Answer": "" if each.completion is None else marked(formatting.beginning(each.completion.text, _CELL)),
            }
            for each in graded
        ],
        hide_index=True,
    )


def _headline(found: Report) -> None:
    first, second, third = st.columns(3)
    if found.accuracy is not None:
        first.metric("Accuracy", percent(found.accuracy.within.value), help="The share of right answers.")
        first.caption(interval(found.accuracy, percents=True))
    if (auroc := found.discrimination.get("auroc")) is not None:
        second.metric(
            "AUROC", f"{auroc.within.value:.3f}",
            help="The probability that a right answer has a higher score than a wrong one. 0.5 is chance.",
        )  # fmt: skip
        second.caption(interval(auroc))
    if (judged := found.judged) is not None:
        gap = judged.figures["gap"].within
        own = "probability that the model gives its answers"
        whose = "recalibrated probability" if judged is found.recalibrated else own
        third.metric(
            "Calibration", VERDICTS[judged.verdict],
            help=f"Overconfident: the mean {whose} is above the share that is right. Underconfident: below.",
        )  # fmt: skip
        third.caption(f"{points(gap)}, n = {gap.n:,}")
    for column, (name, each) in zip((first, second), found.texts.items(), strict=False):
        column.metric(sentence(name), f"{each.within.value:.3f}", help=_TEXTS[name])
        column.caption(interval(each))
    notes = []
    if found.not_asked and found.accuracy is not None:
        notes.append(f"{formatting.count(found.not_asked, 'question')} of {found.n:,} not asked.")
    if found.failed and found.accuracy is not None:
        notes.append(f"{formatting.count(found.failed, 'question')} of {found.n:,} failed: left out of all figures.")
    if not found.states_rightness and found.stated is not None:
        notes.append("The probability that the model gives its answer is that of its wording, so it isn't judged.")
    if found.overruled:
        notes.append(f"{formatting.count(found.overruled, 'grade')} set by hand.")
    if notes:
        st.caption(" ".join(notes))


_TEXTS = {
    "perplexity": "exp(−mean logprob) over all scored tokens. Only comparable between models with the same tokenizer.",
    "bits per character": "−Σ log₂ p over the characters of all scored tokens. Comparable between tokenizers.",
}


def _downloads(outcome: EvaluationOutcome) -> None:
    with st.container(horizontal=True):
        for label, content, name, kind in (
            ("Report (HTML)", lambda: as_html(outcome), "candor-evaluation.html", "text/html"),
            (
                "Report (JSON)",
                lambda: json.dumps(as_json(outcome), indent=1, ensure_ascii=False),
                "candor-evaluation.json",
                "application/json",
            ),
            ("Rows (CSV)", lambda: as_csv(table(outcome)), "candor-evaluation.csv", "text/csv"),
        ):
            st.download_button(
                label, content, name, kind, icon=":material/download:", on_click="ignore", type="tertiary"
            )
