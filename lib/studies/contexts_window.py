"""Passages that fit into the model's context: each alone, and those of an answer together."""

from __future__ import annotations

from dataclasses import replace

from lib.contexts.pruning import cut_to
from lib.contexts.scorings import DRAFT
from lib.core.request import Request
from lib.engines.base import Window
from lib.errors import InvalidRequest
from lib.formatting import count
from lib.studies.contexts import ContextsPlan

_JOIN = 2  # tokens at most of what is put between two passages, and of what changes beside it
_LISTED = 3  # ids that a note names


def fitted(plan: ContextsPlan, window: Window) -> ContextsPlan:
    """The plan with its passages cut to the model's context, and with the tokens that an answer's passages may have.

    The room is the context without the template, the question, and the longest of what follows them: a draft, a full
    answer, or the answer whose gain is scored. Raises InvalidRequest if there is no room, and CandorError if the model
    cannot count.
    """
    new = max(plan.max_tokens, plan.draft_tokens if DRAFT in plan.scorings else 0)
    if plan.gains:
        new = max(new, window.count(Request(prompt=f" {plan.answer}")))
    empty = tokens_of_prompts(plan, window, "")
    room = window.context - empty - new
    if room < 1:
        raise InvalidRequest(
            f"There is no room for a passage: the model takes {window.context:,} tokens. The question and the template "
            f"have {empty:,}, and {count(new, 'token')} may follow.",
            "Shorten them, lower the max new tokens, or choose a model with a longer context.",
        )

    def tokens(text: str) -> int:
        return tokens_of_prompts(plan, window, text) - empty

    passages = cut_to(plan.passages, room, tokens)
    cut = tuple(own.id for own, before in zip(passages, plan.passages, strict=True) if own.text != before.text)
    together = sum(tokens(each.text) for each in passages) + _JOIN * (len(passages) - 1)
    left = max(1, room - _JOIN * (len(passages) - 1))
    # A passage that was cut before and comes back in the plan is still one that was cut.
    known = tuple(each for each in plan.cut if each not in cut)
    return replace(plan, passages=passages, cut=(*known, *cut), context=0 if together <= room else left)


def tokens_of_prompts(plan: ContextsPlan, window: Window, passage: str) -> int:
    """The tokens of the longest prompt in which the plan shows a passage to the model."""
    texts = {plan.prompt_of(passage).text}
    if plan.question_alone:
        texts.add(plan.question_after(passage).text)
    return max(window.count(plan.request(text, 0)) for text in texts)


def cut_note(plan: ContextsPlan) -> str:
    """Which passages were cut, in a sentence; "" if none was."""
    if not plan.cut:
        return ""
    which = ", ".join(f"“{each}”" for each in plan.cut[:_LISTED])
    more = f" and {len(plan.cut) - _LISTED} more" if len(plan.cut) > _LISTED else ""
    return f"{count(len(plan.cut), 'passage')} cut at the end to fit into the model's context: {which}{more}."


def remembering(window: Window, known: dict[Request, int]) -> Window:
    """The window, counting each prompt once. known: what was counted, to which more is added."""

    def counted(request: Request) -> int:
        if request not in known:
            known[request] = window.count(request)
        return known[request]

    return Window(window.context, counted)
