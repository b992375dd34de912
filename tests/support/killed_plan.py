"""A process that works on a plan until it is killed, and goes on with it when it is started again."""

from __future__ import annotations

import os

from lib.core.sources import BedrockModel
from lib.costs.ledger import Caps, Ledger
from lib.engines.bedrock.account import Account
from lib.engines.bedrock.engine import BedrockEngine
from lib.jobs.engine_pool import Engines
from lib.jobs.job import Job, Jobs
from lib.jobs.run_plan import run_plan
from lib.store.database import open_database
from lib.store.job_runs import restored, run_about
from lib.store.runs import Runs
from lib.store.writer import RunWriter
from tests.support.many_prompts import ManyPrompts, register

PROMPTS = tuple(f"call {number:03}" for number in range(60))


def work(database: str, run: str, arn: str, endpoint: str) -> None:
    """Begin the plan as that run, or go on with what the store has of it; return once it is done."""
    register()
    os.environ.update(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="example", AWS_EC2_METADATA_DISABLED="true")
    model = BedrockModel(arn, form="OPENAI", region="us-east-1", endpoint=endpoint)
    plan, account = ManyPrompts(model, PROMPTS), Account()
    engine = BedrockEngine(model, client=account.client("bedrock-runtime", model.place), ledger=Ledger(Caps()))
    engines = Engines(lambda _: engine)
    store = Runs(open_database(database))
    writer = RunWriter(lambda: store, every=0.02)
    jobs = Jobs()
    if (saved := store.open(run)) is None:
        job = Job(run_plan(engines, plan), plan)
        job.id = run
        writer.follow(job, run_about(job, plan.page, owner="", version="1"))
        job.run()
    else:
        before = jobs.restore(run, **restored(*saved))
        assert before.plan == plan
        job = jobs.go_on(before, run_plan(engines, plan, resume=before.result or before.partial))
        writer.follow(job, run_about(job, plan.page, owner="", version="1"))
        job.wait(60)
    assert writer.close(10)
