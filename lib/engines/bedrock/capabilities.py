"""What an imported model can return, from its import date and from a free call with the body {}.

That call fails at once, costs nothing, and its error lists the formats that the model takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lib.core.request import MAX_K
from lib.engines.base import Capabilities, Unsupported
from lib.engines.bedrock import errors
from lib.errors import InvalidRequest
from lib.wire.formats import FIRST_LOGPROBS, THREE_FORMATS, Format, carried_k

_LISTED = re.compile(r"Available for this model:\s*(.+?)(?:\"|$)")
_NAMES = {
    "ChatCompletionRequest": Format.CHAT,
    "CompletionRequest": Format.OPENAI,
    "BedrockMetaCompletionRequest": Format.BEDROCK,
    "BedrockCompletionRequest": Format.BEDROCK,
}
_THREE = frozenset({Format.BEDROCK, Format.OPENAI, Format.CHAT})
# What most models allow, until it is known.
ASSUMED = Capabilities(streamed_prompt_scores=False, seeded=False)


@dataclass(frozen=True)
class Abilities:
    """What is known of a model's formats."""

    formats: frozenset[Format]  # that the model takes; empty if it returns no logprobs
    known_by: str  # what that is based on, to show to the user
    asleep: bool = False  # the model was cold when it was asked

    def reading(self, *, chat: bool) -> Capabilities | Unsupported:
        """What it can do in a mode."""
        chosen = self.format_for(chat=chat)
        if chosen is None:
            why = no_format(self, chat=chat)
            return Unsupported(why.cause if self.formats else str(why))
        return Capabilities(
            prompt_scores=chosen.scores_prompts,
            streamed_prompt_scores=chosen is Format.EARLY,
            scores_candidates=self.scores_candidates,
            max_k=carried_k(chosen, MAX_K),
            ranks=chosen in (Format.OPENAI, Format.CHAT),
            seeded=False,
        )

    @property
    def scores_candidates(self) -> bool:
        """Whether it can score a supplied text, which is sent as the end of a raw prompt."""
        raw = self.format_for(chat=False)
        return raw is not None and raw.scores_prompts

    def format_for(self, *, chat: bool) -> Format | None:
        """The format that carries most for a chat or a raw prompt; None if there is none."""
        order = (Format.CHAT,) if chat else (Format.OPENAI, Format.EARLY, Format.BEDROCK)
        return next((each for each in order if each in self.formats), None)


def probe(client: Any, arn: str) -> frozenset[Format] | None:
    """Ask a model for its formats; None if its answer lists none.

    Raises ServiceError for any answer but the refusal that lists them, for example because the model is cold.
    """
    try:
        client.invoke_model(modelId=arn, body=b"{}", accept="application/json", contentType="application/json")
    except Exception as error:
        found = errors.in_words(error, arn)
        if found.code != errors.REFUSED:
            raise found from error
        return formats_in(found.message)
    return None  # the model accepted an empty body


def formats_in(message: str) -> frozenset[Format] | None:
    """The formats that a refusal lists; None if it lists none."""
    listed = _LISTED.search(message)
    if listed is None:
        return None
    found = frozenset(_NAMES[name] for name in re.findall(r"\w+", listed[1]) if name in _NAMES)
    return found or None


def abilities(imported: datetime | None, probed: frozenset[Format] | None, asleep: bool = False) -> Abilities:
    """What the import date and the probe say; None for either if it is not known."""
    if imported is not None and imported < FIRST_LOGPROBS:
        return Abilities(frozenset(), "imported before 2025-07-31, when models returned no logprobs")
    if imported is not None and imported < THREE_FORMATS:
        return Abilities(frozenset({Format.EARLY}), "imported before 2025-11-11, when there was one format")
    if probed is not None:
        return Abilities(probed, "the model itself lists these formats")
    reason = "the model is cold and was not asked" if asleep else "the model was not asked, or did not say"
    return Abilities(_THREE, f"assumed from its import date; {reason}" if imported else f"assumed; {reason}", asleep)


def format_named(name: str) -> Format:
    """The format of a `BedrockModel.form`. Raises InvalidRequest if there is none of that name."""
    try:
        return Format[name]
    except KeyError:
        raise InvalidRequest(
            f"The format {name[:80]!r} set for this model is not one that Candor knows.",
            "Choose a format for the model in the sidebar, or let Candor detect it.",
        ) from None


def by_hand(chosen: Format) -> Abilities:
    """The format the user set, plus the usual format for the other mode (chat or raw text)."""
    other = {Format.EARLY: chosen, Format.CHAT: Format.OPENAI}.get(chosen, Format.CHAT)
    return Abilities(frozenset({chosen, other}), "the format set for the model")


def no_format(found: Abilities, *, chat: bool) -> InvalidRequest:
    """Why the model can't be used in a mode, for a model that has no format for it."""
    if not found.formats:
        return InvalidRequest(
            "This model was imported before 2025-07-31, and such models return no logprobs.",
            "Import it again, or correct the import date beside the model.",
        )
    if chat:
        return InvalidRequest(
            "This model doesn't take chats: it was imported without a chat template, or before 2025-11-11.",
            "Use raw text. If the model was trained on a template's markers, type them into the prompt.",
        )
    return InvalidRequest("This model takes chats only, no raw text.", "Choose Chat.")


def in_words(found: Abilities) -> dict[str, str]:
    """What a model can return, by topic; empty for a model without logprobs."""
    modes = {"raw text": found.reading(chat=False), "chat": found.reading(chat=True)}
    usable = {name: can for name, can in modes.items() if isinstance(can, Capabilities)}
    if not usable:
        return {}
    scored = [can for can in usable.values() if can.prompt_scores]
    max_k = max(can.max_k for can in usable.values())
    return {
        "prompt logprobs": "yes" if scored else "no",
        "alternatives": f"up to {max_k}" if max_k > 1 else "the most likely only",
        "streaming": "yes" if not scored or any(can.streamed_prompt_scores for can in scored) else "answer only",
        "reads": " and ".join(usable),
    }


def in_sentence(found: Abilities) -> str:
    """The same as one line: "Prompt logprobs: yes · alternatives: up to 20 · streaming: answer only · …"."""
    words = " · ".join(f"{topic}: {text}" for topic, text in in_words(found).items())
    return words[:1].upper() + words[1:] if words else "No logprobs: it can answer, but not report how confident it was"
