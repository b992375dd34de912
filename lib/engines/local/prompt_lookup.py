"""Drafts of what comes next, taken from what stood there before: several tokens are then read in one pass.

A branch often finds its way back to the words of the answer it leaves. Tokens that followed the same few tokens there
are tried as a draft; each is kept only if it is what the model chooses at its place, so that a draft changes how long
an answer takes, and nothing of what it is (Leviathan et al. 2023, "Fast Inference from Transformers via Speculative
Decoding"; Saxena 2023, "Prompt Lookup Decoding").
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 7  # tokens of a draft; a pass over eight takes half as long again as one over a single token
_CONTEXT = (3, 2, 1)  # tokens that must be the same before it; more of them first


class Drafts:
    """Looks drafts up in a text of before and in what is being written, which begins with `ids`."""

    def __init__(self, before: Sequence[int], ids: Sequence[int]) -> None:
        self._text: list[int] = []
        self._after: list[dict[tuple[int, ...], int]] = [{} for _ in _CONTEXT]
        for token in before:
            self.add(token)
        self._text.append(-1)  # nothing goes on from the one into the other
        for token in ids:
            self.add(token)

    def add(self, token: int) -> None:
        """One more token of what is being written."""
        # Where a context stood last, its successor is now known.
        for length, places in zip(_CONTEXT, self._after, strict=True):
            if len(self._text) >= length:
                places[tuple(self._text[-length:])] = len(self._text)
        self._text.append(token)

    def next(self, most: int = LONGEST) -> list[int]:
        """What may follow, at most so many tokens; nothing where the last tokens stood nowhere before."""
        for length, places in zip(_CONTEXT, self._after, strict=True):
            place = places.get(tuple(self._text[-length:])) if len(self._text) >= length else None
            if place is not None:
                found = self._text[place : place + most]
                return found[: found.index(-1)] if -1 in found else found
        return []
