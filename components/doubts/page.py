"""The Doubts page."""

from __future__ import annotations

from components.doubts.form import doubts_form
from components.doubts.results import show_doubts
from components.jobs.asking_page import AskingPage

DOUBTS = AskingPage(
    name="doubts",
    title="What might the model have made up?",
    form=doubts_form,
    results=show_doubts,
    empty="The answer appears here with the words that the model was unsure of, what else it could have written, and "
    "what to do about them. Pick an example above, or open an answer from Explore or History.",
    gone="The answer this link points to is no longer available. Press Find doubts again.",
    takes=frozenset({"explore", "rank", "prompts", "models"}),
)
