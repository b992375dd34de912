"""Both databases hold evaluations: thousands of rows, the plan as it was, and grades set by hand."""

from __future__ import annotations

from lib.access.visitor import ALONE
from lib.core.completion import Completion, StopReason
from lib.core.request import Request
from lib.core.sources import LocalModel
from lib.evaluation.dataset import Question, Task
from lib.evaluation.grades import grades_as_json, grades_of
from lib.evaluation.grading import Grader, Rule
from lib.jobs.batch import batch_of
from lib.jobs.job import Job
from lib.store.job_runs import answers_of, ended, restored, run_about
from lib.store.runs import Part, Runs
from lib.studies.evaluation import EvaluatePlan, Variant
from lib.studies.evaluation_outcome import outcome_of, rows_of
from tests.support.scripted_engine import tokens_of

ROWS = 1_000


def test_an_evaluation_comes_back_as_it_was(runs: Runs) -> None:
    questions = tuple(
        Question(number, f"r{number}", f"{number} é=", (str(number),), slices=(("kind", "é"),), group=str(number % 7))
        for number in range(ROWS)
    )
    others = (Variant(LocalModel("tuned"), tuple(f"Q {each.prompt}" for each in questions), name="Q {n}"),)
    plan = EvaluatePlan(LocalModel("base"), questions, Task.SHORT, Grader(Rule.NUMBER), "sums.csv", others=others)
    done = [_answer(number % ROWS) for number in range(2 * ROWS)]
    job = Job(lambda _: batch_of(done), plan)
    run = run_about(job, plan.page, owner="", version="1")
    runs.begin(run)
    runs.append_all(run.id, [Part(place, 0, each) for place, each in enumerate(done[: ROWS // 2])])
    cut_off = runs.open(run.id)
    assert cut_off is not None
    assert sum(each.completion is not None for each in cut_off[1]) == ROWS // 2
    job.run()
    runs.finish(ended(run, job), answers_of(job.result))
    assert runs.set_detail(run.id, "grades", grades_as_json({1: {"r5": False}}), by=ALONE)
    runs.finish(ended(run, job), answers_of(job.result))  # as after a retry

    opened = runs.open(run.id)
    assert opened is not None
    came = restored(*opened)
    assert came["plan"] == plan
    found = outcome_of(plan, rows_of(plan, came["result"], grades_of(opened[0].details["grades"])))
    assert [side.report.answered for side in found.sides] == [ROWS, ROWS]
    assert [side.report.overruled for side in found.sides] == [0, 1]
    assert found.comparisons[0].lost == (5,)


def _answer(number: int) -> Completion:
    text = str(number)
    return Completion(Request("x"), "m", tokens_of("p"), tokens_of(text, -0.2), text, StopReason.STOP)
