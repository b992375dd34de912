"""What an imported model can return: its import date says something, and the free call with the body {} says the rest.

That call fails at once, costs nothing, and its error lists the formats that the model speaks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lib.core.request import MAX_K
from lib.engines.base import Capabilities
from lib.engines.bedrock import errors
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
    """The formats a model speaks, none where it returns no logprobs.

    known_by: in words, what that rests on. asleep: whether the model slept when it was asked.
    """

    formats: frozenset[Format]
    known_by: str
    asleep: bool = False

    @property
    def capabilities(self) -> Capabilities:
        """What its formats can carry between them."""
        texts = self.formats - {Format.CHAT}
        scoring = {form for form in self.formats if form.scores_prompts}
        return Capabilities(
            prompt_scores=bool(scoring),
            max_k=max((carried_k(form, MAX_K) for form in self.formats), default=0),
            ranks=bool(self.formats & {Format.OPENAI, Format.CHAT}),
            chat=Format.CHAT in self.formats,
            streaming=bool(self.formats),
            context=None,
            raw=bool(texts),
            streamed_prompt_scores=Format.EARLY in self.formats,
        )

    def reading(self, *, chat: bool) -> Capabilities | None:
        """What it can return for chats, or for raw text; None where it does not read these."""
        form = self.format_for(chat=chat)
        return None if form is None else Abilities(frozenset({form}), self.known_by).capabilities

    @property
    def scores_given(self) -> bool:
        """Whether it can score a text that is given: as the end of a raw prompt."""
        can = self.reading(chat=False)
        return can is not None and can.prompt_scores

    def format_for(self, *, chat: bool) -> Format | None:
        """The format for a chat or a raw prompt; the one that carries most, None where there is none."""
        order = (Format.CHAT,) if chat else (Format.OPENAI, Format.EARLY, Format.BEDROCK)
        return next((form for form in order if form in self.formats), None)


def probe(client: Any, arn: str) -> frozenset[Format] | None:
    """The formats a model says it speaks; None where it names none.

    Raises ServiceError for any other answer than the refusal that names them, such as one that the model sleeps.
    """
    try:
        client.invoke_model(modelId=arn, body=b"{}", accept="application/json", contentType="application/json")
    except Exception as error:
        found = errors.in_words(error, arn)
        if found.code != "ValidationException":
            raise found from error
        return formats_in(found.message)
    return None  # a model that answers nothing to nothing


def formats_in(message: str) -> frozenset[Format] | None:
    """The formats that the refusal of an empty body names, None where it names none."""
    listed = _LISTED.search(message)
    if listed is None:
        return None
    found = frozenset(_NAMES[name] for name in re.findall(r"\w+", listed[1]) if name in _NAMES)
    return found or None


def abilities(imported: datetime | None, probed: frozenset[Format] | None, asleep: bool = False) -> Abilities:
    """What follows from the import date and from what the probe found; None where either is not known."""
    if imported is not None and imported < FIRST_LOGPROBS:
        return Abilities(frozenset(), "imported before 2025-07-31, when there were no logprobs")
    if imported is not None and imported < THREE_FORMATS:
        return Abilities(frozenset({Format.EARLY}), "imported before 2025-11-11, when there was one format")
    if probed is not None:
        return Abilities(probed, "the model itself names these formats")
    reason = "the model sleeps and was not asked" if asleep else "the model was not asked, or did not say"
    return Abilities(_THREE, f"assumed from its import date; {reason}" if imported else f"assumed; {reason}", asleep)


def by_hand(form: Format) -> Abilities:
    """Where somebody chose the format: it, and the one for what it does not read, as models of its time have it."""
    other = {Format.EARLY: form, Format.CHAT: Format.OPENAI}.get(form, Format.CHAT)
    return Abilities(frozenset({form, other}), "the format chosen by hand")


def in_words(can: Capabilities) -> dict[str, str]:
    """Capabilities in plain words, by what they are about; empty for a model without logprobs."""
    if not (can.raw or can.chat):
        return {}
    streams = "yes" if can.streamed_prompt_scores or not can.prompt_scores else "answer only"
    return {
        "prompt scores": "yes" if can.prompt_scores else "no",
        "alternatives": f"up to {can.max_k}" if can.max_k > 1 else "the likeliest only",
        "streaming": streams if can.streaming else "no",
        "reads": " and ".join(["raw text"] * can.raw + ["chat"] * can.chat),
    }


def in_sentence(can: Capabilities) -> str:
    """The same as one line: "Prompt scores: yes · alternatives: up to 20 · streaming: answer only · …"."""
    words = " · ".join(f"{about}: {said}" for about, said in in_words(can).items())
    return words[:1].upper() + words[1:] if words else "No logprobs: it can answer, but not say how sure it was"
