"""The Contexts page."""

from __future__ import annotations

from components.contexts.form import contexts_form
from components.contexts.results import show_contexts
from components.jobs.asking_page import AskingPage
from lib.jobs.plan import Plan
from lib.studies.contexts import ContextsPlan


def _name(plan: Plan | None, place: int) -> str:
    """What an answer of the plan is: a passage's call, or a full answer."""
    if isinstance(plan, ContextsPlan) and place < len(plan.passages):
        return f"Passage {place + 1}"
    return f"Call {place + 1}"


CONTEXTS = AskingPage(
    name="contexts",
    title="Which passages are worth an answer?",
    form=contexts_form,
    results=show_contexts,
    empty="Passages appear here, ranked by how well they fit the question, before you pay for a full answer. "
    "Pick an example above, or paste a question and your retriever's passages.",
    gone="The run this link points to is no longer available. Score the passages again.",
    answer_name=_name,
    while_running=True,
)
