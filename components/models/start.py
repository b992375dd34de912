"""Start a comparison whose sides may be saved runs."""

from __future__ import annotations

from typing import Any

from components.jobs.current_job import start_several, start_work
from components.shell.services import engines, owner
from lib.errors import CandorError
from lib.jobs.job import Job
from lib.jobs.plan import ask_several
from lib.jobs.run import Question
from lib.studies.model_comparison import Side, comparison, scored_now, with_saved

_PAGE = "models"


def start_comparison(sides: tuple[Side, ...]) -> tuple[Job[Any] | None, CandorError | None]:
    """Start one job for both sides; return it, or the previous job and why no new one could start."""
    questions = tuple(side for side in sides if isinstance(side, Question))
    if len(questions) == len(sides):
        return start_several(_PAGE, questions)
    return start_work(
        _PAGE,
        questions,
        lambda: (
            with_saved(sides, ask_several(engines(), scored_now(_PAGE, sides), owner=owner())),
            comparison(_PAGE, sides),
        ),
    )
