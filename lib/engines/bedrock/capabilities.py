"""What an imported model can return, from its import date and from a free call with the body {}.

That call fails at once, costs nothing, and its error lists the formats that the model takes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lib.core.request import MAX_K
from lib.engines.base import Capabilities
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


@dataclass(frozen=True)
class Abilities:
    """What is known of a model's formats."""

    formats: frozenset[Format]  # that the model takes; empty if it returns no logprobs
    known_by: str  # what that is based on, to show to the user
    asleep: bool = False  # the model was cold when it was asked

    @property
    def capabilities(self) -> Capabilities:
        """What its formats can carry, taken together."""
        texts = self.formats - {Format.CHAT}
        return Capabilities(
            prompt_scores=any(each.scores_prompts for each in self.formats),
            max_k=max((carried_k(each, MAX_K) for each in self.formats), default=0),
            ranks=bool(self.formats & {Format.OPENAI, Format.CHAT}),
            chat=Format.CHAT in self.formats,
            streaming=bool(self.formats),
            context=None,
            raw=bool(texts),
            streamed_prompt_scores=Format.EARLY in self.formats,
        )

    def reading(self, *, chat: bool) -> Capabilities | None:
        """What it can return for chats, or for raw text; None if it doesn't take them."""
        found = self.format_for(chat=chat)
        return None if found is None else Abilities(frozenset({found}), self.known_by).capabilities

    @property
    def scores_given(self) -> bool:
        """Whether it can score a supplied text, which is sent as the end of a raw prompt."""
        can = self.reading(chat=False)
        return can is not None and can.prompt_scores

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


def in_words(can: Capabilities) -> dict[str, str]:
    """Capabilities as text, by topic; empty for a model without logprobs."""
    if not (can.raw or can.chat):
        return {}
    streams = "yes" if can.streamed_prompt_scores or not can.prompt_scores else "answer only"
    return {
        "prompt logprobs": "yes" if can.prompt_scores else "no",
        "alternatives": f"up to {can.max_k}" if can.max_k > 1 else "the most likely only",
        "streaming": streams if can.streaming else "no",
        "reads": " and ".join(["raw text"] * can.raw + ["chat"] * can.chat),
    }


def in_sentence(can: Capabilities) -> str:
    """The same as one line: "Prompt logprobs: yes · alternatives: up to 20 · streaming: answer only · …"."""
    words = " · ".join(f"{topic}: {text}" for topic, text in in_words(can).items())
    return words[:1].upper() + words[1:] if words else "No logprobs: it can answer, but not report how confident it was"
