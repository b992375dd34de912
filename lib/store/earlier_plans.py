"""Plans of runs of version 0.1 and 0.2, which stored calls, and numbers that told the page what they were for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib.core.request import mode_of
from lib.jobs.call import Call
from lib.jobs.plan import Plan
from lib.studies.ablation import AblationPlan
from lib.studies.model_comparison import ModelsPlan, Side
from lib.studies.prompt_comparison import PromptsPlan
from lib.studies.ranking import RankPlan


@dataclass(frozen=True)
class EarlierPrompts(PromptsPlan):
    """A comparison with the calls as they were made: what the form holds need not lead to the same ones today."""

    stored: tuple[Call, ...] = ()

    def calls(self) -> tuple[Call, ...]:
        """The stored calls."""
        return self.stored


@dataclass(frozen=True)
class EarlierRank(RankPlan):
    """A ranking with the calls as they were made."""

    stored: tuple[Call, ...] = ()

    def calls(self) -> tuple[Call, ...]:
        """The stored calls."""
        return self.stored


def earlier_plan(page: str, calls: Sequence[Call], marks: list[int]) -> Plan | None:
    """The plan of a stored run; None if no page makes such calls. Raises LookupError, TypeError or ValueError.

    marks: of an ablation, the number of prompts and that of the answer's own; of models, when each side was saved.
    """
    if page == "models":
        saved = marks if len(marks) == len(calls) else [0] * len(calls)
        first, second = (
            Side(each.source, each.request, each.candidates, saved=when)
            for each, when in zip(calls, saved, strict=True)
        )
        return ModelsPlan((first, second))
    if page == "prompts" and len(marks) == 2:
        requests = tuple(each.request for each in calls[: marks[0]])
        return AblationPlan(calls[0].source, requests, marks[1], calls[0].candidates[0])
    if page == "prompts":
        prompts = tuple(each.request.last_user_text for each in calls)
        return EarlierPrompts(prompts=prompts, stored=tuple(calls), **_shared(calls))
    if page == "rank":
        candidates = tuple(text.strip(" ") for each in calls for text in each.candidates)
        prompt = calls[0].request.last_user_text
        return EarlierRank(prompt=prompt, candidates=candidates, stored=tuple(calls), **_shared(calls))
    return None


def _shared(calls: Sequence[Call]) -> dict[str, Any]:
    """The fields that prompts and rankings share. Sampling is that of the first call that samples."""
    request = calls[0].request
    shared = {
        "source": calls[0].source,
        "mode": mode_of(request),
        "k": request.k,
        "prompt_scores": request.prompt_scores,
        "samples": 0,
    }
    sampled = next((each.request for each in calls if not each.candidates), None)
    if sampled is None:
        return shared
    return shared | {"max_tokens": sampled.max_tokens, "temperature": sampled.temperature, "samples": sampled.n}
