"""The Explore page."""

from __future__ import annotations

from components.explore.answer import show_answers
from components.explore.form import prompt_form
from components.jobs.asking_page import AskingPage
from components.token_map.feed import reachable

EXPLORE = AskingPage(
    name="explore",
    title="How sure was the model of every token?",
    form=prompt_form,
    results=show_answers,
    empty="Your prompt and the answer appear here, each token shaded by how confident the model was. Pick an example "
    "above, or type a prompt and press Generate.",
    gone="The answer this link points to is no longer available. Generate it again.",
    while_running=True,
    fed=reachable,
)
