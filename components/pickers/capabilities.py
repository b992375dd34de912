"""What the selected model can do, so that forms disable the rest and say why."""

from __future__ import annotations

from dataclasses import dataclass

from components.shell.services import account
from lib.core.request import MAX_K
from lib.core.sources import BedrockModel, Source
from lib.engines.bedrock.capabilities import Abilities, by_hand
from lib.wire.formats import Format


@dataclass(frozen=True)
class Limits:
    """What a model can do in one mode, chat or raw."""

    refusal: str = ""  # why it cannot be used in this mode; "" if it can
    max_k: int = MAX_K  # top logprobs it returns per position
    prompt_scores: bool = True  # whether it returns prompt logprobs at all
    given_scores: bool = True  # whether it can score candidates after a prompt
    streamed_prompt_scores: bool = True  # whether prompt logprobs come with a stream, too
    seeded: bool = True  # whether a seed reaches it


def known_abilities(model: BedrockModel, *, ask: bool = True) -> Abilities | None:
    """What the model can return, None while unknown. ask: whether to probe the model if necessary."""
    if model.form in Format.__members__:
        return by_hand(Format[model.form])
    return account().peek_abilities(model) if ask else account().known_abilities(model)


def limits_of(source: Source, *, chat: bool, ask: bool = True) -> Limits:
    """The limits of a model as far as they are known. A local model has none here; it refuses when it is called.

    ask: whether to probe a Bedrock model if necessary. Opening a saved run should not.
    """
    if not isinstance(source, BedrockModel):
        return Limits()
    found = known_abilities(source, ask=ask)
    if found is None:
        return Limits(streamed_prompt_scores=False, seeded=False)  # what most models allow, until it is known
    can = found.reading(chat=chat)
    if can is not None:
        return Limits("", can.max_k, can.prompt_scores, found.scores_given, can.streamed_prompt_scores, seeded=False)
    if not found.formats:
        return Limits("This model was imported before 2025-07-31 and returns no logprobs. Import it again to get them.")
    if chat:
        return Limits("This model doesn't take chats: it was imported without a chat template, or before 2025-11-11.")
    return Limits("This model takes chats only, no raw text.")
