"""The report of two models on the same hundred and twenty questions, without a model; of one, with `?rows=`.

Run by test_evaluate.py, and with many rows by the benchmark of the report.
"""

from __future__ import annotations

import random

from lib.core.completion import Completion, StopReason
from lib.core.sources import LocalModel
from lib.evaluation.dataset import Question
from lib.jobs.batch import Batch, batch_of
from lib.jobs.job import Job
from lib.studies.evaluation import EvaluatePlan, Variant
from tests.support.scripted_engine import tokens_of

COUNT = 120


def plan(count: int, *others: str) -> EvaluatePlan:
    """Questions in two slices and twelve groups, for a base model and the others."""
    questions = tuple(
        Question(
            number + 1,
            str(number + 1),
            f"Question {number}?",
            ("yes",),
            slices=(("kind", ("easy", "hard")[number % 2]),),
            group=f"template {number % 12}",
        )
        for number in range(count)
    )
    variants = tuple(Variant(LocalModel(each)) for each in others)
    return EvaluatePlan(LocalModel("base"), questions, name="questions.jsonl", others=variants)


def answers(count: int, *others: str) -> Batch:
    """Answers of all models: right the more often, the more confident they are; others more often than the base."""
    luck = random.Random(3)
    done = []
    for model, better in (("base", 0.0), *((each, 0.25) for each in others)):
        for _ in range(count):
            logprob = -luck.uniform(0.02, 0.8)
            text = "yes" if luck.random() < 0.9 + logprob + better else "no."
            done.append(
                Completion(
                    None, model, tokens_of("Question?"), tokens_of(text, logprob), text, StopReason.STOP,
                    provenance=(("weights", model),),
                )
            )  # fmt: skip
    return batch_of(done)


def page() -> None:
    """Draw the page."""
    import streamlit as st

    from components.evaluate.page import EVALUATE

    st.set_page_config(layout="wide")
    if "job" not in st.session_state:
        rows = st.query_params.get("rows")
        asked = (int(rows),) if rows else (COUNT, "tuned")
        job: Job[Batch] = Job(lambda _: answers(*asked), plan(*asked))  # type: ignore[arg-type]
        job.run()
        st.session_state.job = job
    EVALUATE.show_job(st.session_state.job)


if __name__ == "__main__":
    page()
