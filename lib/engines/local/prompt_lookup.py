"""Prompt lookup: guess the next tokens from earlier text, so that one pass can read several of them.

A branch often returns to the words of the answer it was branched from. The tokens that followed the same few tokens
there are drafted; each is kept only if it is the one that the model chooses at its position, so a draft changes the
speed of an answer but not its tokens (Leviathan et al. 2023, "Fast Inference from Transformers via Speculative
Decoding"; Saxena 2023, "Prompt Lookup Decoding").
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_DRAFT = 7  # tokens; a pass over eight takes about half as long again as a pass over one
_CONTEXTS = (3, 2, 1)  # lengths of the context that must match, longest first
_END = -1  # separates the earlier text from the new one; no token has this id


class PromptLookup:
    """Drafts from an earlier text and from the text being generated.

    earlier: ids of the answer that was branched from, with its prompt.
    ids: the tokens that have been read before generation.
    """

    def __init__(self, earlier: Sequence[int], ids: Sequence[int]) -> None:
        self._text: list[int] = []
        self._following: list[dict[tuple[int, ...], int]] = [{} for _ in _CONTEXTS]  # position after each context
        for token in (*earlier, _END, *ids):
            self.add(token)

    def add(self, token: int) -> None:
        """Append a generated token."""
        # Only now is it known what follows the contexts that ended with the previous token.
        for length, positions in zip(_CONTEXTS, self._following, strict=True):
            if token != _END and len(self._text) >= length:
                positions[tuple(self._text[-length:])] = len(self._text)
        self._text.append(token)

    def draft(self, limit: int = MAX_DRAFT) -> list[int]:
        """At most `limit` tokens that may come next; empty if the last tokens have not occurred before."""
        for length, positions in zip(_CONTEXTS, self._following, strict=True):
            position = positions.get(tuple(self._text[-length:])) if len(self._text) >= length else None
            if position is not None:
                found = self._text[position : position + limit]
                return found[: found.index(_END)] if _END in found else found
        return []
