"""The formats of Custom Model Import, and what each can carry.

Source: the AWS documentation of Custom Model Import's advanced features, and vLLM, whose field names it uses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from lib.core.request import MAX_K

FIRST_LOGPROBS = datetime(2025, 7, 31, tzinfo=UTC)
THREE_FORMATS = datetime(2025, 11, 11, tzinfo=UTC)


class Format(StrEnum):
    """How a request and its response are spelled."""

    EARLY = "BedrockCompletion, imported before 2025-11-11"  # scores the prompt, too
    BEDROCK = "BedrockCompletion"
    OPENAI = "OpenAICompletion"
    CHAT = "OpenAIChatCompletion"

    @property
    def is_bedrock(self) -> bool:
        """Whether it is one of the two generations of BedrockCompletion."""
        return self in (Format.EARLY, Format.BEDROCK)

    @property
    def scores_prompts(self) -> bool:
        """Whether a response can hold logprobs of the prompt."""
        return self is not Format.BEDROCK


def carried_k(wire_format: Format, k: int) -> int:
    """How many of `k` alternatives a response of this format can hold: BedrockCompletion has the likeliest one only."""
    return 1 if wire_format.is_bedrock else min(k, MAX_K)


def asked_top(wire_format: Format, k: int) -> int:
    """The number to ask for so that `k` alternatives come.

    A chat's list begins with the sampled token and is cut at that number, so one more is asked for.
    """
    return min(k + 1, MAX_K) if wire_format is Format.CHAT and k else min(k, MAX_K)
