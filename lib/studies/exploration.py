"""Explore's plan: one prompt for one model, or a branch of an earlier answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lib.jobs.call import Call


@dataclass(frozen=True)
class ExplorePlan:
    """One call, sampled once or several times."""

    kind: ClassVar[str] = "explore"
    page: ClassVar[str] = "explore"

    call: Call

    def calls(self) -> tuple[Call, ...]:
        """The call."""
        return (self.call,)

    def title(self) -> str:
        """What the user asked, at the root of all branches."""
        return self.call.original_request.last_user_text
