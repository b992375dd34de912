"""The Evaluate page."""

from __future__ import annotations

from components.evaluate.form import evaluate_form
from components.evaluate.results import show_report
from components.jobs.asking_page import AskingPage

EVALUATE = AskingPage(
    name="evaluate",
    title="Does confidence mean correctness?",
    form=evaluate_form,
    results=show_report,
    empty="The report appears here: how often the model is right, whether it is over- or underconfident, how well its "
    "confidence separates right answers from wrong ones, and above which score you can trust it. Choose a labelled "
    "file, or try the sums above.",
    gone="The evaluation in this link no longer exists. Run it again.",
    answer_name=lambda _, place: f"Answer {place + 1:,}",
)
