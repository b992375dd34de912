"""The formats of Custom Model Import, and what each can carry.

Sources: AWS's documentation of Custom Model Import's advanced features, and vLLM, whose field names it uses.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from lib.core.request import MAX_K

FIRST_LOGPROBS = datetime(2025, 7, 31, tzinfo=UTC)
THREE_FORMATS = datetime(2025, 11, 11, tzinfo=UTC)


class Format(StrEnum):
    """The format of a request and its response."""

    EARLY = "BedrockCompletion, imported before 2025-11-11"  # returns prompt logprobs too
    BEDROCK = "BedrockCompletion"
    OPENAI = "OpenAICompletion"
    CHAT = "OpenAIChatCompletion"

    @property
    def is_bedrock(self) -> bool:
        """Whether it is either generation of BedrockCompletion."""
        return self in (Format.EARLY, Format.BEDROCK)

    @property
    def scores_prompts(self) -> bool:
        """Whether a response can include prompt logprobs."""
        return self is not Format.BEDROCK


def carried_k(wire_format: Format, k: int) -> int:
    """How many of `k` alternatives a response can include: BedrockCompletion has only the most likely."""
    return 1 if wire_format.is_bedrock else min(k, MAX_K)


def asked_top(wire_format: Format, k: int) -> int:
    """The number of top logprobs to request so that the response has `k` alternatives.

    A chat's list begins with the sampled token and is truncated at that number, so it takes one more.
    """
    return min(k + 1, MAX_K) if wire_format is Format.CHAT and k else min(k, MAX_K)
