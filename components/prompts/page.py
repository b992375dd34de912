"""The Prompts page."""

from __future__ import annotations

import streamlit as st

from components.jobs.asking_page import AskingPage
from components.jobs.current_job import Run
from components.prompts.ablation import helped_by, what_helped
from components.prompts.form import compare_form
from components.prompts.results import compared
from components.prompts.versions import versions
from lib.jobs.batch import Batch
from lib.jobs.plan import Plan, places_of
from lib.studies.ablation import AblationPlan
from lib.studies.prompt_comparison import PromptsPlan


def _results(job: Run, batch: Batch) -> None:
    if isinstance(job.plan, AblationPlan):
        helped_by(job.plan, batch)
    elif isinstance(job.plan, PromptsPlan):
        compared(job.plan, batch)
        versions(int(st.session_state["prompts.count"]))
        what_helped(job, job.plan, batch)


def _answer_name(plan: Plan | None, place: int) -> str:
    return f"Prompt {places_of(plan.calls())[place] + 1}" if isinstance(plan, PromptsPlan) else f"Text {place + 1}"


PROMPTS = AskingPage(
    name="prompts",
    title="Which prompt does the model understand better?",
    form=compare_form,
    results=_results,
    empty="The prompts appear here side by side with the model's answers, and how confidently each answer begins. "
    "Type two prompts, or try the example, then choose Compare.",
    gone="The comparison in this link no longer exists. Compare again.",
    what="The comparison",
    answer_name=_answer_name,
)
