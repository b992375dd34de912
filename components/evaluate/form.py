"""What to evaluate: a labelled file, which column is what, and how answers are graded."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.evaluate.compare_form import base_model, other_prompts, refusal_of, with_base
from components.evaluate.data_form import labelled_rows
from components.jobs.asking_page import Asked, Known, planned
from components.jobs.current_job import current_job
from components.jobs.estimate import budget
from components.jobs.form import AskButton, price_of
from components.pickers.capabilities import Limits, limits_of
from components.shell.escaping import as_text
from components.shell.messages import show_error
from lib import formatting
from lib.core.request import Mode
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.evaluation.dataset import Mapped, Questions, Task
from lib.evaluation.grading import Grader, Rule
from lib.evaluation.prompts import AllPrompts, for_all_prompts
from lib.evaluation.table import Table
from lib.jobs.batch import Batch, State
from lib.jobs.plan import Plan
from lib.jobs.resume import KnownAnswers
from lib.jobs.run_plan import calls_left
from lib.segmentation.char_classes import marked
from lib.studies.evaluation import EvaluatePlan, Variant

_BUTTON = AskButton("evaluate", "Evaluate", ":material/fact_check:")
_QUESTIONS, _PRICE, _KNOWN = "evaluate.questions", "evaluate.price", "evaluate.known"
_PREVIEWED, _LISTED, _CELL = 5, 200, 300  # questions, problems, characters
_TASKS = {
    Task.SHORT: "Short answers",
    Task.CHOICE: "Multiple choice",
    Task.TEXT: "Texts",
}
_RULES = {
    Rule.NORMALIZED: "The same, ignoring case and punctuation",
    Rule.EXACT: "Exactly the same",
    Rule.CONTAINS: "Contains the expected words",
    Rule.NUMBER: "The same number",
    Rule.PATTERN: "Matches a regular expression",
    Rule.JSON_FIELD: "A field of a JSON answer",
}
_NONE = ""


def evaluate_form(before: Plan | None, source: Source) -> Asked:
    """Show the form; return the plan once Evaluate is pressed, or why it is invalid."""
    table = labelled_rows()
    if table is None:
        if isinstance(before, EvaluatePlan):
            _again(before)
        return None
    name, rows = table
    task, mapped, grader = _columns(rows)
    mode = Mode(st.session_state["evaluate.mode"])
    base, prompts = _others(source)
    limits = limits_of(source, chat=mode is Mode.CHAT)
    try:
        found = _questions(rows, task, mapped, grader, prompts)
    except InvalidRequest as error:
        show_error(error)
        _BUTTON.pressed("", disabled=True)
        return None
    _preview(found.questions)
    plan = _plan(source, name, found, task, grader, limits)
    priced = with_base(plan, base)
    refusal = limits.refusal or _refusal(task, limits) or refusal_of(base, mode)
    known = _known(priced)
    pressed = _BUTTON.pressed(_price(priced, known), refusal=refusal, disabled=_is_below(priced, known))
    if known is not None:
        st.caption(f"The report below already has {known.count(State.DONE):,} of {len(known.outcomes):,} answers.")
    return None if not pressed else priced if known is None else Known(priced, known)


def _is_below(plan: EvaluatePlan, known: Batch | None) -> bool:
    """Whether the report below is that of this very plan, with every answer."""
    job = current_job(_BUTTON.page)
    return known is not None and not known.missing and job is not None and job.plan == plan


def _known(plan: EvaluatePlan) -> Batch | None:
    """The answers of the evaluation on the page that this plan asks for, too: nothing is asked twice."""
    job = current_job(_BUTTON.page)
    if job is None or not job.over or not isinstance(job.plan, EvaluatePlan) or job.result is None:
        return None
    kept: tuple[Any, Batch | None] | None = st.session_state.get(_KNOWN)
    if kept is None or kept[0] != (job.id, job.version, plan):
        found = KnownAnswers(job.plan.calls(), job.result).take(plan.calls())
        useful = found if found is not None and found.count(State.DONE) else None
        kept = st.session_state[_KNOWN] = ((job.id, job.version, plan), useful)
    return kept[1]


def _others(source: Source) -> tuple[Source | None, tuple[str, ...]]:
    """Show what to compare with: a base model and other prompts."""
    with st.expander("Compare models or prompts", icon=":material/compare_arrows:"):
        return base_model(source), other_prompts()


def _questions(
    table: Table, task: Task, mapped: Mapped, grader: Grader, prompts: tuple[str, ...]
) -> AllPrompts:  # fmt: skip
    """The questions, worked out again only if something they depend on has changed: a table may have 50,000 rows."""
    key = (task, mapped, grader, prompts)
    kept: tuple[Table, Any, AllPrompts] | None = st.session_state.get(_QUESTIONS)
    if kept is None or kept[0] is not table or kept[1] != key:
        used = grader if task is Task.SHORT else None
        kept = st.session_state[_QUESTIONS] = (table, key, for_all_prompts(table, task, mapped, used, prompts))
    return kept[2]


def _price(plan: EvaluatePlan, known: Batch | None) -> str:
    """What the calls that are left take, worked out again only if the plan has changed."""
    kept: tuple[EvaluatePlan, Batch | None, str] | None = st.session_state.get(_PRICE)
    if kept is None or kept[1] is not known or kept[0] != plan:
        price = price_of(planned(lambda: plan)) if known is None else budget(calls_left(plan.calls(), known))
        kept = st.session_state[_PRICE] = (plan, known, price)
    return kept[2]


def _again(before: EvaluatePlan) -> None:
    """Say which file the report below is about, as its rows are kept but the file is not."""
    st.caption(f"Report on {as_text(before.title())}. Choose a file to start another evaluation.")


def _refusal(task: Task, limits: Limits) -> str:
    if task is Task.CHOICE and not limits.can.scores_candidates:
        return "This model doesn't return prompt logprobs, so it can't score choices."
    if task is Task.TEXT and not limits.can.prompt_scores:
        return "This model doesn't return prompt logprobs, so it can't score texts."
    return ""


def _columns(table: Table) -> tuple[Task, Mapped, Grader]:
    """Show what each column is taken for, and how answers are graded."""
    names = list(table.columns)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.segmented_control(
            "Task", list(_TASKS), key="evaluate.task", required=True, persist_state="session",
            format_func=_TASKS.__getitem__,
        )  # fmt: skip
        st.segmented_control(
            "Mode", (Mode.RAW, Mode.CHAT), key="evaluate.mode", required=True, persist_state="session",
            format_func=formatting.capital,
        )  # fmt: skip
    task = Task(st.session_state["evaluate.task"])
    left, right = st.columns(2, gap="medium")
    left.text_area(
        "Prompt", key="evaluate.template", persist_state="session", height=150,
        help="{column} is replaced by that column's value. Type {{ for a brace.",
    )  # fmt: skip
    with right:
        if task is not Task.TEXT:
            _one("Expected answer", "expected", names, "A text, or a list of acceptable answers.")
        if task is Task.CHOICE:
            st.multiselect(
                "Choices", names, key="evaluate.choices", persist_state="session", format_func=marked,
                help="One column of lists, or a column for each choice.",
            )  # fmt: skip
            _choice_options()
        if task is Task.SHORT:
            _rule()
            st.number_input("Max new tokens", 1, 10_000, key="evaluate.max_tokens", persist_state="session")
    with st.expander("Slices and groups", icon=":material/stacks:"):
        _alike(names)
    return task, _mapped(), _grader()


def _choice_options() -> None:
    st.text_input(
        "Prior prompt", key="evaluate.prior", persist_state="session", placeholder="Answer:",
        help="Subtracts each choice's logprob after this prompt, which has no question. Leave empty to turn off.",
    )  # fmt: skip
    st.toggle(
        "Compare per character", key="evaluate.by_length", persist_state="session",
        help="Compares logprobs per character, so that short choices have no advantage.",
    )  # fmt: skip


def _one(label: str, field: str, names: list[str], about: str) -> None:
    """Show the choice of one column."""
    st.selectbox(
        label, [_NONE, *names], key=f"evaluate.{field}", persist_state="session", help=about,
        format_func=lambda name: marked(name) or "None",
    )  # fmt: skip


def _alike(names: list[str]) -> None:
    """Show the columns that say which rows belong together."""
    st.multiselect(
        "Slices", names, key="evaluate.slices", persist_state="session", format_func=marked,
        help="The report shows the rows of each value separately.",
    )  # fmt: skip
    _one("Group", "group", names, "Similar rows, such as those from one template, have the same value.")
    _one("Id", "row_id", names, "Identifies a row. By default, its number does.")


def _mapped() -> Mapped:
    state = st.session_state
    return Mapped(
        state["evaluate.template"],
        state.get("evaluate.expected") or "",
        tuple(state.get("evaluate.choices") or ()),
        tuple(state.get("evaluate.slices") or ()),
        state.get("evaluate.group") or "",
        state.get("evaluate.row_id") or "",
    )


def _grader() -> Grader:
    state = st.session_state
    rule = Rule(state.get("evaluate.rule") or Rule.NORMALIZED)
    return Grader(rule, float(state.get("evaluate.tolerance") or 0), state.get("evaluate.field") or "")


def _rule() -> None:
    st.selectbox(
        "An answer is right if", list(_RULES), key="evaluate.rule", persist_state="session",
        format_func=_RULES.__getitem__,
    )  # fmt: skip
    rule = st.session_state["evaluate.rule"]
    if rule == Rule.NUMBER:
        st.number_input(
            "Tolerance", 0.0, 1.0, step=0.01, key="evaluate.tolerance", persist_state="session",
            help="Relative to the expected number: 0.05 accepts numbers up to 5% away.",
        )  # fmt: skip
    if rule == Rule.JSON_FIELD:
        st.text_input("Field", key="evaluate.field", persist_state="session", placeholder="items.0.name")


def _preview(found: Questions) -> None:
    """Show the first questions as they will be asked, and the rows that are left out."""
    asked = formatting.count(len(found.questions), "question")
    repeated = f", {formatting.count(found.repeated, 'row')} repeated" if found.repeated else ""
    with st.expander(f"{asked}{repeated}", icon=":material/preview:"):
        st.dataframe(
            [
                {
                    "Row": each.row,
                    "Prompt": marked(formatting.beginning(each.prompt, _CELL)),
                    "Expected": marked(formatting.beginning(" | ".join(each.expected), _CELL)),
                    "Choices": marked(formatting.beginning(" | ".join(each.choices), _CELL)),
                }
                for each in found.questions[:_PREVIEWED]
            ],
            hide_index=True,
        )
    if found.problems:
        with st.expander(
            f"{formatting.count(len(found.problems), 'row')} left out", icon=":material/warning:"
        ):  # fmt: skip
            st.dataframe(
                [{"Row": each.row, "Why": marked(each.cause)} for each in found.problems[:_LISTED]], hide_index=True
            )


def _plan(source: Source, name: str, found: AllPrompts, task: Task, grader: Grader, limits: Limits) -> EvaluatePlan:
    state = st.session_state
    mode = Mode(state["evaluate.mode"])
    further = [state[f"evaluate.template.{number}"] for number in range(2, 2 + len(found.prompts))]
    k, prompt_scores = min(EvaluatePlan.k, limits.can.max_k), limits.can.prompt_scores
    return EvaluatePlan(
        source,
        found.questions.questions,
        task,
        grader,
        name,
        mode,
        max_tokens=int(state.get("evaluate.max_tokens") or 32),
        stop=("\n",) if mode is Mode.RAW else (),
        k=k,
        prompt_scores=prompt_scores,
        prior=(state.get("evaluate.prior") or "") if task is Task.CHOICE else "",
        by_length=bool(state.get("evaluate.by_length")) and task is Task.CHOICE,
        label=state["evaluate.template"] if further else "",
        template=state["evaluate.template"],
        others=tuple(
            Variant(source, prompts, mode, k, prompt_scores, name=str(text))
            for text, prompts in zip(further, found.prompts, strict=True)
        ),
    )
