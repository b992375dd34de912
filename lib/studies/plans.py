"""Every kind of plan, by the name that is stored with its runs. A new page adds its plan here."""

from __future__ import annotations

from lib.jobs.plan import Plan
from lib.studies.ablation import AblationPlan
from lib.studies.contexts import ContextsPlan
from lib.studies.contexts_sets import ContextsAnswersPlan, ContextsSetPlan
from lib.studies.doubts import DoubtsPlan
from lib.studies.doubts_sets import DoubtsSetsPlan
from lib.studies.evaluation import EvaluatePlan
from lib.studies.exploration import ExplorePlan
from lib.studies.label_choices import LabelsPlan
from lib.studies.leaning import LeaningPlan
from lib.studies.model_comparison import ModelsPlan
from lib.studies.prompt_comparison import PromptsPlan
from lib.studies.ranking import RankPlan
from lib.studies.second_looks import SecondLooksPlan

PLANS: dict[str, type[Plan]] = {
    each.kind: each
    for each in (
        ExplorePlan, PromptsPlan, AblationPlan, ModelsPlan, RankPlan, EvaluatePlan, DoubtsPlan, DoubtsSetsPlan,
        SecondLooksPlan, LabelsPlan, ContextsPlan, LeaningPlan, ContextsSetPlan,
        ContextsAnswersPlan,
    )
}  # fmt: skip
