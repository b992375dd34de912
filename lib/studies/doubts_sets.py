"""The plan of `candor evaluate-doubts`: labelled prompts of several sets for one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lib.core.request import Mode, Request, prompt_fields
from lib.core.sources import Source
from lib.errors import InvalidRequest
from lib.jobs.call import Call


@dataclass(frozen=True)
class Item:
    """A labelled prompt."""

    row_id: str
    prompt: str
    mode: Mode = Mode.RAW
    max_tokens: int = 32
    stop: tuple[str, ...] = ("\n",)


@dataclass(frozen=True)
class DoubtsSetsPlan:
    """Prompts whose answers show how well scores of doubt find errors."""

    kind: ClassVar[str] = "doubts sets"
    page: ClassVar[str] = "evaluate-doubts"

    source: Source
    items: tuple[Item, ...] = ()
    k: int = 20  # alternatives per position; fewer where a format carries fewer

    def calls(self) -> tuple[Call, ...]:
        """One call per item, at temperature 0. Raises InvalidRequest."""
        if not self.items:
            raise InvalidRequest("There is nothing to ask.", "Choose a part of the sets that has items.")
        return tuple(Call(self.source, self._request(each)) for each in self.items)

    def title(self) -> str:
        """The number of prompts."""
        return f"Sets of doubts, {len(self.items):,} prompts"

    def _request(self, item: Item) -> Request:
        return Request(
            **prompt_fields(item.mode, item.prompt),
            max_tokens=item.max_tokens,
            stop=item.stop,
            temperature=0.0,
            k=self.k,
            prompt_scores=False,
        )
