"""Passages cut to the model's context, and the room that an answer's passages have together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lib.contexts.passages import Passage
from lib.contexts.prompting import TEMPLATES, Order
from lib.contexts.pruning import Keep, Rule
from lib.contexts.scorings import BM25, DRAFT, GAIN, QUESTION
from lib.core.request import Mode, Request
from lib.core.sources import LocalModel
from lib.engines.base import Window
from lib.errors import InvalidRequest
from lib.jobs.batch import Batch
from lib.studies.contexts import ALL, KEPT, ContextsPlan
from lib.studies.contexts_outcome import Scored, answer_prompts, scored_of
from lib.studies.contexts_window import cut_note, fitted, remembering

LONG = " ".join(["Oslo lies in the north."] * 40)
PASSAGES = (Passage("a", "Rome is old."), Passage("long", LONG), Passage("c", "Bern is small."))
PLAN = ContextsPlan(LocalModel("m"), "Where lies Oslo?", PASSAGES, draft_tokens=8, max_tokens=20)


def window(context: int) -> Window:
    """A model with one token per character."""
    return Window(context, lambda request: len(request.last_user_text))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"scorings": (BM25,), "by": BM25},
        {"template": TEMPLATES[Order.QUESTION_FIRST]},
        {"mode": Mode.CHAT},
        {"draft_tokens": 60},
        {"scorings": (QUESTION, GAIN), "answer": "In the north of Norway, by the sea."},
        {"max_tokens": 200},
    ],
)
def test_every_call_has_room_for_what_it_generates(change: dict[str, Any]) -> None:
    plan = replace(PLAN, answers=(KEPT, ALL), keep=Keep(Rule.TOP, 3), **change)
    found = fitted(plan, window(400))
    assert found.cut == ("long",)
    assert LONG.startswith(found.passages[1].text)
    assert (found.passages[0], found.passages[2]) == (plan.passages[0], plan.passages[2])
    for call in found.calls():
        read = len(call.request.last_user_text) + sum(map(len, call.candidates))
        assert read + call.request.max_tokens <= 400
    alone = len(found.prompt_of(found.passages[1].text).text) + plan.max_tokens
    assert alone <= 400
    assert fitted(found, window(400)) == found, "cutting twice changes nothing"


def test_an_answers_passages_fit_together() -> None:
    plan = replace(PLAN, answers=(ALL,), scorings=(BM25,), by=BM25)
    found = fitted(plan, window(400))
    assert found.context > 0
    exact = replace(scored_of(found, Batch()), tokens=tuple(len(each.text) for each in found.passages))
    prompt = answer_prompts(found, Batch(), exact)[ALL]
    assert len(prompt) + plan.max_tokens <= 400
    assert "Rome" in prompt
    assert "Oslo lies in the north." not in prompt.split("Question:")[0], "what does not fit is left out"
    assert fitted(plan, window(10_000)) == plan, "nothing is cut where all fits"
    assert isinstance(exact, Scored)


def test_no_room_is_said_before_anything_is_asked() -> None:
    with pytest.raises(InvalidRequest, match="no room for a passage") as raised:
        fitted(replace(PLAN, max_tokens=400), window(400))
    assert "max new tokens" in raised.value.remedy


def test_what_was_cut_is_named() -> None:
    assert cut_note(PLAN) == ""
    assert cut_note(fitted(PLAN, window(400))) == "1 passage cut at the end to fit into the model's context: “long”."
    many = replace(PLAN, cut=("1", "2", "3", "4", "5"))
    assert cut_note(many).endswith("“1”, “2”, “3” and 2 more.")


def test_a_prompt_is_counted_once() -> None:
    counted: list[Request] = []

    def count(request: Request) -> int:
        counted.append(request)
        return len(request.last_user_text)

    known: dict[Request, int] = {}
    first = fitted(PLAN, remembering(Window(400, count), known))
    asked = len(counted)
    assert asked == len(set(counted)) == len(known)
    assert fitted(PLAN, remembering(Window(400, count), known)) == first
    assert fitted(replace(PLAN, scorings=(DRAFT,), by=DRAFT), remembering(Window(400, count), known)).cut == ("long",)
    assert len(counted) == asked
