"""The Models page."""

from __future__ import annotations

from components.jobs.asking_page import AskingPage
from components.jobs.current_job import Run
from components.models.form import models_form
from components.models.results import compared, side_names
from lib.jobs.batch import Batch
from lib.jobs.plan import Plan
from lib.studies.model_comparison import ModelsPlan


def _results(job: Run, batch: Batch) -> None:
    if isinstance(job.plan, ModelsPlan):
        compared(job.plan, batch)


def _answer_name(plan: Plan | None, place: int) -> str:
    return side_names(plan)[place] if isinstance(plan, ModelsPlan) else f"Model {place + 1}"


MODELS = AskingPage(
    name="models",
    title="Where do two models disagree on the same text?",
    form=models_form,
    results=_results,
    empty="Your text appears here, shaded by how much more or less likely the second model finds each part. The "
    "models may have different tokenizers.",
    gone="The comparison in this link no longer exists. Compare again.",
    answer_name=_answer_name,
)
