"""The Rank page."""

from __future__ import annotations

from components.jobs.asking_page import AskingPage
from components.jobs.current_job import Run
from components.rank.form import rank_form
from components.rank.results import ranking
from lib.jobs.batch import Batch, State


def _results(_: Run, batch: Batch) -> None:
    done = [each.completion for each in batch.outcomes if each.state is State.DONE and each.completion is not None]
    if done:
        ranking(done)


RANK = AskingPage(
    name="rank",
    title="Which answer does the model find most likely?",
    form=rank_form,
    results=_results,
    empty="The answers appear here, most likely first. Let the model sample some, add candidates of your own, or "
    "both, then choose Rank.",
    gone="The ranking in this link no longer exists. Rank again.",
    while_running=True,
)
