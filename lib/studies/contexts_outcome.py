"""The outcome of Contexts' plan: scores of passages, which of them are kept, and the full answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from lib.contexts.prompting import closed_book, joined_passages
from lib.contexts.pruning import kept
from lib.contexts.scorings import (
    BM25,
    COMBINED,
    DRAFT,
    GAIN,
    QUESTION,
    RETRIEVER,
    Scores,
    bm25,
    combined,
    draft_score,
    gain,
    passage_tokens,
    question_score,
)
from lib.core.completion import Completion
from lib.errors import CandorError
from lib.jobs.batch import Batch, Outcome, State
from lib.jobs.call import Call
from lib.studies.contexts import ALL, KEPT, NONE, ContextsPlan

_CHARACTERS = 4  # of a token, where the model did not count


@dataclass(frozen=True)
class Scored:
    """The passages' scores, as far as they are known. n passages."""

    scores: Mapping[str, Scores]  # float64[n] by scoring, nats but for "retriever" and "bm25"; NaN: not known
    tokens: tuple[int, ...]  # n: tokens of each passage
    counted: bool  # whether the model counted all tokens; if not, some are estimated from characters
    frame: int  # tokens of the template and the question, estimated from characters where no prompt was read
    drafts: tuple[Completion | None, ...]  # n: None if none was asked for, or it failed
    errors: tuple[CandorError | None, ...]  # n: the first error of each passage's calls
    note: str = ""  # what could not be scored, and why


@dataclass(frozen=True)
class Answer:
    """A full answer."""

    passages: tuple[int, ...]  # places of the passages it is given from, in the order of the prompt
    left_out: int  # passages that did not fit into the model's context
    prompt: str  # as filled in
    outcome: Outcome  # WAITING until it is asked


@dataclass(frozen=True)
class ContextsOutcome:
    """Everything that is known of a plan's outcome."""

    scored: Scored
    kept: tuple[int, ...]  # places of the passages that the plan's rule keeps, best first
    answers: Mapping[str, Answer]  # by KEPT, ALL and NONE
    seconds: float  # elapsed


def outcome_of(plan: ContextsPlan, batch: Batch, scored: Scored | None = None) -> ContextsOutcome:
    """Read the outcome of a plan so far. scored: as from `scored_of`, if it is known already."""
    scored = scored or scored_of(plan, batch)
    count = scoring_answers(plan)
    later = batch.outcomes[count:]
    prompts = answer_prompts(plan, batch, scored)
    places = {text: number for number, text in enumerate(dict.fromkeys(prompts.values()))}
    answers = {
        name: Answer(
            passages_of(plan, name, scored),
            _wanted(plan, name, scored) - len(passages_of(plan, name, scored)),
            text,
            later[places[text]] if places[text] < len(later) else Outcome(),
        )
        for name, text in prompts.items()
    }
    return ContextsOutcome(scored, kept_of(plan, scored), answers, batch.seconds)


def scored_of(plan: ContextsPlan, batch: Batch) -> Scored:
    """The passages' scores so far, without the answers."""
    number = len(plan.passages)
    outcomes = iter(batch.outcomes)
    prompts = _taken(outcomes, number if plan.asks_prompts else 0)
    questions = _taken(outcomes, number if plan.question_alone else 0)
    gains = _taken(outcomes, number + 1 if plan.gains else 0)
    scores: dict[str, Scores] = {}
    if DRAFT in plan.scorings:
        scores[DRAFT] = np.array([math.nan if each is None else draft_score(each) for each in _done(prompts)])
    if plan.question_in_prompt or plan.question_alone:
        asked = [plan.question_after(each.text) for each in plan.passages]
        pairs = zip(_done(prompts if plan.question_in_prompt else questions), asked, strict=True)
        scores[QUESTION] = np.array([math.nan if each is None else question_score(each, text) for each, text in pairs])
    if plan.gains:
        *own, without = _done(gains)
        scores[GAIN] = np.array([math.nan if not each or not without else gain(each, without) for each in own])
    if RETRIEVER in plan.scorings:
        scores[RETRIEVER] = np.array([math.nan if each.score is None else each.score for each in plan.passages])
    if BM25 in plan.scorings:
        scores[BM25] = bm25(plan.question, [each.text for each in plan.passages])
    if plan.weights:
        scores[COMBINED] = combined(scores, dict(plan.weights))
    return Scored(
        scores,
        *_tokens(plan, _done(prompts or questions or gains)),
        tuple(_done(prompts)) if DRAFT in plan.scorings else (None,) * number,
        tuple(_error(place, prompts, questions, gains) for place in range(number)),
        _missing(plan),
    )


