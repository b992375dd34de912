"""What the chosen model cannot do, so that the form greys it and says why."""

from __future__ import annotations

from dataclasses import dataclass

from components.pickers.bedrock import known_abilities
from lib.core.request import MAX_K
from lib.core.sources import BedrockModel, Source


@dataclass(frozen=True)
class Limits:
    """refusal: why it cannot be asked in this mode, "" where it can. max_k: alternatives it returns.

    prompt_scores: whether it returns any. given_scores: whether texts that are given after a prompt can be scored.
    streamed_prompt_scores: whether they come with a stream. seeded: whether a seed reaches it.
    """

    refusal: str = ""
    max_k: int = MAX_K
    prompt_scores: bool = True
    given_scores: bool = True
    streamed_prompt_scores: bool = True
    seeded: bool = True


def limits_of(source: Source, *, chat: bool, ask: bool = True) -> Limits:
    """Of a model, as far as they are known; a model on this machine says no before it is asked, if at all.

    ask: whether a model of Bedrock is asked what it can return. Opening a run asks nothing.
    """
    if not isinstance(source, BedrockModel):
        return Limits()
    found = known_abilities(source, ask=ask)
    if found is None:
        return Limits(streamed_prompt_scores=False, seeded=False)  # as most models have it, until it is known
    can = found.reading(chat=chat)
    if can is not None:
        return Limits("", can.max_k, can.prompt_scores, found.scores_given, can.streamed_prompt_scores, seeded=False)
    if not found.formats:
        return Limits("This model was imported before 2025-07-31 and returns no logprobs. Import it again to see them.")
    if chat:
        return Limits("This model takes no chats: it was imported before 2025-11-11, or without a chat template.")
    return Limits("This model takes chats only, no raw text.")
