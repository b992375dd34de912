"""A plan of any number of calls, which the store can read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lib.core.request import Request
from lib.core.sources import Source
from lib.jobs.call import Call
from lib.studies.plans import PLANS


@dataclass(frozen=True)
class ManyPrompts:
    """One call per prompt."""

    kind: ClassVar[str] = "many"
    page: ClassVar[str] = "explore"

    source: Source
    prompts: tuple[str, ...]
    max_tokens: int = 2
    k: int = 1

    def calls(self) -> tuple[Call, ...]:
        """All calls."""
        return tuple(Call(self.source, Request(each, max_tokens=self.max_tokens, k=self.k)) for each in self.prompts)

    def title(self) -> str:
        """The first prompt."""
        return self.prompts[0]


def register() -> None:
    """Let the store of this process read the plan back."""
    PLANS[ManyPrompts.kind] = ManyPrompts