def _tokens(plan: ContextsPlan, read: list[Completion | None]) -> tuple[tuple[int, ...], bool, int]:
    """The tokens of each passage, whether all were counted, and the tokens of the template and the question.

    read: what the model read of each passage; more is ignored, and less is as if it had failed.
    """
    tokens, counted, frame = [], True, 0
    for each, done in zip(plan.passages, [*read, *[None] * len(plan.passages)], strict=False):
        size = 0 if done is None else passage_tokens(done, plan.prompt_of(each.text))
        if done is not None and size:
            frame = frame or len(done.prompt) - size
        counted = counted and size > 0
        tokens.append(size or _estimated(each.text))
    return tuple(tokens), counted, frame or _estimated(plan.prompt_of("").text)


def scoring_answers(plan: ContextsPlan) -> int:
    """The number of answers of the scoring calls, which the outcome begins with."""
    return sum(each.answers for each in plan.calls())


def all_scored(plan: ContextsPlan, batch: Batch) -> bool:
    """Whether all scoring calls have ended, with an answer or without."""
    count = scoring_answers(plan)
    states = [each.state for each in batch.outcomes[:count]]
    return len(states) == count and not {State.WAITING, State.RUNNING} & {*states}


def with_ranking(plan: ContextsPlan, scored: Scored) -> Scored:
    """The scores with the combination that the plan's weights make of them, if that ranks the passages."""
    if plan.by != COMBINED:
        return scored
    return replace(scored, scores={**scored.scores, COMBINED: combined(scored.scores, dict(plan.weights))})


def kept_of(plan: ContextsPlan, scored: Scored) -> tuple[int, ...]:
    """The places of the passages that the plan's rule keeps, best first."""
    scores = scored.scores.get(plan.by)
    return () if scores is None else kept(scores, plan.keep, scored.tokens)


def answer_prompts(plan: ContextsPlan, batch: Batch, scored: Scored | None = None) -> dict[str, str]:
    """The prompt of each full answer. There is none from kept passages if no passage is kept."""
    if not plan.answers:
        return {}
    scored = scored or scored_of(plan, batch)
    found = {}
    for name in (KEPT, ALL, NONE):
        used = passages_of(plan, name, scored)
        if name == NONE and name in plan.answers:
            found[name] = closed_book(plan.template, plan.question)
        elif name in plan.answers and used:
            found[name] = plan.prompt_of(joined_passages([plan.passages[place].text for place in used])).text
    return found


def answers_left(asked: ContextsPlan, plan: ContextsPlan, batch: Batch, scored: Scored) -> tuple[Call, ...]:
    """The calls for full answers that the outcome of a plan lacks, once what is kept or answered has changed.

    asked: the plan with these changes. scored: of the outcome of `plan`.
    """
    count = scoring_answers(plan)
    before = dict.fromkeys(answer_prompts(plan, batch, scored).values())
    known = {text for text, each in zip(before, batch.outcomes[count:], strict=False) if each.state is State.DONE}
    wanted = dict.fromkeys(answer_prompts(asked, batch, with_ranking(asked, scored)).values())
    return tuple(asked.answer_call(text) for text in wanted if text not in known)


def passages_of(plan: ContextsPlan, name: str, scored: Scored) -> tuple[int, ...]:
    """Places of the passages of an answer that fit into the context, in the order they were given in."""
    if name == NONE:
        return ()
    found, left = [], plan.context or math.inf
    for place in kept_of(plan, scored) if name == KEPT else range(len(plan.passages)):
        if scored.tokens[place] <= left:
            found.append(place)
            left -= scored.tokens[place]
    return tuple(sorted(found))


def _wanted(plan: ContextsPlan, name: str, scored: Scored) -> int:
    """How many passages an answer would be given from if the context had no limit."""
    return {KEPT: len(kept_of(plan, scored)), ALL: len(plan.passages), NONE: 0}[name]


def _taken(outcomes: Iterator[Outcome], number: int) -> list[Outcome]:
    found = list(islice(outcomes, number))
    return found + [Outcome()] * (number - len(found))


def _done(outcomes: list[Outcome]) -> list[Completion | None]:
    return [each.completion if each.state is State.DONE else None for each in outcomes]


def _error(place: int, *calls: list[Outcome]) -> CandorError | None:
    found = (each[place].error for each in calls if place < len(each))
    return next((error for error in found if error is not None), None)


def _estimated(text: str) -> int:
    return -(-len(text) // _CHARACTERS)


def _missing(plan: ContextsPlan) -> str:
    lacking = [name for name in (QUESTION, GAIN) if name in plan.scorings]
    if plan.prompt_scores or not lacking:
        return ""
    return (
        "The model doesn't return prompt logprobs, so only draft confidence, BM25 and the retriever's score are known."
    )
